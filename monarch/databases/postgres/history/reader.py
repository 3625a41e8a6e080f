"""Read the history of migrations in PostgreSQL. Nothing here writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from monarch.databases.history import (
    NO_ATTEMPTS,
    OPERATIONS,
    UNFINISHED,
    Action,
    Attempt,
    HistoryReader,
    JournalEntry,
    MigrationState,
    Record,
    ScanPosition,
)
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.schema import is_missing
from monarch.errors import ServerError
from monarch.system import process_identity as owner

Row = Mapping[str, Any]
# A newer monarch may write other words.
_ACTIONS = {action.value: action for action in Action}
_OUTCOMES: Mapping[str, MigrationState] = {
    state.value: state for state in MigrationState if state is not MigrationState.PROCESSING
}
_ARRIVALS = (Action.COPY, Action.RESTORE, Action.RAW)
_STORED = frozenset(state.value for state in MigrationState) - {MigrationState.INTERRUPTED.value}

# In one statement, which sees one snapshot: what Processing means depends on the holder of the lease, and
# what runs again on the checksum that ran last.
_EVERYTHING = """
    SELECT 'record' AS part, key, state, processed_at, NULL::jsonb AS details FROM monarch_history.history
    UNION ALL
    SELECT 'lease', NULL, NULL, NULL, jsonb_build_object(
        'run', run, 'lineage', lineage, 'held', expires_at > clock_timestamp()
    ) FROM monarch_history.lease JOIN monarch_history.heartbeat USING (id)
    UNION ALL
    SELECT 'attempt', key, NULL, NULL, last.details FROM monarch_history.history CROSS JOIN LATERAL (
        SELECT to_jsonb(journal) - 'traceback' - 'echoed' AS details FROM monarch_history.journal
        WHERE journal.key = history.key AND action <> ALL (%(no_attempts)s)
        ORDER BY id DESC LIMIT 1
    ) last WHERE state IN ('Processing', 'Failed')
    UNION ALL
    SELECT 'repeats', key, NULL, NULL, to_jsonb(checksum) FROM (
        SELECT DISTINCT ON (key) key, checksum, repeatable FROM monarch_history.journal
        WHERE outcome = 'Completed' AND repeatable IS NOT NULL ORDER BY key, id DESC
    ) completed WHERE repeatable
"""
_CHECKSUMS = """
    SELECT DISTINCT ON (key) key, checksum FROM monarch_history.journal
    WHERE action <> ALL (%(other)s) AND coalesce(outcome, '') NOT IN ('Failed', 'Interrupted')
    ORDER BY key, id DESC
"""
_ENTRIES = """
    SELECT key, action, outcome, started_at, finished_at, seconds, rows, checksum, backup, error,
           traceback, echoed, process,
           id < (SELECT max(id) FROM monarch_history.journal WHERE action = ANY (%(arrivals)s)) AS replaced
    FROM monarch_history.journal
    WHERE (%(key)s::text IS NULL OR key = %(key)s) AND action <> ALL (%(left_out)s)
    ORDER BY id DESC LIMIT %(last)s
