"""One attempt at a migration, from its beginning to its recorded end."""

from __future__ import annotations

from typing import Any

import bson
from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from monarch.databases.environment import Environment
from monarch.databases.history import (
    Action,
    AttemptStart,
    AttemptStats,
    Failure,
    MigrationState,
    OpenAttempt,
    ScanPosition,
)
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.databases.mongo.connection.cluster import is_mongos
from monarch.databases.mongo.connection.retry import patiently
from monarch.databases.mongo.history.fenced_writes import FencedWrites, describe_run
from monarch.databases.mongo.history.migration_client import MongoTransaction
from monarch.errors import NotCommitted, ServerError

# Bytes of the position of a scan: hundreds of them must fit into an entry of the journal. A scan of documents
# with larger ids begins anew.
_LONGEST_POSITION = 20_000


class MongoOpenAttempt(OpenAttempt):
    """An attempt that ``writes`` records. ``identity`` is the id of its entry in the journal."""

    def __init__(
        self, writes: FencedWrites, begun: AttemptStart, transaction: MongoTransaction | None
    ) -> None:
        self._writes = writes
        self._begun = begun
        self._positions = {label: vars(position) for label, position in begun.positions.items()}
        self._session = transaction.session.session_id["id"] if transaction else None
        self._server_process = _server_process(writes.environment, writes.history)
        self.identity = ObjectId()

    @property
    def entry(self) -> dict[str, Any]:
        """Its entry in the journal, as it begins."""
        begun = self._begun
        optional = {
            "repeatable": begun.repeatable,
            "backup": begun.backup,
            "places": self._positions or None,
            "session": self._session,
        }
        return {
            "key": begun.key,
            "action": begun.action.value,
            "checksum": begun.checksum,
            **{name: value for name, value in optional.items() if value is not None},
            **describe_run(self._writes.lease, begun.origin),
        }

    def complete(self, stats: AttemptStats, transaction: object = None) -> None:
        key = self._begun.key
        state = MigrationState.NEW if self._begun.action is Action.ROLLBACK else MigrationState.COMPLETED
        details = {**_fields(stats), "outcome": MigrationState.COMPLETED.value}
        if transaction is not None:
            assert isinstance(transaction, MongoTransaction)
            self._commit(transaction, state, details)
            return
        self._require_kept()
        ended = {**self.entry, **details}
        self._writes.write_entry(self.identity, ended, ended=True, if_processing=key)
        self._writes.set_state(key, state, of=MigrationState.PROCESSING)
        self._writes.require_state(key, state)

    def _require_kept(self) -> None:
        """Check that the server still has what the migration wrote, and will keep it."""
        # This is acknowledged once it and everything written before it is on the disk.
        self._writes.lease.renew_patiently()
        if self._server_process is None:
            return
        if _server_process(self._writes.environment, self._writes.history) != self._server_process:
            raise ServerError(
                "the server was restarted while it ran, and may have lost what was written before that.",
            )

    def _commit(self, transaction: MongoTransaction, state: MigrationState, details: dict[str, Any]) -> None:
        self._writes.lease.renew_patiently()
        try:
            transaction.commit(lambda session: self._write_in(transaction, state, details, session))
        except ServerError as error:
            # It may have been committed, and only the answer was lost.
            if self._writes.states(self._begun.key) != [state.value]:
                raise NotCommitted(error.message, error.hint) from error

    def _write_in(
        self,
        transaction: MongoTransaction,
        state: MigrationState,
        details: dict[str, Any],
        session: ClientSession,
    ) -> None:
        # Another run took over and has written to the same documents, so the server refused one of the two.
        new: dict[str, Any] = {"$set": {"state": state.value}, "$currentDate": {"processed_at": True}}
        if state is MigrationState.NEW:  # it has not been processed
            new = {"$set": {"state": state.value, "processed_at": None}}
        result = transaction.database[HISTORY].update_many(
            {"key": self._begun.key, "state": MigrationState.PROCESSING.value}, new, session=session
        )
        if result.matched_count == 0:
            self._writes.require_state(self._begun.key, MigrationState.PROCESSING)
        transaction.database[JOURNAL].update_one(
            {"_id": self.identity},
            {"$set": {**self.entry, **details}, "$currentDate": {"finished_at": True}},
            upsert=True,
            session=session,
        )

    def fail(self, failure: Failure, stats: AttemptStats) -> None:
        outcome = MigrationState.INTERRUPTED if failure.interrupted else MigrationState.FAILED
        details = {"outcome": outcome.value, "error": failure.error, "traceback": failure.traceback}
        ended = {**self.entry, **_fields(stats), **details}
        self._writes.write_entry(self.identity, ended, ended=True)
        self._writes.set_state(self._begun.key, MigrationState.FAILED, of=MigrationState.PROCESSING)
        self._writes.require_state(self._begun.key, MigrationState.FAILED)

    def remember(self, label: str, position: ScanPosition | None) -> None:
        recorded = None if position is None else {**vars(position), "until": list(position.until)}
        if recorded is None or len(bson.encode(recorded)) > _LONGEST_POSITION:
            self._positions.pop(label, None)
        else:
            self._positions[label] = recorded
        # The journal has always called them places.
        self._writes.write_entry(self.identity, {**self.entry, "places": self._positions})
        self._writes.lease.renew_patiently()


def _fields(stats: AttemptStats) -> dict[str, Any]:
    return {"seconds": stats.seconds, "documents": stats.documents, "echoed": stats.echoed}


def _server_process(environment: Environment, history: Collection[dict[str, Any]]) -> object:
    """An id of a standalone server that changes when it restarts; None where others keep its data too."""
    hello = patiently(environment, lambda: history.database.client.admin.command("hello"))
    if "setName" in hello or is_mongos(hello):
        return None
    return hello.get("topologyVersion", {}).get("processId")
