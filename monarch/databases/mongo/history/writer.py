"""The history of migrations in MongoDB, as it is written by whoever holds the lease.

Every write is one command that begins at the document of the lease: it looks for the writer's own fencing
number there, and merges what is to be written from that into the history (``$merge``). Where the lease has
got another number meanwhile there is nothing to begin at, and nothing is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from bson import ObjectId
from pymongo import ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database as PyMongoDatabase

from monarch.databases.environment import Environment
from monarch.databases.history import (
    Action,
    AttemptStart,
    AttemptStats,
    Failure,
    HistoryWriter,
    MigrationState,
    OpenAttempt,
    ScanPosition,
)
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, LEASE
from monarch.databases.mongo.history.migration_client import MongoTransaction
from monarch.databases.mongo.lease import MongoLease
from monarch.databases.mongo.retry import patiently
from monarch.errors import NotCommitted, ServerError
from monarch.system import process_identity as owner
from monarch.system.ci import Origin

Stages = Sequence[dict[str, Any]]
# Acknowledged by most of the members, so that no failover forgets it; bounded, so that nothing hangs.
_DURABLE = WriteConcern("majority", wtimeout=8_000)
# An attempt that has not ended.
_OPEN: dict[str, Any] = {"outcome": {"$exists": False}}


class MongoHistoryWriter(HistoryWriter):
    """Writes for the holder of ``lease``."""

    def __init__(
        self, environment: Environment, database: PyMongoDatabase[dict[str, Any]], lease: MongoLease
    ) -> None:
        self._environment = environment
        self.lease = lease
        durable = database.with_options(read_preference=ReadPreference.PRIMARY, write_concern=_DURABLE)
        self._leases = durable[LEASE]
        self._history = durable[HISTORY]
        self._journal = durable[JOURNAL]
        self._begun = False

    def check(self) -> None:
        self.lease.check_patiently()

    def begin(self, begun: AttemptStart, transaction: object = None) -> MongoOpenAttempt:
        assert transaction is None or isinstance(transaction, MongoTransaction)
        self._tidy_up()
        attempt = MongoOpenAttempt(self, self._environment, begun, transaction, self.alone())
        # First who it is, so that whoever finds the key in Processing finds out by whom.
        self.write_entry(attempt.identity, attempt.described, started=True)
        self.set_state(begun.key, MigrationState.PROCESSING)
        # Or nothing of this was written.
        self.lease.renew_patiently()
        return attempt

    def mark(
        self,
        key: str,
        state: MigrationState,
        checksum: str | None,
        origin: Origin,
        repeatable: bool | None = None,
    ) -> None:
        entry: dict[str, Any] = {"action": Action.MARK.value, "outcome": state.value, "checksum": checksum}
        entry |= {} if repeatable is None else {"repeatable": repeatable}
        self._tidy_up()
        self.set_state(key, state)
        self._say(key, entry, origin)

    def accept(self, key: str, checksum: str | None, origin: Origin, repeatable: bool | None = None) -> None:
        entry: dict[str, Any] = {
            "action": Action.ACCEPT.value,
            "outcome": MigrationState.COMPLETED.value,
            "checksum": checksum,
        }
        entry |= {} if repeatable is None else {"repeatable": repeatable}
        self._say(key, entry, origin)

    def _say(self, key: str, entry: dict[str, Any], origin: Origin) -> None:
        described = {"key": key, **entry, **self.describe_run(origin)}
        self.write_entry(ObjectId(), described, started=True, ended=True)
        self.lease.renew_patiently()

    def describe_run(self, origin: Origin) -> dict[str, Any]:
        """Who writes, and from where."""
        return {
            **owner.identity(),
            **{name: value for name, value in vars(origin).items() if value is not None},
            "run": self.lease.run,
            "fence": self.lease.fence,
            "lineage": self.lease.lineage,
        }

    def set_state(self, key: str, state: MigrationState, *, of: MigrationState | None = None) -> None:
        """Write the state of ``key`` with the time; with ``of`` only where it is that now.

        Into all of the key's documents, should the original have left more than one.
        """
        # Derived from the key, so that there is never a second one.
        first = {"_id": ObjectId(hashlib.sha256(key.encode()).digest()[:12])}
        stages: list[dict[str, Any]] = [
            {"$lookup": {"from": HISTORY, "pipeline": [{"$match": {"key": key}}], "as": "was"}}
        ]
        if of is None:
            stages.append({"$set": {"was": {"$cond": [{"$eq": ["$was", []]}, [first], "$was"]}}})
        stages.append({"$unwind": "$was"})
        if of is not None:
            stages.append({"$match": {"was.state": of.value}})
        document = {
            "_id": "$was._id",
            "key": {"$literal": key},
            "state": {"$literal": state.value},
            "processed_at": None if state is MigrationState.NEW else "$$NOW",
        }
        new = "discard" if of is not None else "insert"
        self._merge([*stages, {"$replaceWith": document}], HISTORY, "merge", new)

    def require_state(self, key: str, state: MigrationState) -> None:
        """See that ``key`` is in that ``state``, where it was just written.

        :raises LockedError: if somebody else has the lease, and may have written it too.
        :raises ServerError: if the key is gone, or was changed by something else than monarch.
        """
        found = self.states(key)
        if found:
            # Still ours, and so it was when that was written: a number never comes back.
            self.lease.renew_patiently()
        if found != [state.value]:
            raise ServerError(
                f"The record of {key} has vanished from {HISTORY}, or was changed, while it ran.",
                "Did the migration do that? Look before you run anything else.",
            )

    def states(self, key: str) -> list[str]:
        """The states of the key's documents: one, unless the original has left more than one."""
        return patiently(self._environment, lambda: self._history.distinct("state", {"key": key}))

    def write_entry(
        self, identity: ObjectId, entry: dict[str, Any], *, started: bool = False, ended: bool = False
    ) -> None:
        """Write a new entry of the journal, or complete the one of that ``identity``."""
        document: dict[str, Any] = {"_id": identity, **{key: {"$literal": v} for key, v in entry.items()}}
        document |= {"started_at": "$$NOW"} if started else {}
        document |= {"finished_at": "$$NOW"} if ended else {}
        # Done twice where an answer was lost: what has ended stays as it was first said.
        untouched = {"$eq": [{"$type": "$outcome"}, "missing"]}
        completed = {"$mergeObjects": ["$$ROOT", "$$new", {"started_at": "$started_at"}]}
        matched = [{"$replaceWith": {"$cond": [untouched, completed, "$$ROOT"]}}]
        self._merge([{"$replaceWith": document}], JOURNAL, matched, "insert")

    def _tidy_up(self) -> None:
        """Before the first write of this run: whatever attempt has not ended was cut off."""
        if self._begun:
            return
        patiently(self._environment, lambda: self._journal.create_index([("key", 1), ("started_at", 1)]))
        self._end_sessions()
        self._close_open_ones()
        self._begun = True

    def _end_sessions(self) -> None:
        """End their transactions: the server would keep what they have written locked for a minute."""
        cut_off = {**_OPEN, "session": {"$exists": True}}
        ids = patiently(self._environment, lambda: self._journal.distinct("session", cut_off))
        if ids:
            self.lease.renew_patiently()  # or they would be somebody else's who is at it
            sessions = [{"id": identity} for identity in ids]
            database = self._journal.database
            patiently(self._environment, lambda: database.command("killSessions", sessions))

    def alone(self) -> object:
        """Of a server that has nobody to hold its data besides, what is another once it was started again."""
        client = self._history.database.client
        hello = patiently(self._environment, lambda: client.admin.command("hello"))
        if "setName" in hello or hello.get("msg") == "isdbgrid":
            return None
        return hello.get("topologyVersion", {}).get("processId")

    def _close_open_ones(self) -> None:
        """Say of them in the journal that they were cut off."""
        rolled_back = {"$eq": ["$open.action", Action.ROLLBACK.value]}
        goal = {"$cond": [rolled_back, MigrationState.NEW.value, MigrationState.COMPLETED.value]}
        completed = {"$in": [goal, "$was.state"]}
        stages: list[dict[str, Any]] = [
            {"$lookup": {"from": JOURNAL, "pipeline": [{"$match": _OPEN}], "as": "open"}},
            {"$unwind": "$open"},
            {"$lookup": {"from": HISTORY, "localField": "open.key", "foreignField": "key", "as": "was"}},
            {
                "$replaceWith": {
                    "_id": "$open._id",
                    # Killed between the state and the journal, it had completed.
                    "outcome": {
                        "$cond": [completed, MigrationState.COMPLETED.value, MigrationState.INTERRUPTED.value]
                    },
                    "finished_at": "$$NOW",
                    "found_by": {"$literal": owner.describe(owner.identity())},
                }
            },
        ]
        self._merge(stages, JOURNAL, "merge", "discard")

    def _merge(self, stages: Stages, into: str, matched: Any, not_matched: str) -> None:
        merge = {"into": into, "on": "_id", "whenMatched": matched, "whenNotMatched": not_matched}
        pipeline = [{"$match": self.lease.mine()}, *stages, {"$merge": merge}]
        # As if it had not been sent where somebody else has the lease, so it may be sent again.
        patiently(self._environment, lambda: self._leases.aggregate(pipeline))


