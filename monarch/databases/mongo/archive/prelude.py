"""The first part of an archive: which collections it holds, and what they are like."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion

from monarch.databases.mongo.archive import MAGIC, TERMINATOR, ArchiveError
from monarch.databases.mongo.catalog import CODEC, Collection

# Servers from here on keep no view beside the buckets of a time series.
_WITHOUT_BUCKET_NAMES = (8, 3)
_LONGEST = 16 << 20  # for mongorestore

_JSON: json_util.JSONOptions = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)
# What canonical Extended JSON v2 wraps a value in. json_util alone would take more for one: of the query
# {"$regex": "^a", "$ne": "ab"} it makes a regular expression, and drops the rest.
_WRAPPERS = {frozenset(("$code", "$scope"))} | {
    frozenset((key,))
    for key in (
        *("$binary", "$code", "$date", "$dbPointer", "$maxKey", "$minKey", "$numberDecimal"),
        *("$numberDouble", "$numberInt", "$numberLong", "$oid", "$regularExpression", "$symbol"),
        "$timestamp",
    )
}


@dataclass(frozen=True)
class Prelude:
    """What an archive says of itself before its documents.

    ``database`` is empty if one that was read has no collections, for then it does not say. At most
    ``concurrent_collections`` of them are begun and not ended at any place; 4 is what mongodump does.
    """

    database: str
    collections: tuple[Collection, ...]
    server_version: str
    tool_version: str
    concurrent_collections: int = 4

    def block_name(self, collection: Collection) -> str:
        """What mongorestore expects the blocks of ``collection`` to be called."""
        without = _version(self.server_version) >= _WITHOUT_BUCKET_NAMES
        return collection.name if without else collection.data_name

    def to_bytes(self) -> bytes:
        """The beginning of an archive, the magic bytes included.

        :raises ArchiveError: if something cannot be said in the format without loss.
        """
        header = {
            "concurrent_collections": self.concurrent_collections,
            "version": "0.1",
            "server_version": self.server_version,
            "tool_version": self.tool_version,
        }
        entries = [_to_entry(self.database, collection) for collection in self.collections]
        return b"".join((MAGIC, bson.encode(header), *entries, TERMINATOR))

    @classmethod
    def from_documents(cls, documents: Iterable[bytes]) -> Prelude:
        """The prelude made of these documents, the terminator not among them.

        :raises ArchiveError: if they are not those of one, or of more than one database.
        """
        rest = iter(documents)
        header = decode(next(rest, b""))
        entries = [decode(document) for document in rest]
        concurrent = header.get("concurrent_collections")
        databases = sorted({_text(entry, "db") for entry in entries})
        if len(databases) > 1:
            raise ArchiveError(
                f"The archive is of more than one database: {', '.join(map(repr, databases))}.",
                "Make one of a single database, with: mongodump --db=NAME --archive",
            )
        prelude = cls(
            database=databases[0] if databases else "",
            collections=tuple(_from_entry(entry) for entry in entries),
            server_version=str(header.get("server_version", "")),
            tool_version=str(header.get("tool_version", "")),
            concurrent_collections=concurrent if isinstance(concurrent, int) else 4,
        )
        for name, times in Counter(collection.data_name for collection in prelude.collections).items():
            if times > 1:
                raise ArchiveError(f"The archive's prelude has {name!r} more than once.")
        return prelude


def decode(document: bytes) -> dict[str, Any]:
    """Decode one of the archive's own documents, which it writes beside those of people."""
    try:
        return bson.decode(document, CODEC)
    except Exception as error:  # bson has an error of its own for some kinds of damage, not for all
        raise ArchiveError(f"The archive is damaged: {_short(error)}.") from error


def _to_entry(database: str, collection: Collection) -> bytes:
    kind = "collection" if collection.as_documents else collection.kind
    metadata: dict[str, Any] = {"options": dict(collection.options)} if collection.options else {}
    metadata["indexes"] = [dict(index) for index in collection.indexes]
    if collection.uuid is not None:
        metadata["uuid"] = collection.uuid.hex()
    metadata |= {"collectionName": collection.name, "type": kind}
    try:
        text = json_util.dumps(metadata, json_options=_JSON, separators=(",", ":"), ensure_ascii=False)
        entry = {"db": database, "collection": collection.name, "metadata": text, "size": 0, "type": kind}
        document = bson.encode(entry)
        same = bson.encode(_parse(text), codec_options=CODEC) == bson.encode(metadata, codec_options=CODEC)
    except Exception as error:  # as in decode
        raise _not_sayable(collection.name, _short(error)) from error
    if not same:
        # Only names that begin with "$" and look like Extended JSON itself; mongodump gives up on them too.
        raise _not_sayable(collection.name, "something in them would be read as another thing")
    if len(document) > _LONGEST:
        raise _not_sayable(collection.name, "they are too long")
    return document


def _not_sayable(name: str, reason: str) -> ArchiveError:
    return ArchiveError(f"The options or indexes of {name!r} cannot be put into an archive: {reason}.")


def _from_entry(entry: Mapping[str, Any]) -> Collection:
    name = _text(entry, "collection")
    try:
        text = entry.get("metadata") or "{}"
        metadata = _parse(text)
        options = metadata.get("options") or {}
        if not isinstance(options, dict):
            raise TypeError("options that are no object")
        indexes = tuple(_without_ns(index) for index in metadata.get("indexes") or ())
        uuid = bytes.fromhex(metadata.get("uuid") or "") or None
        # That the server will be able to get them, not only Python to hold them.
        bson.encode({"options": options, "indexes": indexes}, codec_options=CODEC)
        kind, as_documents = _kind(entry.get("type") or metadata.get("type"), options)
    except Exception as error:  # a text that is not JSON, is nested too deeply, has a number too large, …
        raise ArchiveError(
            f"The archive's prelude says nothing sensible of {name!r}: {_short(error)}."
        ) from error
    return Collection(name, kind, options, indexes, uuid, as_documents)


def _kind(said: object, options: Mapping[str, Any]) -> tuple[str, bool]:
    """The kind, and if a time series travels as documents.

    What mongodump says is not asked alone: before 100.4 it says nothing, and with --viewsAsCollections
    "view" of what has become a collection.
    """
    if "viewOn" in options:
        return "view", False
    if said == "timeseries":
        return "timeseries", False
    if "timeseries" in options:
        return "timeseries", True
    return "collection", False


def _without_ns(index: Mapping[str, Any]) -> dict[str, Any]:
    # Servers before 4.4 write it, and none needs it.
    return {key: value for key, value in index.items() if key != "ns"}


def _parse(text: str) -> dict[str, Any]:
    parsed = json.loads(text, object_pairs_hook=_unwrap)
    if not isinstance(parsed, dict):
        raise TypeError(f"{type(parsed).__name__} instead of an object")
    return parsed


def _unwrap(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    return json_util.object_hook(found, _JSON) if frozenset(found) in _WRAPPERS else found


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if type(value) is not str:  # bson's Code is one too, and cannot be hashed
        raise ArchiveError(f"The archive is damaged: an entry of its prelude has no {key!r}.")
    return value


def _version(text: str) -> tuple[int, ...]:
    return tuple(_numbers(text.split(".")[:2]))


def _numbers(parts: Iterable[str]) -> Iterator[int]:
    for part in parts:
        digits = part[:9]
        if not digits.isdecimal():
            return
        yield int(digits)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{text[:100]}…" if len(text) > 100 else text or type(error).__name__
