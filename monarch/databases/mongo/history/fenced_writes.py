"""Writes into the history that happen only as long as the writer holds the lease.

Each write is one command that begins at the document of the lease: it matches the writer's own fencing
number there, and merges what it writes into the history or the journal (``$merge``). If another run holds
the lease by then, nothing matches, and nothing is written. So a write may be sent again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import OperationFailure, PyMongoError

from monarch.databases.environment import Environment
from monarch.databases.history import MigrationState, Operation
from monarch.databases.lease import Lease
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, LEASE
from monarch.databases.mongo.connection.retry import patiently
from monarch.databases.mongo.history.reconcile import ANY_DATE
from monarch.databases.mongo.lease import MongoLease
from monarch.errors import ServerError, UsageError
from monarch.system import process_identity as owner
from monarch.system.ci import Origin

Stages = Sequence[dict[str, Any]]
# Acknowledged by a majority, so that no failover loses it, and with a time limit, so that it never hangs.
_DURABLE = WriteConcern("majority", wtimeout=8_000)


class FencedWrites:
    """The history and the journal of ``database``, for the holder of ``lease``."""

    def __init__(
        self, environment: Environment, database: PyMongoDatabase[dict[str, Any]], lease: MongoLease
    ) -> None:
        self.environment = environment
        self.lease = lease
        durable = database.with_options(ANY_DATE, ReadPreference.PRIMARY, _DURABLE)
        self._leases = durable[LEASE]
        self.history = durable[HISTORY]
        self.journal = durable[JOURNAL]

    def set_state(
        self,
        key: str,
        state: MigrationState,
        *,
        of: MigrationState | None = None,
        since: datetime | None = None,
    ) -> None:
        """Write the state of ``key``, with the server's time or ``since``.

        With ``of`` only where it is that now. It goes into all documents of the key, if monarch 0.1 left
        more than one.
        """
        # Derived from the key, so that there is never a second one.
        first = {"_id": ObjectId(hashlib.sha256(key.encode()).digest()[:12])}
        stages: list[dict[str, Any]] = [_states_of(key)]
        if of is None:
            stages.append({"$set": {"was": {"$cond": [{"$eq": ["$was", []]}, [first], "$was"]}}})
        stages.append({"$unwind": "$was"})
        if of is not None:
            stages.append({"$match": {"was.state": of.value}})
        document = {
            "_id": "$was._id",
            "key": {"$literal": key},
            "state": {"$literal": state.value},
            "processed_at": None if state is MigrationState.NEW else (since or "$$NOW"),
        }
        new = "discard" if of is not None else "insert"
        self._merge([*stages, {"$replaceWith": document}], HISTORY, "merge", new)

    def require_state(self, key: str, state: MigrationState) -> None:
        """Check that ``key`` is in ``state``, which was just written.

        :raises LockedError: if another run has the lease, and may have written it too.
        :raises ServerError: if the key is gone, or something else than monarch changed it.
        """
        found = self.states(key)
        if found:
            # Our lease still, and so when the state was written: a fencing number is never used again.
            self.lease.renew_patiently()
        if found != [state.value]:
            raise ServerError(
                f"The record of {key} has vanished from {HISTORY}, or was changed, while it ran.",
                "Did the migration do that? Check the database before you run anything else.",
            )

    def states(self, key: str) -> list[str]:
        """The states in the key's documents: one, unless monarch 0.1 left more than one."""
        return patiently(self.environment, lambda: self.history.distinct("state", {"key": key}))

    def write_entry(
        self,
        identity: ObjectId,
        entry: dict[str, Any],
        *,
        started: bool = False,
        ended: bool = False,
        if_processing: str | None = None,
    ) -> None:
        """Write a new entry of the journal, or complete the one of that ``identity``.

        An entry that has ended stays as it is. With ``if_processing`` it is written only while the migration
        of that key is in Processing.
        """
        document: dict[str, Any] = {"_id": identity, **{key: {"$literal": v} for key, v in entry.items()}}
        document |= {"started_at": "$$NOW"} if started else {}
        document |= {"finished_at": "$$NOW"} if ended else {}
        # It may be sent twice, if an answer was lost.
        is_open = {"$eq": [{"$type": "$outcome"}, "missing"]}
        completed = {"$mergeObjects": ["$$ROOT", "$$new", {"started_at": "$started_at"}]}
        matched = [{"$replaceWith": {"$cond": [is_open, completed, "$$ROOT"]}}]
        stages: list[dict[str, Any]] = []
        if if_processing is not None:
            stages = [_states_of(if_processing), {"$match": {"was.state": MigrationState.PROCESSING.value}}]
        with explaining_strangers(self.environment, self.journal):
            self._merge([*stages, {"$replaceWith": document}], JOURNAL, matched, "insert")

    def _merge(self, stages: Stages, into: str, matched: Any, not_matched: str) -> None:
        merge = {"into": into, "on": "_id", "whenMatched": matched, "whenNotMatched": not_matched}
        pipeline = [{"$match": self.lease.mine()}, *stages, {"$merge": merge}]
        patiently(self.environment, lambda: self._leases.aggregate(pipeline))


@contextmanager
def explaining_strangers(environment: Environment, journal: Collection[dict[str, Any]]) -> Iterator[None]:
    """Explain why the ``journal`` cannot be written, if a view or a time series has its name.

    :raises UsageError: in place of what the server says.
    """
    try:
        yield
    except ServerError as error:
        if not isinstance(error.__cause__, OperationFailure):  # the server may be gone
            raise
        found: list[Any] = []
        with suppress(PyMongoError):
            found = list(journal.database.list_collections(filter={"name": JOURNAL}))
        kind = {"view": "view", "timeseries": "time series"}.get(found[0]["type"]) if found else None
        if kind is None:
            raise
        raise UsageError(
            f"{JOURNAL!r} of {environment.name!r} is a {kind}, and the history cannot be written.",
            f"Nothing was run. Rename or drop the {kind}: the name is monarch's own.",
        ) from error


def _states_of(key: str) -> dict[str, Any]:
    """The stage that looks up the documents of ``key`` as ``was``."""
    return {"$lookup": {"from": HISTORY, "pipeline": [{"$match": {"key": key}}], "as": "was"}}


def describe_run(lease: MongoLease, origin: Origin) -> dict[str, Any]:
    """Return the fields of an entry that identify its writer, who holds ``lease``, and its origin."""
    return {
        **_describe_process(origin),
        "environment": lease.environment,
        "run": lease.run,
        "fence": lease.fence,
        "lineage": lease.lineage,
    }


def entry_id(operation: Operation) -> ObjectId:
    """Return the id of the entry of ``operation``, if that is written without a lease."""
    return ObjectId(operation.id[:24])


def describe_operation(operation: Operation, lease: Lease | None = None) -> dict[str, Any]:
    """Return the entry of ``operation`` in the journal as of now, without its times."""
    assert lease is None or isinstance(lease, MongoLease)
    process = describe_run(lease, operation.origin) if lease else _describe_process(operation.origin)
    return {**process, **operation.fields()}


def timed(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an update of one document stores of ``entry``, with the times of the server.

    One without an outcome has not ended.
    """
    began = {"$subtract": ["$$NOW", {"$literal": round(entry.get("seconds", 0) * 1000)}]}
    literals = {name: {"$literal": value} for name, value in entry.items()}
    ended = {"finished_at": "$$NOW"} if "outcome" in entry else {}
    return {**literals, "started_at": began, **ended}


def _describe_process(origin: Origin) -> dict[str, Any]:
    known = {name: value for name, value in vars(origin).items() if value is not None}
    return {**owner.identity(), **known}
