"""The history: a journal from which every state is derived. Each entry is JSON in a row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from monarch.databases.history import (
    OPERATIONS,
    Action,
    Attempt,
    AttemptStart,
    AttemptStats,
    Failure,
    HistoryReader,
    HistoryWriter,
    JournalEntry,
    MigrationState,
    OpenAttempt,
    Operation,
    Record,
    ScanPosition,
)
from monarch.errors import NotCommitted, ServerError
from monarch.system import process_identity
from monarch.system.ci import Origin
from tests.support.databases.toy.connection import explained, tables, writing
from tests.support.databases.toy.lease import ToyLease
from tests.support.databases.toy.migration import ToyTransaction

Entry = dict[str, Any]
T = TypeVar("T")
_SAME = ("seconds", "documents", "host", "user", "pid", "monarch", "commit", "job", "link", "checksum")
_SHOWN = (*_SAME, "backup", "error", "traceback", "echoed")


class ToyHistoryReader(HistoryReader):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self) -> Mapping[str, Record]:
        records: dict[str, Record] = {}
        for entry in self._entries():
            key = entry["key"]
            records[key] = _record(entry, records.get(key, Record(key, MigrationState.NEW)))
        return records

    def checksums(self) -> Mapping[str, str | None]:
        passing = (MigrationState.FAILED, MigrationState.INTERRUPTED)
        return {
            entry["key"]: entry["checksum"]
            for entry in self._entries()
            if entry["action"] != Action.ROLLBACK.value and _outcome(entry) not in passing
        }

    def entries(
        self, key: str | None = None, *, last: int | None = None, everything: bool = False
    ) -> tuple[JournalEntry, ...]:
        found = [entry for entry in self._entries(operations=everything) if key in (None, entry["key"])]
        return tuple(map(_journal_entry, found[-last:] if last else found))

    def _entries(self, *, operations: bool = False) -> list[Entry]:
        if "monarch_journal" not in tables(self._connection):
            return []
        with explained():
            rows = self._connection.execute("SELECT entry FROM monarch_journal ORDER BY id")
            found = [json.loads(entry) for (entry,) in rows]
        left_out = () if operations else [one.value for one in OPERATIONS]
        return [entry for entry in found if entry["action"] not in left_out]


class ToyHistoryWriter(HistoryWriter):
    """Writes the history while ``lease`` is held."""

    def __init__(self, connection: sqlite3.Connection, lease: ToyLease) -> None:
        self.connection = connection
        self.lease = lease

    def check(self) -> None:
        self.lease.check()

    def settle(self) -> None:
        def close(connection: sqlite3.Connection) -> None:
            for identity, text in connection.execute("SELECT id, entry FROM monarch_journal").fetchall():
                entry = json.loads(text)
                if entry["outcome"] is None:
                    store(connection, identity, {**entry, "outcome": MigrationState.INTERRUPTED.value})

        self.write(close)

    def begin(self, begun: AttemptStart, transaction: object = None) -> ToyOpenAttempt:
        self.settle()
        places = {label: vars(position) for label, position in begun.positions.items()}
        entry = {
            **_described(begun.key, begun.action, begun.checksum, begun.origin, begun.repeatable),
            "backup": begun.backup,
            "places": places,
        }
        assert transaction is None or isinstance(transaction, ToyTransaction)
        identity = self.write(lambda connection: _add(connection, entry))
        return ToyOpenAttempt(self, identity, entry, transaction)

    def mark(
        self,
        key: str,
        state: MigrationState,
        checksum: str | None,
        origin: Origin,
        repeatable: bool | None = None,
    ) -> None:
        self.settle()
        self._add_ended(_described(key, Action.MARK, checksum, origin, repeatable), state)

    def accept(self, key: str, checksum: str | None, origin: Origin, repeatable: bool | None = None) -> None:
        entry = _described(key, Action.ACCEPT, checksum, origin, repeatable)
        self._add_ended(entry, MigrationState.COMPLETED)

    def _add_ended(self, entry: Entry, state: MigrationState) -> None:
        ended = {**entry, "outcome": state.value, "finished_at": _now()}
        self.write(lambda connection: _add(connection, ended))

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Call ``change`` in a transaction that checks this run's lease."""
        with writing(self.connection):
            self.lease.check_in(self.connection)
            return change(self.connection)


