"""Hashes of collections, with which a database that was restored is compared with its backup.

The documents of a collection are hashed by SHA-256 in the order in which the archive has them. That costs a
tenth of what a hash of each document would cost. A server returns documents in the order in which one writer
inserted them, so that a copy which was written in that order has the same hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import bson

from monarch.databases.mongo.catalog.index_shapes import index_shapes
from monarch.databases.mongo.catalog.model import CODEC, Collection
from monarch.databases.mongo.catalog.old_options import modern_indexes
from monarch.databases.mongo.collection_names import JOURNAL
from monarch.databases.mongo.stream.batches import Batch, Piece
from monarch.databases.transfer import CollectionDigest

_SCHEME = "sha256"
# Definitions with collations, sizes, and the options of special indexes.
_DEFINITIONS = "sha256-2"
# What does not differ between the versions of servers.
_OPTIONS = ("capped", "validator", "validationLevel", "validationAction", "viewOn", "pipeline")
_NUMBERS = ("max", "expireAfterSeconds")
_OF_SERIES = ("timeField", "metaField")
_OF_INDEXES = ("collation", "weights", "default_language", "language_override", "wildcardProjection")
# Servers round the size of a capped collection up to a multiple of this.
_ROUNDED_TO = 256


class ContentHashes:
    """The hashes of what passes of ``collections``.

    :param is_sharded: whether their server has them on several shards.
    """

    def __init__(self, collections: Iterable[Collection], *, is_sharded: bool) -> None:
        self._hashes = {
            one.data_name: hashlib.sha256() for one in collections if _keeps_order(one, is_sharded=is_sharded)
        }

    def add(self, piece: Piece) -> None:
        """Hash the documents of ``piece``."""
        if isinstance(piece, Batch) and piece.collection in self._hashes:
            self._hashes[piece.collection].update(piece.payload)

    def digest(self, collection: Collection) -> CollectionDigest:
        """Return the hashes of ``collection``, all of which has passed."""
        found = None if collection.kind == "view" else self._hashes.get(collection.data_name)
        contents = None if found is None else f"{_SCHEME}:{found.hexdigest()}"
        indexes = {} if collection.kind == "view" else _indexes(collection)
        return CollectionDigest(
            collection.name,
            contents,
            _hash(_definition(collection)),
            {name: _hash(shape) for name, shape in sorted(indexes.items())},
        )


def is_exact(collection: Collection) -> bool:
    """Whether a copy of ``collection`` holds just what was copied."""
    return collection.name != JOURNAL and not collection.options.get("capped")


def _keeps_order(collection: Collection, *, is_sharded: bool) -> bool:
    """Whether a copy returns the documents of ``collection`` in the order in which they were inserted."""
    if collection.kind == "view" or not is_exact(collection):
        return False
    if collection.kind == "timeseries" and collection.as_documents:
        return False  # the server puts them into other buckets
    # These are returned in the order of their ids, whatever the order was in which they came.
    by_id = collection.kind == "timeseries" or bool(collection.options.get("clusteredIndex"))
    return not by_id or (not is_sharded and collection.query is None)


def _definition(collection: Collection) -> dict[str, Any]:
    options = collection.options
    series = options.get("timeseries") or {}
    found = {key: options[key] for key in _OPTIONS if options.get(key) is not None}
    found |= {key: _plain(options[key]) for key in _NUMBERS if options.get(key) is not None}
    if options.get("collation"):
        found["collation"] = _plain(options["collation"])
    if options.get("capped") and options.get("size"):
        found["size"] = -(-int(options["size"]) // _ROUNDED_TO) * _ROUNDED_TO
    found |= {key: series[key] for key in _OF_SERIES if key in series}
    if series and "bucketRoundingSeconds" not in series:  # servers before 5.0.3 do not store the default
        found["granularity"] = series.get("granularity") or "seconds"
    return {"kind": collection.kind, **found}


def _indexes(collection: Collection) -> dict[str, dict[str, Any]]:
    indexes = modern_indexes(collection.indexes, collection.options)
    more = {
        str(index["name"]): {key: _plain(index[key]) for key in _OF_INDEXES if index.get(key) is not None}
        for index in indexes
    }
    return {name: {**shape, **more[name]} for name, shape in index_shapes(indexes).items()}


def _plain(value: Any) -> Any:
    """Return ``value`` as no version of a server writes it differently.

    That is without the version of a collation, with keys in one order and whole numbers of one type.
    """
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value) if key != "version"}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _hash(value: Mapping[str, Any]) -> str:
    return f"{_DEFINITIONS}:{hashlib.sha256(bson.encode(value, codec_options=CODEC)).hexdigest()}"
