"""The history of migrations in MongoDB.

``mongo_migration_history`` is the original's, and stays as it was: one document a migration, of
``key``, ``state`` and ``processed_at``. Beside it ``mongo_migration_journal`` holds a document for
every attempt: who, from when to when, how it ended, and the traceback. Times are the server's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ReadPreference, WriteConcern
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import DuplicateKeyError

from monarch.databases import owner
from monarch.databases.mongo.connection import explained
from monarch.databases.mongo.names import HEAD, SWAP
from monarch.databases.mongo.unfinished import unfinished as describe_unfinished
from monarch.environments import Environment
from monarch.errors import LockedError, ServerError
from monarch.history import Attempt, Failure, History, Record, State

HISTORY = "mongo_migration_history"
JOURNAL = "mongo_migration_journal"

# Acknowledged by most of the members, so that no failover forgets it; bounded, so that nothing hangs.
_DURABLE = WriteConcern("majority", wtimeout=30_000)
_UNFINISHED = (State.PROCESSING, State.FAILED)
# Where an original that ran twice at once has left two documents of a key, the first of these counts.
_STRONGEST = (State.COMPLETED, State.PROCESSING, State.FAILED, State.NEW)
# In the same command, so that a history is never believed that a swap is just replacing.
_EVERYTHING: list[dict[str, Any]] = [
    {"$project": {"_id": 0, "key": 1, "state": 1, "processed_at": 1}},
    {
        "$unionWith": {
            "coll": SWAP,
            "pipeline": [{"$match": {"_id": HEAD}}, {"$project": {"_id": 0, "swap": "$$ROOT"}}],
        }
    },
]


class MongoHistory(History):
    """The history of one environment."""

    def __init__(self, environment: Environment, database: PyMongoDatabase[dict[str, Any]]) -> None:
        self._environment = environment
        # Whatever the settings say of reads, the history is read where it is written.
        options: dict[str, Any] = {
            "read_preference": ReadPreference.PRIMARY,
            "write_concern": _DURABLE,
        }
        self._history = database.get_collection(HISTORY, **options)
        self._journal = database.get_collection(JOURNAL, **options)
        self._attempts: dict[str, ObjectId] = {}

    def read(self) -> Mapping[str, Record]:
        records = self._read()
        if any(_has_just_ended(record) for record in records.values()):
            # It ended between the two queries: by now its state says so too, unless it was killed there.
            records = self._read()
        return records

    def _read(self) -> dict[str, Record]:
        records: dict[str, Record] = {}
        with explained(self._environment):
            for document in self._history.aggregate(_EVERYTHING):
                if "swap" in document:
                    raise describe_unfinished(self._environment.name, document["swap"])
                record = self._record(document)
                known = records.get(record.key)
                if known is None or _STRONGEST.index(record.state) < _STRONGEST.index(known.state):
                    records[record.key] = record
            unfinished = [key for key, record in records.items() if record.state in _UNFINISHED]
            if unfinished:
                # Oldest first: of the attempts at one key the last one stays.
                for attempt in self._journal.find({"key": {"$in": unfinished}}, sort=[("started_at", 1)]):
                    key = attempt["key"]
                    records[key] = replace(records[key], attempt=_attempt(attempt))
        return records

    def start(self, key: str, seen: Record | None) -> None:
        changes = {
            "$set": {"key": key, "state": State.PROCESSING.value},
            "$currentDate": {"processed_at": True},
        }
        attempt = self._attempts[key] = ObjectId()
        with explained(self._environment):
            # First who it is, so that whoever finds the key taken finds out by whom.
            self._journal.update_one(
                {"_id": attempt},
                {"$set": {"key": key, **owner.identity()}, "$currentDate": {"started_at": True}},
                upsert=True,
            )
            if seen is None:
                first = self._insert(key, changes)
            else:
                # With its time, or two that retry the same dead run could both take it.
                same = {"key": key, "state": seen.state.value, "processed_at": seen.processed_at}
                first = self._history.update_one(same, changes).matched_count == 1
            if not first:
                self._journal.delete_one({"_id": attempt})
                raise LockedError(
                    f"Another run has just taken {key} on {self._environment.name!r}.",
                    f"See what it does with: monarch list_migrations {self._environment.name}",
                )

    def complete(self, key: str) -> None:
        self._finish(key, State.COMPLETED, {"outcome": "Completed"})

    def fail(self, key: str, failure: Failure) -> None:
        outcome = "Interrupted" if failure.interrupted else "Failed"
        details = {"outcome": outcome, "error": failure.error, "traceback": failure.traceback}
        self._finish(key, State.FAILED, details)

    def _insert(self, key: str, changes: Mapping[str, Any]) -> bool:
        """Insert the first document of ``key``; False if somebody else just has.

        Its ``_id`` is derived from the key, so that two runs cannot both insert one.
        """
        identity = ObjectId(hashlib.sha256(key.encode()).digest()[:12])
        try:
            result = self._history.update_one({"_id": identity, "key": {"$ne": key}}, changes, upsert=True)
        except DuplicateKeyError:
            return False
        return result.upserted_id is not None

    def _finish(self, key: str, state: State, details: Mapping[str, Any]) -> None:
        stamp = {"processed_at": True}
        with explained(self._environment):
            self._journal.update_one(
                {"_id": self._attempts[key]},
                {"$set": dict(details), "$currentDate": {"finished_at": True}},
            )
            # All of a key's documents, should the original have left more than one.
            result = self._history.update_many(
                {"key": key}, {"$set": {"state": state.value}, "$currentDate": stamp}
            )
        if result.matched_count == 0:
            raise ServerError(
                f"The record of {key} has vanished from {HISTORY} while it ran.",
                "Did the migration drop it? Look before you run anything else.",
            )

    def _record(self, document: Mapping[str, Any]) -> Record:
        key, state = document.get("key"), document.get("state")
        try:
            when = document.get("processed_at")
            if not isinstance(when, datetime | None):
                raise ServerError(
                    f"{HISTORY} of {self._environment.name!r} says that {key} was processed at {when!r}.",
                    "Write a date or null there.",
                )
            return Record(str(key), State(state), when)
        except ValueError:
            raise ServerError(
                f"{HISTORY} of {self._environment.name!r} says {state!r} of {key}, "
                "which is no state that this monarch knows.",
                "Was it written by a newer version? Use that one.",
            ) from None


def _attempt(document: Mapping[str, Any]) -> Attempt:
    return Attempt(
        who=owner.describe(document),
        alive=owner.is_alive(document),
        ended="outcome" in document,
        error=str(document["error"]) if document.get("error") else None,
    )


def _has_just_ended(record: Record) -> bool:
    return record.state is State.PROCESSING and record.attempt is not None and record.attempt.ended
