"""Read the catalog of a database: everything that a copy of it holds, except documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure

from monarch.databases.mongo.catalog.model import BUCKETS, CODEC, Collection
from monarch.databases.mongo.collection_names import is_ours
from monarch.databases.mongo.connection.handle import DatabaseHandle, Document
from monarch.errors import ServerError

_UNAUTHORIZED = 13
_ALL_INDEXES = 1000  # a collection has 64 at most
_KINDS = ("collection", "view", "timeseries")
# The only one of the server's own collections that people fill.
JAVASCRIPT = "system.js"


def read_catalog(endpoint: DatabaseHandle) -> tuple[Collection, ...]:
    """Return all collections, views and time series except monarch's own, sorted by name.

    A time series whose buckets this user may not read is transferred as documents.

    :raises ServerError: if the server cannot be read, or has an unknown kind of collection.
    """
    entries = {str(entry["name"]): entry for entry in list_entries(endpoint)}
    return tuple(_collection(endpoint, entries[name], entries) for name in sorted(entries) if is_copied(name))


def list_entries(endpoint: DatabaseHandle, name: str | None = None) -> list[Document]:
    """Return the entries of listCollections, all of them or that of ``name``.

    It sends the command itself: pymongo's list_collections decodes with options of its own, and fails on
    dates outside Python's range.
    """
    filter = {} if name is None else {"name": name}
    # Not by `command`, which would ask any mongos of a cluster for the rest, and only one has the cursor.
    with (
        endpoint.explained(),
        endpoint.database.cursor_command("listCollections", filter=filter, codec_options=CODEC) as cursor,
    ):
        return list(cursor)


def uuid_of(entry: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> bytes | None:
    """Return the UUID of a collection, or of a time series' buckets; None for a view."""
    buckets = entries.get(BUCKETS + str(entry["name"]), {}) if entry.get("type") == "timeseries" else {}
    uuid = entry.get("info", {}).get("uuid", buckets.get("info", {}).get("uuid"))
    return bytes(uuid) if uuid is not None else None


def read_indexes(endpoint: DatabaseHandle, name: str) -> tuple[Mapping[str, Any], ...]:
    """Return the indexes of a collection, without the ``ns`` that old servers write into them.

    The index of a clustered collection is in its options, and not here.
    """
    # Not by pymongo's list_indexes, which decodes with options of its own and loses dates.
    reply = endpoint.command("listIndexes", name, cursor={"batchSize": _ALL_INDEXES}, codec_options=CODEC)
    indexes = reply["cursor"]["firstBatch"]
    return tuple(
        {key: value for key, value in index.items() if key != "ns"}
        for index in indexes
        if not index.get("clustered")
    )


def is_copied(name: str) -> bool:
    """Whether a collection is transferred: not one of the server's or monarch's own."""
    return not is_ours(name) and (not name.startswith("system.") or name == JAVASCRIPT)


def _collection(endpoint: DatabaseHandle, entry: Document, entries: Mapping[str, Document]) -> Collection:
    name, kind = str(entry["name"]), str(entry.get("type", "collection"))
    if kind not in _KINDS:
        raise ServerError(
            f"{name!r} of {endpoint.name!r} is a {kind}, which this monarch does not know.",
            "Install a newer monarch, if there is one.",
        )
    options = dict(entry.get("options", {}))
    if kind == "view":
        return Collection(name, kind, options, ())
    hidden = kind == "timeseries" and (BUCKETS + name not in entries or not _may_read_buckets(endpoint, name))
    # An index that is still being built is listed too, but does not count yet.
    indexes = read_indexes(endpoint, name)
    stats = endpoint.command("collStats", name)
    building = _index_builds(stats)
    return Collection(
        name,
        kind,
        options,
        tuple(index for index in indexes if index["name"] not in building),
        uuid_of(entry, entries),
        as_documents=hidden,
        # For a time series, those of its buckets.
        documents=int(stats.get("timeseries", {}).get("bucketCount", stats.get("count", 0))),
        bytes=int(stats.get("size", 0)),
    )


def _index_builds(stats: Mapping[str, Any]) -> set[str]:
    """Return the names of the indexes that are being built; each shard of a collection lists its own."""
    parts = [stats, *stats.get("shards", {}).values()]
    return {str(name) for part in parts for name in part.get("indexBuilds", ())}


def _may_read_buckets(endpoint: DatabaseHandle, name: str) -> bool:
    with endpoint.explained():
        try:
            endpoint.collection(BUCKETS + name).find_one({}, {"_id": 1})
        except OperationFailure as error:
            if error.code == _UNAUTHORIZED:
                return False
            raise
    return True
