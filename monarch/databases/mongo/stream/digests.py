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
# What does not differ between the versions of servers.
_OPTIONS = ("capped", "validator", "validationLevel", "validationAction", "viewOn", "pipeline")
_OF_SERIES = ("timeField", "metaField")


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
        indexes = {}
        if collection.kind != "view":
            indexes = index_shapes(modern_indexes(collection.indexes, collection.options))
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
    series = collection.options.get("timeseries") or {}
    return {
        "kind": collection.kind,
        **{key: collection.options[key] for key in _OPTIONS if collection.options.get(key) is not None},
        **{key: series[key] for key in _OF_SERIES if key in series},
    }


def _hash(value: Mapping[str, Any]) -> str:
    return f"{_SCHEME}:{hashlib.sha256(bson.encode(value, codec_options=CODEC)).hexdigest()}"
