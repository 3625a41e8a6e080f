"""What is told of a database in which a copy was cut off, from the head of the swap's journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monarch.databases.history import IncompleteDatabase
from monarch.databases.mongo.collection_names import HEAD, SWAP
from monarch.databases.mongo.handle import DatabaseHandle, Document

SWAPPING, EMPTIED, STUCK = "swapping", "emptied", "stuck"


def read_head(target: DatabaseHandle) -> Document | None:
    """What is written of a swap of ``target`` that is not finished; None where there is none."""
    with target.explained():
        return target.database[SWAP].find_one({"_id": HEAD})


def unfinished(name: str, head: Mapping[str, Any]) -> IncompleteDatabase:
    """The error for somebody who wants to use the environment ``name`` as if it were whole."""
    if head.get("state") == EMPTIED:
        return IncompleteDatabase(
            f"{name!r} was emptied for `{head.get('purpose')}`, which did not come to its end.",
            f"Copy or restore into it again, or drop it: monarch drop_db {name}",
        )
    if head.get("state") == STUCK:
        return IncompleteDatabase(
            f"{name!r} is not whole: `{head.get('purpose')}` could not be finished.",
            f"Copy or restore into it again, or drop it: monarch drop_db {name}",
        )
    return IncompleteDatabase(
        f"{name!r} is in the middle of `{head.get('purpose')}`, which was cut off.",
        f"`monarch list_migrations {name}` finishes that.",
    )
