"""The metadata that mongodump stores for a collection: its options and indexes, as Extended JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import bson
from bson import json_util

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.catalog.model import CODEC, Collection
from monarch.databases.mongo.extended_json import CANONICAL

# The keys that mark a value in canonical Extended JSON v2. json_util alone accepts more: it turns the query
# {"$regex": "^a", "$ne": "ab"} into a regular expression and drops the rest.
_WRAPPERS = {frozenset(("$code", "$scope"))} | {
    frozenset((key,))
    for key in (
        *("$binary", "$code", "$date", "$dbPointer", "$maxKey", "$minKey", "$numberDecimal"),
        *("$numberDouble", "$numberInt", "$numberLong", "$oid", "$regularExpression", "$symbol"),
        "$timestamp",
    )
}


def archive_type(collection: Collection) -> str:
    """Return mongodump's word for the kind of ``collection``."""
    return "collection" if collection.as_documents else collection.kind


def write_metadata(collection: Collection) -> str:
    """Return the metadata of ``collection`` as the text that `read_metadata` reads.

    :raises ArchiveError: if something cannot be represented without loss.
    """
    metadata: dict[str, Any] = {"options": dict(collection.options)} if collection.options else {}
    metadata["indexes"] = [dict(index) for index in collection.indexes]
    if collection.uuid is not None:
        metadata["uuid"] = collection.uuid.hex()
    metadata |= {"collectionName": collection.name, "type": archive_type(collection)}
    try:
        text = json_util.dumps(metadata, json_options=CANONICAL, separators=(",", ":"), ensure_ascii=False)
        text.encode()
        same = bson.encode(_parse(text), codec_options=CODEC) == bson.encode(metadata, codec_options=CODEC)
    except Exception as error:  # bson raises errors of its own for some kinds of damage only
        raise not_representable(collection.name, shorten_error(error)) from error
    if not same:
        # Only names that begin with "$" and look like Extended JSON themselves; mongodump fails on them too.
        raise not_representable(collection.name, "something in them would be read back as another value")
    return text


def read_metadata(name: str, text: object, stated_kind: object) -> Collection:
    """Return the collection ``name`` that the metadata ``text`` describes.

    :param stated_kind: the kind that the prelude states beside the metadata; None if it states none.
    :raises ArchiveError: if the text is not valid metadata; its message is only the reason.
    """
    try:
        metadata = _parse(text)
        options = metadata.get("options") or {}
        if not isinstance(options, dict):
            raise TypeError("options that are not an object")
        indexes = tuple(_without_ns(index) for index in metadata.get("indexes") or ())
        if not all(
            isinstance(index.get("name"), str) and isinstance(index.get("key"), dict) for index in indexes
        ):
            raise ValueError("an index without a name, or without fields")
        uuid = bytes.fromhex(metadata.get("uuid") or "") or None
        # Encode them, because the server must be able to receive them.
        bson.encode({"options": options, "indexes": indexes}, codec_options=CODEC)
        kind, as_documents = _kind(stated_kind or metadata.get("type"), options)
    except Exception as error:  # a text that is not JSON, is nested too deeply, has a number too large, …
        raise ArchiveError(shorten_error(error)) from error
    return Collection(name, kind, options, indexes, uuid, as_documents)


def stated_names(text: object) -> tuple[str | None, frozenset[str]]:
    """Return the collection that the metadata ``text`` names, and those that its indexes name.

    Newer tools write ``collectionName``; servers before 4.4 write ``ns``, with the database, into each index.
    """
    try:
        metadata = _parse(text)
        stated = metadata.get("collectionName")
        spaces = [index.get("ns") for index in metadata.get("indexes") or ()]
    except Exception:  # `read_metadata` reports what is wrong
        return None, frozenset()
    names = {space.partition(".")[2] for space in spaces if isinstance(space, str)}
    return stated if isinstance(stated, str) else None, frozenset(names - {""})


def not_representable(name: str, reason: str) -> ArchiveError:
    """Return the error for options or indexes that cannot be stored in an archive."""
    return ArchiveError(f"Cannot store the options or indexes of {name!r} in an archive: {reason}.")


def _kind(stated: object, options: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the kind, and whether a time series is stored as documents.

    The kind that mongodump states is not enough: before 100.4 it states none, and with --viewsAsCollections
    it states "view" for a view that it dumped as a collection.
    """
    if "viewOn" in options:
        return "view", False
    if stated == "timeseries":
        return "timeseries", False
    if "timeseries" in options:
        return "timeseries", True
    return "collection", False


def _without_ns(index: Mapping[str, Any]) -> dict[str, Any]:
    # Servers before 4.4 write it; no server needs it.
    return {key: value for key, value in index.items() if key != "ns"}


def _parse(text: Any) -> dict[str, Any]:
    parsed = json.loads(text, object_pairs_hook=_unwrap)
    if not isinstance(parsed, dict):
        raise TypeError(f"{type(parsed).__name__} instead of an object")
    return parsed


def _unwrap(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    return json_util.object_hook(found, CANONICAL) if frozenset(found) in _WRAPPERS else found


def shorten_error(error: Exception) -> str:
    """Return the message of ``error`` on one line of at most about 100 characters."""
    text = " ".join(str(error).split())
    return f"{text[:100]}…" if len(text) > 100 else text or type(error).__name__
