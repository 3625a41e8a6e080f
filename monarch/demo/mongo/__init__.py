"""The sample project for MongoDB."""

from __future__ import annotations

from typing import Any, cast

from monarch.databases.base import Database
from monarch.demo.data import dogs, users

# Private environments of this kind can be copied: the demo shows how.
IS_MASKED = True


def fill(database: Database) -> None:
    """Put the sample's dogs and their owners into ``database``."""
    target = cast(Any, database.handles()["database"])
    for collection, documents in ((target.users, users()), (target.dogs, dogs())):
        collection.insert_many({"_id": document.pop("id"), **document} for document in documents)