"""


class PostgresHistoryReader(HistoryReader):
    """The history of one environment."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self) -> Mapping[str, Record]:
        found = self._query(_EVERYTHING, {"no_attempts": _values(NO_ATTEMPTS)})
        parts: dict[str, dict[str, Row]] = {"record": {}, "lease": {}, "attempt": {}, "repeats": {}}
        for row in found:
            parts[row["part"]][str(row["key"])] = row
        lease: Row = next((row["details"] for row in parts["lease"].values()), {})
        return {
            key: self._record(row, parts["attempt"].get(key), parts["repeats"].get(key), lease)
            for key, row in parts["record"].items()
        }

    def checksums(self) -> Mapping[str, str | None]:
        other = _values((Action.ROLLBACK, Action.RAW, *OPERATIONS))
        return {str(row["key"]): row["checksum"] for row in self._query(_CHECKSUMS, {"other": other})}

    def entries(
        self, key: str | None = None, *, last: int | None = None, everything: bool = False
    ) -> tuple[JournalEntry, ...]:
        left_out = _values(() if everything else OPERATIONS)
        values = {"key": key, "last": last, "left_out": left_out, "arrivals": _values(_ARRIVALS)}
        rows = self._query(_ENTRIES, values)[::-1]
        records = self.read() if any(row["outcome"] not in _OUTCOMES for row in rows) else {}
        return tuple(_entry(row, records) for row in rows)

    def _query(self, sql: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Return the rows of one statement; none if this database has no history yet."""
        with explained(self._session.environment):
            try:
                return self._session.rows(sql, values)
            except psycopg.Error as error:
                if is_missing(error):
                    return []
                raise

    def _record(self, row: Row, attempt: Row | None, repeats: Row | None, lease: Row) -> Record:
        key, stored = str(row["key"]), row["state"]
        if stored not in _STORED:
            raise ServerError(
                f"The history of {self._session.environment.label!r} says {stored!r} of {key}, "
                "which is no state that this monarch knows.",
                "Was it written by a newer version? Use that one.",
            )
        state, last = MigrationState(stored), None
        if attempt is not None:
            last = _attempt(attempt["details"], lease)
            if last.outcome is MigrationState.INTERRUPTED or (last.outcome is None and not last.alive):
                state = MigrationState.INTERRUPTED
        return Record(
            key,
            state,
            _in_utc(row["processed_at"]),
            attempt=last if state in UNFINISHED else None,
            repeats=None if repeats is None else repeats["details"],
            # What a dead run has left open is closed by the next writer.
            settled=last is None or last.outcome is not None or last.alive,
        )


def _attempt(entry: Row, lease: Row) -> Attempt:
    process = entry["process"]
    here, alive = owner.is_local(process), owner.is_alive(process)
    holds = bool(lease.get("held")) and process.get("run") == lease.get("run") and not (here and not alive)
    running = holds or (alive and process.get("lineage") == lease.get("lineage"))
    outcome = _OUTCOMES.get(str(entry["outcome"]))
    if outcome is None and not running:
        outcome = MigrationState.INTERRUPTED
    return Attempt(
        who=owner.describe(process),
        alive=running,
        outcome=outcome,
        error=entry["error"] or None,
        action=_ACTIONS.get(entry["action"], Action.RUN),
        backup=entry["backup"],
        checksum=entry["checksum"],
        positions={
            label: ScanPosition(one["after"], one["documents"], tuple(one["until"]))
            for label, one in entry["positions"].items()
        },
    )


def _entry(row: Row, records: Mapping[str, Record]) -> JournalEntry:
    record, process = records.get(row["key"]), row["process"]
    now = record.state if record and record.state in UNFINISHED else MigrationState.INTERRUPTED
    if row["action"] in _values(OPERATIONS) and not owner.has_died(process):
        now = MigrationState.PROCESSING
    outcome = _OUTCOMES.get(str(row["outcome"]), now)
    names = ("host", "user", "pid", "monarch", "commit", "job", "link", "environment", "query_set", "run")
    return JournalEntry(
        key=row["key"],
        action=_ACTIONS.get(row["action"], Action.RUN),
        outcome=outcome,
        started_at=_in_utc(row["started_at"]),
        finished_at=_in_utc(row["finished_at"]),
        seconds=row["seconds"],
        documents=row["rows"],
        **{name: process.get(name) for name in names},
        query_options=tuple(process.get("query_options", ())),
        bytes=process.get("bytes"),
        replaced=row["replaced"] is True,
        **{name: row[name] for name in ("checksum", "backup", "error", "traceback", "echoed")},
    )


def _values(actions: Sequence[Action]) -> list[str]:
    return [action.value for action in actions]


def _in_utc(when: datetime | None) -> datetime | None:
    return None if when is None else when.astimezone(UTC)
