"""Check projections: some fields of a document must be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.selection import CollectionQuery
from monarch.errors import UsageError


def check_projection(selected: CollectionQuery, collection: Collection) -> Mapping[str, Any] | None:
    """Return the projection of ``selected`` as a mapping, None for all fields.

    :raises UsageError: if it leaves out a field that ``collection`` requires.
    """
    given = selected.projection
    if given is None:
        return None
    projection = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, 1)
    ids = [key for key in projection if key == "_id" or key.startswith("_id.")]
    if any(key != "_id" or projection[key] not in (1, True) for key in ids):
        raise UsageError(
            f"The projection of {collection.name!r} changes or leaves out _id, which identifies a document.",
            "Keep _id as it is.",
        )
    for name, needed_by in _required_fields(collection):
        if not _keeps(projection, name):
            raise UsageError(
                f"The projection of {collection.name!r} leaves out {name!r}, which {needed_by} needs.",
                "Include the field in the projection.",
            )
    return projection


def _required_fields(collection: Collection) -> Iterator[tuple[str, str]]:
    """Yield the fields without which documents are refused or become duplicates, and what needs each."""
    if collection.kind == "timeseries":
        yield str(collection.options["timeseries"]["timeField"]), "the time series"
    for index in collection.indexes:
        if index.get("unique") and not index.get("sparse") and "partialFilterExpression" not in index:
            for field in index["key"]:
                yield field, f"the unique index {index['name']!r}"


def _keeps(projection: Mapping[str, Any], field: str) -> bool:
    """Return whether ``projection`` keeps ``field``."""
    others = {key: value for key, value in projection.items() if key != "_id"}
    if field == "_id" or not others:
        return field == "_id"
    above = any(field == key or field.startswith(f"{key}.") for key in others)
    below = any(key.startswith(f"{field}.") for key in others)
    leaves_out = all(value in (0, False) for value in others.values())
    return not above if leaves_out else above or below
