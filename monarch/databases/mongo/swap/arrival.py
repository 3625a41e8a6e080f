"""The journal of a target whose contents are replaced: it is staged with them, and arrives with them.

It is that of the source, and what the target's own journal has of its own environment. With it arrives the
entry of the command that replaces the contents, even if the run is killed right after the swap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bson import ObjectId

from monarch.databases.history import MigrationState
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.collection_names import JOURNAL
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.swap.staging import Staging
from monarch.databases.transfer import CopiedCollection

_ID_INDEX = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
# Returns what an update stores as the entry of the journal, with expressions.
Recording = Callable[[tuple[CopiedCollection, ...]], Mapping[str, Any]]


def with_journal(collections: tuple[Collection, ...]) -> tuple[Collection, ...]:
    """Return ``collections``, and an empty journal if none of them is one."""
    if any(collection.name == JOURNAL for collection in collections):
        return collections
    return (*collections, Collection(JOURNAL, "collection", {}, (_ID_INDEX,)))


def keep_own_entries(target: DatabaseHandle, staging: Staging, lineage: object) -> None:
    """Add to the staged journal what that of ``target`` has of its own environment, or of its ``lineage``.

    That is what was done on contents that are replaced now. Attempts that are open were cut off: this run
    holds the lease.
    """
    own = {"$or": [{"environment": target.name}, {"lineage": lineage}]}
    interrupted = {"$ifNull": ["$outcome", MigrationState.INTERRUPTED.value]}
    merge = {"on": "_id", "whenMatched": "keepExisting", "whenNotMatched": "insert"}
    pipeline: list[dict[str, Any]] = [
        {"$match": own},
        {"$set": {"replaced": True, "outcome": interrupted}},
        {"$merge": {"into": staging.names[JOURNAL], **merge}},
    ]
    with target.explained():
        target.database[JOURNAL].aggregate(pipeline)


def record(target: DatabaseHandle, staging: Staging, entry: Mapping[str, Any]) -> None:
    """Write ``entry`` into the staged journal."""
    journal = target.database[staging.names[JOURNAL]]
    with target.explained():
        journal.update_one({"_id": ObjectId()}, [{"$set": dict(entry)}], upsert=True)
