"""Projections: which fields of a document come, and which must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.selection import CollectionQuery
from monarch.errors import UsageError


def check_projection(selected: CollectionQuery, collection: Collection) -> Mapping[str, Any] | None:
    """The projection of ``selected``.

    :raises UsageError: if it leaves out what a document of ``collection`` cannot be without.
    """
    said = selected.projection
    if said is None:
        return None
    projection = dict(said) if isinstance(said, Mapping) else dict.fromkeys(said, 1)
    ids = [key for key in projection if key == "_id" or key.startswith("_id.")]
    if any(key != "_id" or projection[key] not in (1, True) for key in ids):
        raise UsageError(
            f"The projection of {collection.name!r} changes or leaves out _id, which a document is known by.",
            "Leave it as it is.",
        )
    for name, why in _needed(collection):
        if not _keeps(projection, name):
            raise UsageError(
                f"The projection of {collection.name!r} leaves out {name!r}, which {why} needs.",
                "Let it stay: add it, or do not take it out.",
            )
    return projection


def _needed(collection: Collection) -> Iterator[tuple[str, str]]:
    """Fields without which documents are refused, or taken for one another, and by what."""
    if collection.kind == "timeseries":
        yield str(collection.options["timeseries"]["timeField"]), "the time series"
    for index in collection.indexes:
        if index.get("unique") and not index.get("sparse") and "partialFilterExpression" not in index:
            for field in index["key"]:
                yield field, f"the unique index {index['name']!r}"


def _keeps(projection: Mapping[str, Any], field: str) -> bool:
    """Whether documents have ``field`` afterwards."""
    others = {key: value for key, value in projection.items() if key != "_id"}
    if field == "_id" or not others:
        return field == "_id"
    above = any(field == key or field.startswith(f"{key}.") for key in others)
    below = any(key.startswith(f"{field}.") for key in others)
    leaves_out = all(value in (0, False) for value in others.values())
    return not above if leaves_out else above or below
