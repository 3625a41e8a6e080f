"""The entry of the journal that says that unmasked contents of a private environment have arrived.

It is written into the staging, so that it arrives with them, even if the run is killed right after the swap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.collection_names import JOURNAL
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.swap.staging import Staging

_ID_INDEX = {"v": 2, "key": {"_id": 1}, "name": "_id_"}


def with_journal(collections: tuple[Collection, ...]) -> tuple[Collection, ...]:
    """Return ``collections``, and an empty journal if none of them is one."""
    if any(collection.name == JOURNAL for collection in collections):
        return collections
    return (*collections, Collection(JOURNAL, "collection", {}, (_ID_INDEX,)))


def record_raw(target: DatabaseHandle, staging: Staging, entry: Mapping[str, Any]) -> None:
    """Write ``entry`` into the staged journal, with the time of the server."""
    document = {
        **{name: {"$literal": value} for name, value in entry.items()},
        **dict.fromkeys(("started_at", "finished_at"), "$$NOW"),
    }
    journal = target.database[staging.names[JOURNAL]]
    with target.explained():
        journal.update_one({"_id": ObjectId()}, [{"$set": document}], upsert=True)