class MongoOpenAttempt(OpenAttempt):
    """An attempt of ``recorder``'s run."""

    def __init__(
        self,
        recorder: MongoHistoryWriter,
        environment: Environment,
        begun: AttemptStart,
        transaction: MongoTransaction | None,
        alone: object,
    ) -> None:
        self._recorder = recorder
        self._environment = environment
        self._begun = begun
        self._places = {label: vars(place) for label, place in begun.places.items()}
        self._session = transaction.session.session_id["id"] if transaction else None
        self._alone = alone
        self.identity = ObjectId()

    @property
    def described(self) -> dict[str, Any]:
        """Its entry in the journal, as it begins."""
        begun = self._begun
        optional = {
            "repeatable": begun.repeatable,
            "backup": begun.backup,
            "places": self._places or None,
            "session": self._session,
        }
        return {
            "key": begun.key,
            "action": begun.action.value,
            "checksum": begun.checksum,
            **{name: value for name, value in optional.items() if value is not None},
            **self._recorder.describe_run(begun.origin),
        }

    def complete(self, effort: AttemptStats, transaction: object = None) -> None:
        key = self._begun.key
        state = MigrationState.NEW if self._begun.action is Action.ROLLBACK else MigrationState.COMPLETED
        if transaction is None:
            self._require_kept()
            self._recorder.set_state(key, state, of=MigrationState.PROCESSING)
        else:
            assert isinstance(transaction, MongoTransaction)
            self._commit(transaction, state)
        # The state first: who is killed between the two has completed.
        if transaction is None:
            self._recorder.require_state(key, state)
        self._end(effort, {"outcome": MigrationState.COMPLETED.value})

    def _require_kept(self) -> None:
        """See that the server still has what the migration has written, from now on whatever happens."""
        # On the disk, and with it all that was written before.
        self._recorder.lease.renew_patiently()
        if self._alone is not None and self._recorder.alone() != self._alone:
            raise ServerError(
                "the server was started again meanwhile, and may have lost what was written before that.",
            )

    def _commit(self, transaction: MongoTransaction, state: MigrationState) -> None:
        self._recorder.lease.renew_patiently()
        try:
            transaction.commit(lambda session: self._set_state_in(transaction, state, session))
        except ServerError as error:
            # The answer may have been lost, and not what it says.
            if self._recorder.states(self._begun.key) != [state.value]:
                raise NotCommitted(error.message, error.hint) from error

    def _set_state_in(
        self, transaction: MongoTransaction, state: MigrationState, session: ClientSession
    ) -> None:
        # A run that has taken over meanwhile has written to the same document, and one of the two is refused.
        result = transaction.database[HISTORY].update_many(
            {"key": self._begun.key, "state": MigrationState.PROCESSING.value},
            {"$set": {"state": state.value}, "$currentDate": {"processed_at": True}},
            session=session,
        )
        if result.matched_count == 0:
            self._recorder.require_state(self._begun.key, MigrationState.PROCESSING)

    def fail(self, failure: Failure, effort: AttemptStats) -> None:
        outcome = MigrationState.INTERRUPTED if failure.interrupted else MigrationState.FAILED
        details = {"outcome": outcome.value, "error": failure.error, "traceback": failure.traceback}
        # The journal first: who is killed between the two has its error told all the same.
        self._end(effort, details)
        self._recorder.set_state(self._begun.key, MigrationState.FAILED, of=MigrationState.PROCESSING)
        self._recorder.require_state(self._begun.key, MigrationState.FAILED)

    def remember(self, label: str, place: ScanPosition | None) -> None:
        if place is None:
            self._places.pop(label, None)
        else:
            self._places[label] = vars(place)
        self._recorder.write_entry(self.identity, {**self.described, "places": self._places})
        self._recorder.lease.renew_patiently()

    def _end(self, effort: AttemptStats, details: dict[str, Any]) -> None:
        took = {"seconds": effort.seconds, "documents": effort.documents, "echoed": effort.echoed}
        self._recorder.write_entry(self.identity, {**self.described, **took, **details}, ended=True)
