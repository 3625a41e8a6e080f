"""Read the history of migrations in MongoDB. Nothing here writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pymongo import ReadPreference
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import OperationFailure

from monarch.databases.environment import Environment
from monarch.databases.history import (
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
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.databases.mongo.connection.client import explained
from monarch.databases.mongo.history.queries import EVERYTHING, LAST_ATTEMPTS, OF_THESE_CONTENTS
from monarch.databases.mongo.history.reconcile import (
    ANY_DATE,
    STRONGEST,
    outcome_of,
    reconcile,
)
from monarch.databases.mongo.swap_state import unfinished as describe_unfinished
from monarch.errors import ServerError
from monarch.system import process_identity as owner

Document = Mapping[str, Any]
_STORED = frozenset(state.value for state in STRONGEST)
_COMPLETED = MigrationState.COMPLETED.value
# A newer monarch may write other words.
_ACTIONS = {action.value: action for action in Action}
# One answer for all of ten thousand migrations.
_BATCH = 100_000
# "Exceeded memory limit", of servers since 4.4 and before.
_MEMORY_EXCEEDED = (292, 146, 96, 16819)


@dataclass
class _Found:
    """What one command has read: the records as they are stored, and what the journal has of each key.

    ``outcomes`` are those of the last attempts, as `resolve` decides them; None while they run.
    """

    records: dict[str, Record] = field(default_factory=dict)
    attempts: dict[str, list[Document]] = field(default_factory=dict)
    last: dict[str, Document] = field(default_factory=dict)
    lease: Document = field(default_factory=dict)
    outcomes: dict[str, MigrationState | None] = field(default_factory=dict)

    def resolve(self) -> bool:
        """Correct the records by their last attempts; return whether the result is certain.

        It is not certain that a run was cut off: it may have ended while the history was read.
        """
        certain = True
        processing = {key for key, r in self.records.items() if r.state is MigrationState.PROCESSING}
        for key in processing | self.attempts.keys():
            record = self._resolve(self.records.get(key, Record(key, MigrationState.NEW)))
            certain &= key not in processing or record.state is MigrationState.PROCESSING
            if key in self.records:
                self.records[key] = record
        return certain

    def _resolve(self, record: Record) -> Record:
        attempts = self.attempts.get(record.key, ())
        unfinished = next((entry for entry in attempts if entry.get("outcome") != _COMPLETED), None)
        entry = self.last.get(record.key, unfinished)
        running = entry is not None and self._may_run(entry)
        true = reconcile(record.state, record.processed_at, entry, running=running)
        self.outcomes[record.key] = true.outcome
        completed = [one for one in attempts if one.get("outcome") == _COMPLETED]
        if entry is not None and true.outcome is MigrationState.COMPLETED:
            completed.append(entry)
        repeats = completed[-1] if completed and completed[-1].get("repeatable") is True else {}
        if entry is not None and outcome_of(entry) is MigrationState.COMPLETED:
            entry = None  # it is not the one that left this state
        return replace(
            record,
            state=true.state,
            processed_at=true.since,
            settled=true.stored is record.state,
            repeats=repeats.get("checksum"),
            attempt=_attempt(entry, running) if entry and true.state in UNFINISHED else None,
        )

    def _may_run(self, entry: Document) -> bool:
        """Whether the run that made ``entry`` may be alive: here, or as the holder of the lease."""
        here, alive = owner.is_local(entry), owner.is_alive(entry)
        run = self.lease.get("run") if self.lease.get("held") else None
        holds = run is not None and entry.get("run") == run and not (here and not alive)
        lineage = entry.get("lineage") in (None, self.lease.get("lineage"))
        return (alive and lineage) or holds


class MongoHistoryReader(HistoryReader):
    """The history of one environment."""

    def __init__(self, environment: Environment, database: PyMongoDatabase[dict[str, Any]]) -> None:
        self._environment = environment
        # The history is read where it is written, also if the settings prefer to read elsewhere.
        database = database.with_options(ANY_DATE, ReadPreference.PRIMARY)
        self._history = database[HISTORY]
        self._journal = database[JOURNAL]

    def read(self) -> Mapping[str, Record]:
        return self._read().records

    def _read(self) -> _Found:
        found = _Found()
        for pipeline in (EVERYTHING, [*EVERYTHING, LAST_ATTEMPTS]):
            found = _Found()
            for document in self._aggregate(self._history, pipeline):
                self._add(document, found)
            if found.resolve():
                break
        return found

    def _aggregate(self, collection: Any, pipeline: list[dict[str, Any]]) -> list[Document]:
        def run(on_disk: bool) -> list[Document]:
            more = {"allowDiskUse": True} if on_disk else {}
            return list(collection.aggregate(pipeline, batchSize=_BATCH, **more))

        return self._sorted(run)

    def _sorted(self, run: Callable[[bool], list[Document]]) -> list[Document]:
        """Call ``run`` so that the server sorts in its memory, or else on its disk.

        Not on disk at once: the smallest clusters of Atlas refuse that.
        """
        with explained(self._environment):
            try:
                return run(False)
            except OperationFailure as error:
                if error.code not in _MEMORY_EXCEEDED:
                    raise
            return run(True)

    def _add(self, document: Document, found: _Found) -> None:
        """Add ``document``, from any part of `EVERYTHING` or from `LAST_ATTEMPTS`, to ``found``."""
        if "swap" in document:
            raise describe_unfinished(self._environment.label, document["swap"])
        if "held" in document:
            found.lease = document
        elif "attempt" in document:
            found.attempts.setdefault(str(document["attempt"].get("key")), []).append(document["attempt"])
        elif "last" in document:
            found.last[str(document["last"].get("key"))] = document["last"]
        else:
            _keep_the_stronger(found.records, self._record(document))

    def checksums(self) -> Mapping[str, str | None]:
        counts = {
            **OF_THESE_CONTENTS,
            "checksum": {"$exists": True},
            "action": {"$ne": Action.ROLLBACK.value},
            "outcome": {"$nin": [MigrationState.FAILED.value, MigrationState.INTERRUPTED.value]},
        }
        pipeline: list[dict[str, Any]] = [
            {"$match": counts},
            {"$project": {"key": 1, "checksum": 1, "started_at": 1}},
            {"$sort": {"started_at": 1, "_id": 1}},
            {"$group": {"_id": "$key", "checksum": {"$last": "$checksum"}}},
        ]
        return {str(row["_id"]): row["checksum"] for row in self._aggregate(self._journal, pipeline)}

    def entries(
        self, key: str | None = None, *, last: int | None = None, everything: bool = False
    ) -> tuple[JournalEntry, ...]:
        selected: dict[str, Any] = {} if key is None else {"key": key}
        if not everything:
            selected |= {**OF_THESE_CONTENTS, "action": {"$nin": [one.value for one in OPERATIONS]}}

        def find(on_disk: bool) -> list[Document]:
            found = self._journal.find(selected, {"places": 0})
            found = found.sort([("started_at", -1), ("_id", -1)]).limit(last or 0)
            return list(found.allow_disk_use(True) if on_disk else found)

        documents = self._sorted(find)[::-1]
        outcomes: Mapping[str, MigrationState | None] = {}
        if any(outcome_of(document) is None for document in documents):
            outcomes = self._read().outcomes
        return tuple(_entry(document, outcomes) for document in documents)

    def _record(self, document: Mapping[str, Any]) -> Record:
        key, state = document.get("key"), document.get("state")
        if state not in _STORED:
            raise ServerError(
                f"{HISTORY} of {self._environment.label!r} says {state!r} of {key}, "
                "which is no state that this monarch knows.",
                "Was it written by a newer version? Use that one.",
            )
        when = document.get("processed_at")
        if not isinstance(when, datetime | None):
            raise ServerError(
                f"{HISTORY} of {self._environment.label!r} says that {key} was processed at {when!r}.",
                "Write a date or null there.",
            )
        return Record(str(key), MigrationState(state), when)


def _keep_the_stronger(records: dict[str, Record], record: Record) -> None:
    known = records.get(record.key)
    if known is None or STRONGEST.index(record.state) < STRONGEST.index(known.state):
        records[record.key] = record


def _attempt(entry: Document, alive: bool) -> Attempt:
    return Attempt(
        who=owner.describe(entry),
        alive=alive,
        outcome=outcome_of(entry),
        error=str(entry["error"]) if entry.get("error") else None,
        action=_ACTIONS.get(str(entry.get("action")), Action.RUN),
        backup=entry.get("backup"),
        checksum=entry.get("checksum"),
        positions=_positions(entry.get("places")),
    )


def _positions(recorded: Any) -> dict[str, ScanPosition]:
    """The positions of scans, without those that monarch did not write like this."""
    whole = {
        label: position
        for label, position in (recorded if isinstance(recorded, Mapping) else {}).items()
        if isinstance(position, Mapping)
        and "after" in position
        and isinstance(position.get("documents"), int)
    }
    return {
        label: ScanPosition(one["after"], one["documents"], _until(one.get("until")))
        for label, one in whole.items()
    }


def _until(recorded: Any) -> tuple[object, ...]:
    """The end of a scan; none in what older monarchs wrote."""
    return tuple(recorded) if isinstance(recorded, list) and len(recorded) == 1 else ()


def _entry(document: Document, outcomes: Mapping[str, MigrationState | None]) -> JournalEntry:
    """An entry of the journal; ``outcomes`` has those of open ones by their keys, None while they run."""
    open_ended = MigrationState.INTERRUPTED if owner.has_died(document) else MigrationState.PROCESSING
    outcome = outcome_of(document) or outcomes.get(str(document.get("key"))) or open_ended

    def text(name: str) -> str | None:
        value = document.get(name)
        return None if value is None else str(value)

    def of_kind(name: str, kind: Any) -> Any:
        value = document.get(name)  # it may have been edited by hand
        return value if isinstance(value, kind) else None

    return JournalEntry(
        key=str(document.get("key")),
        action=_ACTIONS.get(str(document.get("action")), Action.RUN),
        outcome=outcome,
        started_at=of_kind("started_at", datetime),
        finished_at=of_kind("finished_at", datetime),
        seconds=of_kind("seconds", int | float),
        documents=of_kind("documents", int),
        pid=of_kind("pid", int),
        **{
            name: text(name)
            for name in ("host", "user", "monarch", "commit", "job", "link", "checksum", "backup")
        },
        **{name: text(name) for name in ("environment", "query_set", "run")},
        query_options=tuple(map(str, of_kind("query_options", list) or ())),
        bytes=of_kind("bytes", int),
        replaced=document.get("replaced") is True,
        backups=(),
        **{name: text(name) for name in ("error", "traceback", "echoed")},
    )
