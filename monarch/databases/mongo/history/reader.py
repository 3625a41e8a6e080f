"""The history of migrations in MongoDB, as it is read.

``mongo_migration_history`` is the original's, and stays as it was: one document a migration, of
``key``, ``state`` and ``processed_at``. Beside it ``mongo_migration_journal`` holds a document for
every attempt: who, from when to when, how it ended, and the traceback. Times are the server's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference
from pymongo.database import Database as PyMongoDatabase

from monarch.databases.environment import Environment
from monarch.databases.history import (
    Action,
    Attempt,
    HistoryReader,
    JournalEntry,
    MigrationState,
    Record,
    ScanPosition,
)
from monarch.databases.mongo.collection_names import HEAD, HISTORY, JOURNAL, LEASE, SWAP, THE_LEASE
from monarch.databases.mongo.connection import explained
from monarch.databases.mongo.swap_state import unfinished as describe_unfinished
from monarch.errors import ServerError
from monarch.system import process_identity as owner

# Where an original that ran twice at once has left two documents of a key, the first of these counts.
_STRONGEST = (MigrationState.COMPLETED, MigrationState.PROCESSING, MigrationState.FAILED, MigrationState.NEW)
_STORED = frozenset(state.value for state in _STRONGEST)
_COMPLETED = MigrationState.COMPLETED.value
# A newer monarch may write other words.
_ACTIONS = {action.value: action for action in Action}
_OUTCOMES = {
    state.value: state
    for state in (
        MigrationState.NEW,
        MigrationState.COMPLETED,
        MigrationState.FAILED,
        MigrationState.INTERRUPTED,
    )
}
# All in one command: what a history is worth depends on a swap that is just replacing it, what stands in
# Processing on who holds the lease, and what is to run again on the checksum that ran last.
_EVERYTHING: list[dict[str, Any]] = [
    {"$project": {"_id": 0, "key": 1, "state": 1, "processed_at": 1}},
    {
        "$unionWith": {
            "coll": SWAP,
            "pipeline": [{"$match": {"_id": HEAD}}, {"$project": {"_id": 0, "swap": "$$ROOT"}}],
        }
    },
    {
        "$unionWith": {
            "coll": LEASE,
            "pipeline": [
                {"$match": {"_id": THE_LEASE}},
                {
                    "$project": {
                        "_id": 0,
                        "lineage": 1,
                        "run": "$holder.run",
                        "held": {"$gt": ["$expires_at", "$$NOW"]},
                    }
                },
            ],
        }
    },
    {
        "$unionWith": {
            "coll": JOURNAL,
            "pipeline": [
                {"$match": {"$or": [{"outcome": {"$ne": _COMPLETED}}, {"repeatable": {"$exists": True}}]}},
                {"$project": {"traceback": 0, "echoed": 0}},  # before they are sorted, which takes memory
                {"$sort": {"started_at": 1, "_id": 1}},
                {
                    "$group": {
                        "_id": {"key": "$key", "completed": {"$eq": ["$outcome", _COMPLETED]}},
                        "attempt": {"$last": "$$ROOT"},
                    }
                },
                {"$project": {"_id": 0, "attempt": 1}},
            ],
        }
    },
]
# Dates that Python has not are no reason to read nothing.
_ANY_DATE: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
# One answer for all of ten thousand migrations.
_BATCH = 100_000


class MongoHistoryReader(HistoryReader):
    """The history of one environment."""

    def __init__(self, environment: Environment, database: PyMongoDatabase[dict[str, Any]]) -> None:
        self._environment = environment
        # Whatever the settings say of reads, the history is read where it is written.
        database = database.with_options(_ANY_DATE, ReadPreference.PRIMARY)
        self._history = database[HISTORY]
        self._journal = database[JOURNAL]

    def read(self) -> Mapping[str, Record]:
        records = self._read()
        if any(_seems_cut_off(record) for record in records.values()):
            # Or it ended while the history was read: then its state says so by now.
            records = self._read()
        for key, record in records.items():
            told = _told(record)
            if told is not record.state:
                records[key] = replace(record, state=told)
        return records

    def _read(self) -> dict[str, Record]:
        records: dict[str, Record] = {}
        attempts: list[Mapping[str, Any]] = []
        lease: Mapping[str, Any] = {}
        with explained(self._environment):
            for document in self._history.aggregate(_EVERYTHING, batchSize=_BATCH):
                if "swap" in document:
                    raise describe_unfinished(self._environment.name, document["swap"])
                if "held" in document:
                    lease = document
                elif "attempt" in document:
                    attempts.append(document["attempt"])
                else:
                    _keep_the_stronger(records, self._record(document))
        for attempt in attempts:
            key = str(attempt.get("key"))
            if key in records:
                records[key] = _with_attempt(records[key], attempt, lease)
        return records

    def checksums(self) -> Mapping[str, str | None]:
        said = {
            "checksum": {"$exists": True},
            "action": {"$ne": Action.ROLLBACK.value},
            "outcome": {"$nin": [MigrationState.FAILED.value, MigrationState.INTERRUPTED.value]},
        }
        pipeline: list[dict[str, Any]] = [
            {"$match": said},
            {"$project": {"key": 1, "checksum": 1, "started_at": 1}},
            {"$sort": {"started_at": 1, "_id": 1}},
            {"$group": {"_id": "$key", "checksum": {"$last": "$checksum"}}},
        ]
        with explained(self._environment):
            rows = self._journal.aggregate(pipeline, batchSize=_BATCH)
            return {str(row["_id"]): row["checksum"] for row in rows}

    def entries(self, key: str | None = None, *, last: int | None = None) -> tuple[JournalEntry, ...]:
        with explained(self._environment):
            found = self._journal.find({} if key is None else {"key": key}, {"places": 0})
            found = found.sort([("started_at", -1), ("_id", -1)]).limit(last or 0).allow_disk_use(True)
            return tuple(_entry(document) for document in reversed(list(found)))

    def _record(self, document: Mapping[str, Any]) -> Record:
        key, state = document.get("key"), document.get("state")
        if state not in _STORED:
            raise ServerError(
                f"{HISTORY} of {self._environment.name!r} says {state!r} of {key}, "
                "which is no state that this monarch knows.",
                "Was it written by a newer version? Use that one.",
            )
        when = document.get("processed_at")
        if not isinstance(when, datetime | None):
            raise ServerError(
                f"{HISTORY} of {self._environment.name!r} says that {key} was processed at {when!r}.",
                "Write a date or null there.",
            )
        return Record(str(key), MigrationState(state), when)


def _keep_the_stronger(records: dict[str, Record], record: Record) -> None:
    known = records.get(record.key)
    if known is None or _STRONGEST.index(record.state) < _STRONGEST.index(known.state):
        records[record.key] = record


def _with_attempt(record: Record, attempt: Mapping[str, Any], lease: Mapping[str, Any]) -> Record:
    if attempt.get("outcome") == _COMPLETED:
        repeats = attempt.get("checksum") if attempt.get("repeatable") is True else None
        return replace(record, repeats=repeats)
    if record.state in (MigrationState.COMPLETED, MigrationState.NEW):
        return record
    here = owner.is_here(attempt)
    alive = owner.is_alive(attempt)
    run = lease.get("run") if lease.get("held") else None
    holds = run is not None and attempt.get("run") == run and not (here and not alive)
    lineage = attempt.get("lineage") in (None, lease.get("lineage"))
    return replace(
        record,
        attempt=Attempt(
            who=owner.describe(attempt),
            alive=(alive and lineage) or holds,
            outcome=_outcome(attempt),
            error=str(attempt["error"]) if attempt.get("error") else None,
            action=_ACTIONS.get(str(attempt.get("action")), Action.RUN),
            backup=attempt.get("backup"),
            checksum=attempt.get("checksum"),
            places=_places(attempt.get("places")),
        ),
    )


def _places(recorded: Any) -> dict[str, ScanPosition]:
    """Where walks have come to; nothing of what is not as monarch writes it."""
    places = recorded if isinstance(recorded, Mapping) else {}
    whole = {
        label: place
        for label, place in places.items()
        if isinstance(place, Mapping) and "after" in place and isinstance(place.get("documents"), int)
    }
    return {label: ScanPosition(place["after"], place["documents"]) for label, place in whole.items()}


def _told(record: Record) -> MigrationState:
    """The state as it is told: what stands in Processing may have been cut off."""
    attempt = record.attempt
    if record.state is MigrationState.PROCESSING:
        if attempt is not None and attempt.outcome is MigrationState.FAILED:
            return MigrationState.FAILED
        running = attempt is not None and attempt.alive and attempt.outcome is None
        return MigrationState.PROCESSING if running else MigrationState.INTERRUPTED
    if (
        record.state is MigrationState.FAILED
        and attempt is not None
        and attempt.outcome is MigrationState.INTERRUPTED
    ):
        return MigrationState.INTERRUPTED
    return record.state


def _seems_cut_off(record: Record) -> bool:
    return record.state is MigrationState.PROCESSING and _told(record) is not MigrationState.PROCESSING


def _outcome(document: Mapping[str, Any]) -> MigrationState | None:
    return _OUTCOMES.get(str(document.get("outcome")))


def _entry(document: Mapping[str, Any]) -> JournalEntry:
    def text(name: str) -> str | None:
        value = document.get(name)
        return None if value is None else str(value)

    def of_kind(name: str, kind: Any) -> Any:
        value = document.get(name)  # by hand somebody may have written anything
        return value if isinstance(value, kind) else None

    return JournalEntry(
        key=str(document.get("key")),
        action=_ACTIONS.get(str(document.get("action")), Action.RUN),
        outcome=_outcome(document),
        started_at=of_kind("started_at", datetime),
        finished_at=of_kind("finished_at", datetime),
        seconds=of_kind("seconds", int | float),
        documents=of_kind("documents", int),
        pid=of_kind("pid", int),
        **{
            name: text(name)
            for name in ("host", "user", "monarch", "commit", "job", "link", "checksum", "backup")
        },
        **{name: text(name) for name in ("error", "traceback", "echoed")},
    )
