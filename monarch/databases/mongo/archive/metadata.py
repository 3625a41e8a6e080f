"""What mongodump writes of a collection beside its documents: its options and indexes, as Extended JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import bson
from bson import json_util

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.catalog.model import CODEC, Collection
from monarch.databases.mongo.extended_json import CANONICAL

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


def kind_in_archives(collection: Collection) -> str:
    """What mongodump calls the kind of ``collection``."""
    return "collection" if collection.as_documents else collection.kind


def write_metadata(collection: Collection) -> str:
    """The text that `read_metadata` reads.

    :raises ArchiveError: if something cannot be said in it without loss.
    """
    metadata: dict[str, Any] = {"options": dict(collection.options)} if collection.options else {}
    metadata["indexes"] = [dict(index) for index in collection.indexes]
    if collection.uuid is not None:
        metadata["uuid"] = collection.uuid.hex()
    metadata |= {"collectionName": collection.name, "type": kind_in_archives(collection)}
    try:
        text = json_util.dumps(metadata, json_options=CANONICAL, separators=(",", ":"), ensure_ascii=False)
        text.encode()
        same = bson.encode(_parse(text), codec_options=CODEC) == bson.encode(metadata, codec_options=CODEC)
    except Exception as error:  # bson has an error of its own for some kinds of damage, not for all
        raise not_sayable(collection.name, short(error)) from error
    if not same:
        # Only names that begin with "$" and look like Extended JSON itself; mongodump gives up on them too.
        raise not_sayable(collection.name, "something in them would be read as another thing")
    return text


def read_metadata(name: str, text: object, said: object) -> Collection:
    """The collection called ``name`` of which ``text`` tells; ``said`` is what else tells its kind, or None.

    :raises ArchiveError: if it is no such text, saying only why.
    """
    try:
        metadata = _parse(text)
        options = metadata.get("options") or {}
        if not isinstance(options, dict):
            raise TypeError("options that are no object")
        indexes = tuple(_without_ns(index) for index in metadata.get("indexes") or ())
        if not all(
            isinstance(index.get("name"), str) and isinstance(index.get("key"), dict) for index in indexes
        ):
            raise ValueError("an index without a name, or without fields")
        uuid = bytes.fromhex(metadata.get("uuid") or "") or None
        # That the server will be able to get them, not only Python to hold them.
        bson.encode({"options": options, "indexes": indexes}, codec_options=CODEC)
        kind, as_documents = _kind(said or metadata.get("type"), options)
    except Exception as error:  # a text that is not JSON, is nested too deeply, has a number too large, …
        raise ArchiveError(short(error)) from error
    return Collection(name, kind, options, indexes, uuid, as_documents)


def collection_name(text: object) -> str | None:
    """The name that the text says itself, which newer tools write where it cannot be that of a file."""
    try:
        name = _parse(text).get("collectionName")
    except Exception:  # `read_metadata` tells what is wrong
        return None
    return name if isinstance(name, str) else None


def not_sayable(name: str, reason: str) -> ArchiveError:
    """The error for what cannot be put into an archive."""
    return ArchiveError(f"The options or indexes of {name!r} cannot be put into an archive: {reason}.")


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


def _parse(text: Any) -> dict[str, Any]:
    parsed = json.loads(text, object_pairs_hook=_unwrap)
    if not isinstance(parsed, dict):
        raise TypeError(f"{type(parsed).__name__} instead of an object")
    return parsed


def _unwrap(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    return json_util.object_hook(found, CANONICAL) if frozenset(found) in _WRAPPERS else found


def short(error: Exception) -> str:
    """What an error says, in a few words."""
    text = " ".join(str(error).split())
    return f"{text[:100]}…" if len(text) > 100 else text or type(error).__name__
