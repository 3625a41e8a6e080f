"""Some documents of each collection, as plain Python."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import bson
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE, UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection as PyMongoCollection
from pymongo.command_cursor import CommandCursor
from pymongo.cursor import Cursor
from pymongo.errors import ExecutionTimeout

from monarch.databases.mongo.catalog.read import is_copied, list_entries, read_indexes
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.sampling import CollectionSample
from monarch.privacy.rules import OpaqueValue, ValueKind

# Bounds for each of the queries, and for each collection.
_MILLISECONDS, _SECONDS, _BYTES = 10_000, 20.0, 16 << 20
_BATCH = 100
# Dates outside of Python's years stay numbers, and text that is not UTF-8 does not fail.
_CODEC: CodecOptions[Mapping[str, Any]] = CodecOptions(
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
_OTHERS = {
    DatetimeMS: str(ValueKind.DATE),
    Code: "JavaScript",
    DBRef: "DBRef",
    Regex: "regular expression",
    Timestamp: "timestamp",
    MinKey: "minKey",
    MaxKey: "maxKey",
}
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


def sample(endpoint: DatabaseHandle, size: int) -> Iterator[CollectionSample]:
    """See `monarch.databases.transfer.TransferDatabase.sample`."""
    entries = sorted(list_entries(endpoint), key=lambda entry: str(entry["name"]))
    for entry in entries:
        name, kind = str(entry["name"]), str(entry.get("type", "collection"))
        if kind == "view" or not is_copied(name) or name in (HISTORY, JOURNAL):
            continue
        raw = endpoint.collection(name).with_options(codec_options=_RAW)
        with endpoint.explained():
            total = _count(raw, kind)
        options = dict(entry.get("options", {}))
        yield CollectionSample(
            name, kind, total, _unique_fields(endpoint, name), _documents(endpoint, raw, options, total, size)
        )


def _count(collection: PyMongoCollection[RawBSONDocument], kind: str) -> int:
    # For a time series the server would count buckets, in some versions.
    if kind != "timeseries":
        return collection.estimated_document_count()
    try:
        return collection.count_documents({}, maxTimeMS=_MILLISECONDS)
    except ExecutionTimeout:
        return collection.estimated_document_count()


def _unique_fields(endpoint: DatabaseHandle, name: str) -> frozenset[str]:
    """Return the fields in unique indexes; ``_id`` is one of them."""
    indexes = (index for index in read_indexes(endpoint, name) if index.get("unique"))
    return frozenset({"_id", *(field for index in indexes for field in index["key"])})


def _documents(
    endpoint: DatabaseHandle,
    collection: PyMongoCollection[RawBSONDocument],
    options: Mapping[str, Any],
    total: int,
    size: int,
) -> Iterator[dict[str, Any]]:
    seen: set[int] = set()
    size_read, end = 0, time.monotonic() + _SECONDS
    for document in _read(endpoint, collection, options, total, size):
        # Documents of a time series may be equal: one of them is enough.
        own = hash(document.raw)
        if own in seen:
            continue
        seen.add(own)
        size_read += len(document.raw)
        yield _decode(bytes(document.raw))
        if size_read > _BYTES or time.monotonic() > end:
            return


def _read(
    endpoint: DatabaseHandle,
    collection: PyMongoCollection[RawBSONDocument],
    options: Mapping[str, Any],
    total: int,
    size: int,
) -> Iterator[RawBSONDocument]:
    """Yield the first documents, the last, and random ones; without those of a query that takes too long."""
    quarter = max(1, size // 4)
    queries = (_first, _last, _random) if total > size else (_first,)
    for query in queries:
        with endpoint.explained():
            try:
                with query(collection, options, quarter if total > size else size) as cursor:
                    yield from cursor
            except ExecutionTimeout:
                continue


_Cursor = Cursor[RawBSONDocument] | CommandCursor[RawBSONDocument]


def _first(collection: PyMongoCollection[RawBSONDocument], _: Mapping[str, Any], size: int) -> _Cursor:
    return collection.find(limit=size, max_time_ms=_MILLISECONDS, batch_size=_BATCH)


def _last(collection: PyMongoCollection[RawBSONDocument], options: Mapping[str, Any], size: int) -> _Cursor:
    # A time series has no natural order.
    by = str(options["timeseries"]["timeField"]) if "timeseries" in options else "$natural"
    return collection.find(sort=[(by, -1)], limit=size, max_time_ms=_MILLISECONDS, batch_size=_BATCH)


def _random(collection: PyMongoCollection[RawBSONDocument], _: Mapping[str, Any], size: int) -> _Cursor:
    pipeline = [{"$sample": {"size": 2 * size}}]
    return collection.aggregate(pipeline, maxTimeMS=_MILLISECONDS, batchSize=_BATCH)


def _decode(raw: bytes) -> dict[str, Any]:
    document: Mapping[str, Any] = bson.decode(raw, _CODEC)
    return as_plain(document)


def as_plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``document`` without the types of BSON, as samples have it."""
    return {str(name): _plain(value) for name, value in document.items()}


def _plain(value: object) -> object:
    """Return ``value`` without the types of BSON."""
    if value is None or isinstance(value, bool | float | datetime):
        return value
    if isinstance(value, Mapping) and not isinstance(value, DBRef):
        return as_plain(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, Binary):  # before bytes, which it is too
        is_uuid = value.subtype in (OLD_UUID_SUBTYPE, UUID_SUBTYPE) and len(value) == 16
        return UUID(bytes=bytes(value)) if is_uuid else bytes(value)
    if type(value) in (str, bytes):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, ObjectId):
        return OpaqueValue(ValueKind.OBJECT_ID)
    return OpaqueValue(_OTHERS.get(type(value), type(value).__name__.lower()))
