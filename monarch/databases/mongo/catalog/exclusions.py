"""Leave out collections and indexes, for targets that cannot have them."""

from __future__ import annotations

from dataclasses import replace

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.databases.transfer import Exclusions
from monarch.errors import UsageError
from monarch.system.spelling import suggest


def exclude(
    collections: tuple[Collection, ...], exclusions: Exclusions
) -> tuple[frozenset[str], tuple[Collection, ...]]:
    """Return the data names of the excluded collections, and the others without the excluded indexes.

    :raises UsageError: if one of the names does not exist, or is that of the history.
    """
    known = {one.name: one for one in collections}
    for name in exclusions.collections:
        if name in (HISTORY, JOURNAL):
            raise UsageError(
                f"{name!r} cannot be excluded: without the history, migrations would run again.",
                "To start a new history, run `monarch mark ENVIRONMENT --all --as new` afterwards.",
            )
        if name not in known:
            raise UsageError(f"--exclude names {name!r}, which is not there.", suggest(name, known))
    indexes = {
        f"{one.name}.{index['name']}"
        for one in collections
        for index in one.indexes
        if index["name"] != "_id_"
    }
    for name in exclusions.indexes:
        if name not in indexes:
            raise UsageError(f"--exclude-index names {name!r}, which is not there.", suggest(name, indexes))
    kept = tuple(
        replace(
            one,
            indexes=tuple(
                index for index in one.indexes if f"{one.name}.{index['name']}" not in exclusions.indexes
            ),
        )
        for one in collections
        if one.name not in exclusions.collections
    )
    return frozenset(known[name].data_name for name in exclusions.collections), kept
