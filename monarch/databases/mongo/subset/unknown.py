"""The error for a query set that names a collection that a subset cannot have."""

from __future__ import annotations

from collections.abc import Iterable

from monarch.databases.mongo.catalog.model import BUCKETS
from monarch.databases.mongo.catalog.read import JAVASCRIPT
from monarch.errors import UsageError
from monarch.system.spelling import suggest

_SYSTEM = "system."


def unknown_collection(
    who: str, name: str, collection: str, known: Iterable[str], *, database: str
) -> UsageError:
    """Return the error for ``who``, which names ``name``, of a ``collection`` that ``database`` lacks.

    It has the ``known`` collections. System collections are never in a subset.
    """
    if collection.startswith(_SYSTEM):
        return UsageError(f"{who} {name!r}: no subset includes a system collection.", _instead_of(collection))
    return UsageError(
        f"{who} {name!r}, and {database!r} has no such collection.",
        suggest(collection, [one for one in known if not one.startswith(_SYSTEM)]),
    )


def _instead_of(name: str) -> str:
    if name.startswith(BUCKETS):
        return f"Use {name.removeprefix(BUCKETS)!r}, the time series itself."
    if name == JAVASCRIPT:
        return f"Remove it. Only a copy or a backup without a query set includes {name!r}."
    return "Remove it: MongoDB writes it by itself."
