"""Whether a copy into a database was cut off: the head of its swap log, and the error that it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monarch.databases.history import IncompleteDatabase
from monarch.databases.mongo.collection_names import HEAD, SWAP
from monarch.databases.mongo.connection.handle import DatabaseHandle, Document
from monarch.errors import ServerError

SWAPPING, EMPTIED, STUCK = "swapping", "emptied", "stuck"
STATES = (SWAPPING, EMPTIED, STUCK)
BY_NEWER = (
    "A newer monarch wrote it: let that one finish it. Or copy or restore into this database again, "
    "which replaces everything in it."
)


class UnknownStep(ServerError):
    """The swap log was written by a newer monarch."""


def read_head(target: DatabaseHandle) -> Document | None:
    """Return the head of the swap log of ``target``; None if no swap is unfinished.

    :raises ServerError: if the server cannot be asked.
    """
    with target.explained():
        return target.database[SWAP].find_one({"_id": HEAD})


def is_known(head: Mapping[str, Any]) -> bool:
    """Whether ``head`` is as this monarch writes it; a newer one may write other states and fields."""
    known = head.get("state") in STATES and isinstance(head.get("purpose"), str)
    if known and head["state"] == SWAPPING:
        return isinstance(head.get("steps"), int) and isinstance(head.get("run"), str)
    return known


def unfinished(name: str, head: Mapping[str, Any]) -> IncompleteDatabase:
    """Return the error for a command that needs ``name`` whole; ``head`` is from its swap log."""
    if head.get("state") == EMPTIED:
        return IncompleteDatabase(
            f"{name!r} was emptied for `{head.get('purpose')}`, which did not finish.",
            f"Copy or restore into it again, or drop it: monarch drop_db {name}",
        )
    if head.get("state") == STUCK:
        return IncompleteDatabase(
            f"{name!r} is incomplete: `{head.get('purpose')}` could not be finished.",
            f"Copy or restore into it again, or drop it: monarch drop_db {name}",
        )
    if not is_known(head):
        return IncompleteDatabase(
            f"The swap log of {name!r} is in a state that this monarch does not know: {head.get('state')!r}.",
            BY_NEWER,
        )
    return IncompleteDatabase(
        f"{name!r} is in the middle of `{head.get('purpose')}`, which was cut off.",
        f"To finish it, run `monarch list_migrations {name}`.",
    )
