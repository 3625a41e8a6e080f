"""Write the history of migrations in MongoDB, as the holder of the lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from pymongo.database import Database as PyMongoDatabase

from monarch.databases.environment import Environment
from monarch.databases.history import Action, AttemptStart, HistoryWriter, MigrationState
from monarch.databases.mongo.connection.retry import patiently
from monarch.databases.mongo.history.attempt import MongoOpenAttempt
from monarch.databases.mongo.history.fenced_writes import FencedWrites, describe_run, explaining_strangers
from monarch.databases.mongo.history.migration_client import MongoTransaction
from monarch.databases.mongo.history.queries import OF_THESE_CONTENTS
from monarch.databases.mongo.history.reconcile import NO_ATTEMPTS, STRONGEST, outcome_of, reconcile
from monarch.databases.mongo.lease import MongoLease
from monarch.system import process_identity as owner
from monarch.system.ci import Origin

Document = Mapping[str, Any]
_OPEN: dict[str, Any] = {"outcome": {"$exists": False}, **OF_THESE_CONTENTS}
# Fields that are not needed here and may be long.
_SHORT = {"traceback": 0, "echoed": 0, "places": 0}


class MongoHistoryWriter(HistoryWriter):
    """Writes for the holder of ``lease``."""

    def __init__(
        self, environment: Environment, database: PyMongoDatabase[dict[str, Any]], lease: MongoLease
    ) -> None:
        self._environment = environment
        self._lease = lease
        self._writes = FencedWrites(environment, database, lease)
        self._settled = False

    def check(self) -> None:
        self._lease.check_patiently()

    def begin(self, begun: AttemptStart, transaction: object = None) -> MongoOpenAttempt:
        assert transaction is None or isinstance(transaction, MongoTransaction)
        self.settle()
        attempt = MongoOpenAttempt(self._writes, begun, transaction)
        self._writes.write_entry(attempt.identity, attempt.entry, started=True)
        self._writes.set_state(begun.key, MigrationState.PROCESSING)
        # If the lease is lost, nothing of this was written.
        self._lease.renew_patiently()
        return attempt

    def mark(
        self,
        key: str,
        state: MigrationState,
        checksum: str | None,
        origin: Origin,
        repeatable: bool | None = None,
    ) -> None:
        self.settle()
        self._write_mark(key, Action.MARK, state, checksum, origin, repeatable)
        self._writes.set_state(key, state)
        self._lease.renew_patiently()

    def accept(self, key: str, checksum: str | None, origin: Origin, repeatable: bool | None = None) -> None:
        self._write_mark(key, Action.ACCEPT, MigrationState.COMPLETED, checksum, origin, repeatable)
        self._lease.renew_patiently()

    def _write_mark(
        self,
        key: str,
        action: Action,
        state: MigrationState,
        checksum: str | None,
        origin: Origin,
        repeatable: bool | None,
    ) -> None:
        entry: dict[str, Any] = {
            "key": key,
            "action": action.value,
            "outcome": state.value,
            "checksum": checksum,
            **({} if repeatable is None else {"repeatable": repeatable}),
            **describe_run(self._lease, origin),
        }
        self._writes.write_entry(ObjectId(), entry, started=True, ended=True)

    def settle(self) -> None:
        if self._settled:
            return
        journal, history = self._writes.journal, self._writes.history
        with explaining_strangers(self._environment, journal):
            patiently(self._environment, lambda: journal.create_index([("key", 1), ("started_at", 1)]))
        open_ones = patiently(self._environment, lambda: list(journal.find(_OPEN, _SHORT)))
        self._end_sessions([entry["session"] for entry in open_ones if "session" in entry])
        processing = {"state": MigrationState.PROCESSING.value}
        keys: set[Any] = {entry.get("key") for entry in open_ones}
        keys |= set(patiently(self._environment, lambda: history.distinct("key", processing)))
        for key in sorted(keys, key=str):
            self._settle(key, [entry for entry in open_ones if entry.get("key") == key])
        self._settled = True

    def _settle(self, key: str, open_ones: Sequence[Document]) -> None:
        """Reconcile the state of ``key`` with its last attempt, and write the one that is out of date."""
        found = patiently(self._environment, lambda: list(self._writes.history.find({"key": key})))
        state, since = _strongest(found)
        last = patiently(self._environment, lambda: self._last_attempt(key))
        true = reconcile(state, since, last)
        for entry in open_ones:
            is_last = last is not None and entry["_id"] == last["_id"]
            outcome = true.outcome if is_last else MigrationState.INTERRUPTED
            if outcome is not None and outcome_of(entry) is None:
                closed = {"outcome": outcome.value, "found_by": owner.describe(owner.identity())}
                self._writes.write_entry(entry["_id"], closed, ended=True)
        if true.stored is not state:
            self._writes.set_state(key, true.stored, of=state, since=true.since)

    def _last_attempt(self, key: str) -> Document | None:
        attempts = {"key": key, "action": {"$nin": NO_ATTEMPTS}, **OF_THESE_CONTENTS}
        return self._writes.journal.find_one(attempts, _SHORT, sort=[("started_at", -1), ("_id", -1)])

    def _end_sessions(self, ids: Sequence[object]) -> None:
        """End the transactions of attempts that were cut off: their locks would last for a minute."""
        if not ids:
            return
        self._lease.renew_patiently()  # or they could belong to a run that took over
        sessions = [{"id": identity} for identity in ids]
        database = self._writes.journal.database
        patiently(self._environment, lambda: database.command("killSessions", sessions))


def _strongest(documents: Sequence[Document]) -> tuple[MigrationState, Any]:
    """The state of a key and its time, by its documents in the history."""
    stored = {state.value: state for state in STRONGEST}
    known = [(stored[d["state"]], d.get("processed_at")) for d in documents if d.get("state") in stored]
    return min(known, key=lambda one: STRONGEST.index(one[0]), default=(MigrationState.NEW, None))
