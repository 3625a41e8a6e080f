"""Samples for the tests of the archive format."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import bson

from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.reader import ArchiveReader
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.stream.batches import Batch, End, Piece, split

ID: dict[str, Any] = {"v": 2, "key": {"_id": 1}, "name": "_id_"}


def plain(name: str, **options: Any) -> Collection:
    return Collection(name, "collection", options, (ID,))


def prelude_of(*collections: Collection, server: str = "6.0.5") -> Prelude:
    return Prelude("app", collections, server, "100.3.1")


def batch(collection: str, *documents: bytes) -> Batch:
    return Batch(collection, b"".join(documents), len(documents))


def write_archive(prelude: Prelude, pieces: Iterable[Piece]) -> bytes:
    sink = io.BytesIO()
    writer = ArchiveWriter(sink, prelude)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    return sink.getvalue()


def documents_of(pieces: Iterable[Piece]) -> dict[str, list[bytes]]:
    """Return the documents of each collection; every collection must have an end."""
    found: dict[str, list[bytes]] = {}
    ended = set()
    for piece in pieces:
        assert piece.collection not in ended
        if isinstance(piece, Batch):
            assert 0 < len(split(piece.payload)) == piece.count
            found.setdefault(piece.collection, []).extend(split(piece.payload))
        else:
            ended.add(piece.collection)
            found.setdefault(piece.collection, [])
    assert ended == set(found)
    return found


def read(data: bytes) -> tuple[Prelude, dict[str, list[bytes]]]:
    reader = ArchiveReader(io.BytesIO(data))
    return reader.prelude, documents_of(reader)


def small() -> tuple[Prelude, bytes]:
    """Return an archive of three interleaved collections, one of them empty, and a view."""
    view = Collection("grown", "view", {"viewOn": "a", "pipeline": []}, ())
    prelude = prelude_of(plain("a"), plain("b"), plain("c"), view)
    one, two = bson.encode({"_id": 1}), bson.encode({"s": "two"})
    pieces: list[Piece] = [
        batch("a", one),
        batch("b", two),
        batch("a", two, one),
        End("c"),
        End("a"),
        End("b"),
    ]
    return prelude, write_archive(prelude, pieces)


def entry(**fields: Any) -> bytes:
    return bson.encode({"db": "app", "collection": "a", **fields})