class ToyOpenAttempt(OpenAttempt):
    def __init__(
        self, writer: ToyHistoryWriter, identity: int, entry: Entry, transaction: ToyTransaction | None
    ) -> None:
        self._transaction = transaction
        self._writer = writer
        self._identity = identity
        self._entry = entry

    def complete(self, stats: AttemptStats, transaction: object = None) -> None:
        self._entry |= {**vars(stats), "outcome": MigrationState.COMPLETED.value, "finished_at": _now()}
        if transaction is None:
            self._write()
            return
        assert isinstance(transaction, ToyTransaction)
        try:
            self._writer.lease.check_in(transaction.connection)
            with explained():
                store(transaction.connection, self._identity, self._entry)
                transaction.connection.execute("COMMIT")
        except ServerError as error:
            raise NotCommitted(error.message, error.hint) from error

    def fail(self, failure: Failure, stats: AttemptStats) -> None:
        if self._transaction is not None:
            self._transaction.undo()  # it locks out other writers
        outcome = MigrationState.INTERRUPTED if failure.interrupted else MigrationState.FAILED
        why = {"error": failure.error, "traceback": failure.traceback, "outcome": outcome.value}
        self._entry |= {**vars(stats), **why, "finished_at": _now()}
        self._write()

    def remember(self, label: str, position: ScanPosition | None) -> None:
        self._entry["places"].pop(label, None)
        if position is not None:
            self._entry["places"][label] = vars(position)
        self._write()

    def _write(self) -> None:
        self._writer.write(lambda connection: store(connection, self._identity, self._entry))


def store(connection: sqlite3.Connection, identity: int, entry: Entry) -> None:
    """Replace the journal's entry with this ``identity``."""
    connection.execute("UPDATE monarch_journal SET entry = ? WHERE id = ?", (json.dumps(entry), identity))


def _add(connection: sqlite3.Connection, entry: Entry) -> int:
    values = (entry["key"], json.dumps(entry))
    added = connection.execute("INSERT INTO monarch_journal (key, entry) VALUES (?, ?)", values)
    assert added.lastrowid is not None
    return added.lastrowid


def add_operation(connection: sqlite3.Connection, operation: Operation) -> None:
    process = {**vars(operation.origin), **process_identity.identity()}
    forget_operation(connection, operation)
    times = {"started_at": _now(), "finished_at": _now() if operation.outcome else None}
    _add(connection, {**process, **times, "outcome": None, "id": operation.id, **operation.fields()})


def forget_operation(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute("DELETE FROM monarch_journal WHERE json_extract(entry, '$.id') = ?", (operation.id,))


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat()


def _described(
    key: str, action: Action, checksum: str | None, origin: Origin, repeatable: bool | None
) -> Entry:
    about = {"key": key, "action": action.value, "checksum": checksum, "repeatable": repeatable}
    times = {"started_at": _now(), "outcome": None}
    return {**about, **times, **vars(origin), **process_identity.identity()}


def _outcome(entry: Entry) -> MigrationState:
    if entry["outcome"] is not None:
        return MigrationState(entry["outcome"])
    alive = process_identity.is_alive(entry)
    return MigrationState.PROCESSING if alive else MigrationState.INTERRUPTED


def _record(entry: Entry, before: Record) -> Record:
    """Return the record of a migration after ``entry``; ``before`` is the record before it."""
    outcome, action = _outcome(entry), Action(entry["action"])
    repeats = before.repeats
    if outcome is MigrationState.COMPLETED and entry["repeatable"] is not None:
        repeats = entry["checksum"] if entry["repeatable"] else None
    if action is Action.ACCEPT:
        return Record(before.key, before.state, before.processed_at, before.attempt, repeats)
    settled = entry["outcome"] is not None or outcome is MigrationState.PROCESSING
    if outcome in (MigrationState.NEW, MigrationState.COMPLETED):
        state = MigrationState.NEW if action is Action.ROLLBACK else outcome
        when = _time(entry, "finished_at") if state is MigrationState.COMPLETED else None
        return Record(before.key, state, when, None, repeats)
    return Record(before.key, outcome, _time(entry, "started_at"), _attempt(entry), repeats, settled)


def _attempt(entry: Entry) -> Attempt:
    outcome = _outcome(entry)
    return Attempt(
        who=process_identity.describe(entry),
        alive=outcome is MigrationState.PROCESSING,
        outcome=None if outcome is MigrationState.PROCESSING else outcome,
        error=entry.get("error"),
        action=Action(entry["action"]),
        backup=entry.get("backup"),
        checksum=entry["checksum"],
        positions={label: _position(place) for label, place in entry["places"].items()},
    )


def _journal_entry(entry: Entry) -> JournalEntry:
    shown: dict[str, Any] = {name: entry.get(name) for name in _SHOWN}
    key, action = entry["key"], Action(entry["action"])
    times = _time(entry, "started_at"), _time(entry, "finished_at")
    return JournalEntry(key, action, _outcome(entry), *times, **shown)


def _time(entry: Entry, name: str) -> datetime | None:
    text = entry.get(name)
    return datetime.fromisoformat(text) if text else None


def _position(place: dict[str, Any]) -> ScanPosition:
    return ScanPosition(place["after"], place["documents"], tuple(place.get("until", ())))
