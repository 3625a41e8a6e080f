"""Reading the catalog of a database: what a copy of it would hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure

from monarch.databases.mongo.catalog import BUCKETS, CODEC, Collection
from monarch.databases.mongo.endpoint import Document, Endpoint
from monarch.databases.mongo.names import is_ours
from monarch.errors import ServerError

_UNAUTHORIZED, _NAMESPACE_NOT_FOUND, _IS_A_VIEW = 13, 26, 166
_ALL_INDEXES = 1000  # a collection has 64 at most
_KINDS = ("collection", "view", "timeseries")
# Of the server's own collections the only one that people fill.
_JAVASCRIPT = "system.js"


def read_catalog(endpoint: Endpoint) -> tuple[Collection, ...]:
    """Every collection, view and time series, monarch's own left out, in order of their names.

    A time series whose buckets this user may not read is one that travels as documents.

    :raises ServerError: if the server cannot be asked, or has a kind of collection that we do not know.
    """
    entries = list_entries(endpoint)
    names = {str(entry["name"]) for entry in entries}
    return tuple(
        _collection(endpoint, entry, names)
        for entry in sorted(entries, key=lambda entry: str(entry["name"]))
        if is_copied(str(entry["name"]))
    )


def list_entries(endpoint: Endpoint) -> list[Document]:
    """What listCollections says, of everything."""
    with endpoint.explained():
        database = endpoint.database.with_options(codec_options=CODEC)
        return [dict(entry) for entry in database.list_collections()]


def read_indexes(endpoint: Endpoint, name: str) -> tuple[Mapping[str, Any], ...]:
    """The indexes of a collection, without the ``ns`` that old servers write into them.

    The one that a clustered collection is itself is among its options, and not here.
    """
    # By the command itself: pymongo's list_indexes decodes by options of its own, and dates get lost.
    reply = endpoint.command("listIndexes", name, cursor={"batchSize": _ALL_INDEXES}, codec_options=CODEC)
    indexes = reply["cursor"]["firstBatch"]
    return tuple(
        {key: value for key, value in index.items() if key != "ns"}
        for index in indexes
        if not index.get("clustered")
    )


def is_copied(name: str) -> bool:
    """Whether a collection travels under its own name: not the server's own, nor monarch's."""
    return not is_ours(name) and (not name.startswith("system.") or name == _JAVASCRIPT)


def _collection(endpoint: Endpoint, entry: Document, names: set[str]) -> Collection:
    name, kind = str(entry["name"]), str(entry.get("type", "collection"))
    if kind not in _KINDS:
        raise ServerError(
            f"{name!r} of {endpoint.name!r} is a {kind}, which this monarch does not know.",
            "Is there a newer monarch?",
        )
    options = dict(entry.get("options", {}))
    uuid = entry.get("info", {}).get("uuid")
    if kind == "view":
        return Collection(name, kind, options, ())
    hidden = kind == "timeseries" and (BUCKETS + name not in names or not _may_read_buckets(endpoint, name))
    documents, size = _sizes(endpoint, name)
    return Collection(
        name,
        kind,
        options,
        read_indexes(endpoint, name),
        bytes(uuid) if uuid is not None else None,
        as_documents=hidden,
        documents=documents,
        bytes=size,
    )


def _may_read_buckets(endpoint: Endpoint, name: str) -> bool:
    with endpoint.explained():
        try:
            endpoint.database[BUCKETS + name].find_one({}, {"_id": 1})
        except OperationFailure as error:
            if error.code == _UNAUTHORIZED:
                return False
            raise
    return True


def _sizes(endpoint: Endpoint, name: str) -> tuple[int, int]:
    """Documents and bytes as the server counts them; of a time series its buckets."""
    stats = endpoint.command("collStats", name)
    documents = stats.get("timeseries", {}).get("bucketCount", stats.get("count", 0))
    return int(documents), int(stats.get("size", 0))
