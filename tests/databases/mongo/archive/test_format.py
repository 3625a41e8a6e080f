"""The archive format: archives of monarch and of mongodump are read."""

from __future__ import annotations

import datetime
import io
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import bson
import pytest
from bson import Binary, Int64, Regex
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st

from monarch.databases.mongo.archive import MAGIC, TERMINATOR, ArchiveError
from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.reader import ArchiveReader
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.catalog.model import CODEC, Collection
from monarch.databases.mongo.stream.batches import End, Piece, split
from tests.support import counts
from tests.support.samples.archives import (
    ID,
    batch,
    documents_of,
    entry,
    plain,
    prelude_of,
    read,
    small,
    write_archive,
)

# Written by mongodump 100.3.1 from a server 6.0.5: one database with some of everything, one that does not
# exist, and a complete server.
DATA = Path(__file__).parents[3] / "data"


class Chunks(io.RawIOBase):
    """A stream whose reads return ``size`` bytes, or less if less is requested."""

    def __init__(self, data: bytes, size: Callable[[], int]) -> None:
        self._stream, self._size = io.BytesIO(data), size

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(min(size, self._size()))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.text(), st.binary(), st.floats(), st.integers(-(2**63), 2**63 - 1)
)
KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
# The names that a collection can have.
NAMES = KEYS.filter(
    lambda name: name and not name.startswith((".", "system.", "monarch_")) and "$" not in name
)
DOCUMENTS = st.dictionaries(
    KEYS, st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3)), max_size=3
)


@st.composite
def contents(draw: st.DrawFn) -> list[Piece]:
    """Pieces of up to six collections, split and interleaved at random."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    queues: list[list[Piece]] = []
    for name in names:
        documents = [bson.encode(document) for document in draw(st.lists(DOCUMENTS, max_size=8))]
        queue: list[Piece] = []
        while documents:
            cut = draw(st.integers(1, len(documents)))
            queue.append(batch(name, *documents[:cut]))
            documents = documents[cut:]
        queues.append([*queue, End(name)])
    pieces: list[Piece] = []
    while queues := [queue for queue in queues if queue]:
        pieces.append(draw(st.sampled_from(queues)).pop(0))
    return pieces


@given(contents(), st.integers(0), st.integers(1, 5000))
@settings(max_examples=counts.number(reduced=20, full=40), deadline=None)
def test_a_written_archive_is_read(pieces: list[Piece], seed: int, largest: int) -> None:
    names = sorted({piece.collection for piece in pieces})
    prelude = prelude_of(*map(plain, names))
    sizes = random.Random(seed)
    stream = Chunks(write_archive(prelude, pieces), lambda: sizes.randint(1, largest))
    reader = ArchiveReader(cast(BinaryIO, stream))
    assert reader.prelude == prelude
    assert documents_of(reader) == documents_of(pieces)


def test_the_bytes_of_an_archive() -> None:
    document = bson.encode({"_id": 1})
    prelude = prelude_of(plain("a"))
    blocks = write_archive(prelude, [batch("a", document), End("a")]).removeprefix(prelude.to_bytes())
    first = bson.encode({"db": "app", "collection": "a", "EOF": False, "CRC": Int64(0)})
    checksum = Int64(-870776635769202178)
    last = bson.encode({"db": "app", "collection": "a", "EOF": True, "CRC": checksum})
    assert blocks == first + document + TERMINATOR + last + TERMINATOR
    metadata = (
        '{"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}],'
        '"collectionName":"a","type":"collection"}'
    )
    entry = {"db": "app", "collection": "a", "metadata": metadata, "size": 0, "type": "collection"}
    assert prelude.to_bytes().startswith(MAGIC)
    assert prelude.to_bytes().endswith(bson.encode(entry) + TERMINATOR)


def test_a_view_has_an_end() -> None:
    # Without an end mongorestore does not create the view.
    prelude, data = small()
    header = {"db": "app", "collection": "grown", "EOF": True, "CRC": Int64(0)}
    assert data.startswith(prelude.to_bytes() + bson.encode(header) + TERMINATOR)


def test_catalogs_are_lossless() -> None:
    options = {
        "validator": {"a": {"$regex": "^a", "$options": "i", "$ne": "ab", "$type": "string"}},
        "pipeline": [{"$match": {"when": DatetimeMS(2**60), "then": {"$gt": DatetimeMS(-5)}}}],
        "numbers": [1, Int64(1), 1.0, float("inf"), 2**40, True, None],
        "values": [Regex("^a/", "im"), Binary(b"1234567890123456", 4), Binary(b"x", 3), "größe €\0\n"],
        "reference": {"$ref": "a", "$id": 1},
    }
    collection = Collection("größe €", "collection", options, (ID, {**ID, "name": "x"}), uuid=b"u" * 16)
    found, _ = read(write_archive(prelude_of(collection), [End("größe €")]))
    assert encoded(found.collections[0].options) == encoded(options)
    assert found.collections[0] == collection


def encoded(document: Mapping[str, Any]) -> bytes:
    return bson.encode(document, codec_options=CODEC)


@pytest.mark.parametrize("options", [{"a": {"$numberInt": "5"}}, {"a": object()}, {"a": "\ud800"}])
def test_options_that_the_format_cannot_represent_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ArchiveError, match="in an archive: "):
        ArchiveWriter(io.BytesIO(), prelude_of(plain("a", **options)))


@pytest.mark.parametrize(
    ("server", "as_documents", "block", "kind"),
    [
        ("6.0.5", False, "system.buckets.series", "timeseries"),
        ("8.3.0-rc1", False, "series", "timeseries"),
        ("6.0.5", True, "series", "collection"),
        ("8.3.0", True, "series", "collection"),
    ],
)
def test_time_series(server: str, as_documents: bool, block: str, kind: str) -> None:
    options = {"timeseries": {"timeField": "t"}}
    series = Collection("series", "timeseries", options, (), as_documents=as_documents)
    data = write_archive(
        prelude_of(series, server=server), [batch(series.data_name, bson.encode({})), End(series.data_name)]
    )
    assert data.count(b"collection\0" + bytes([len(block) + 1, 0, 0, 0]) + block.encode()) >= 2
    assert f'"type":"{kind}"'.encode() in data
    found, documents = read(data)
    assert found.collections == (series,)
    assert documents == {series.data_name: [bson.encode({})]}


def test_an_archive_of_mongodump_is_read() -> None:
    found, documents = read((DATA / "everything.archive").read_bytes())
    assert (found.database, found.server_version, found.tool_version) == ("app", "6.0.5", "100.3.1")
    known = {collection.name: collection for collection in found.collections}
    assert {name: len(raw) for name, raw in documents.items()} == {
        "clustered": 3,
        "größe €": 2,
        "leer": 0,
        "logs": 3,
        "users": 5,
        "weather": 4,
    }
    assert known["adults"] == Collection(
        "adults", "view", {"viewOn": "users", "pipeline": [{"$match": {"age": {"$gte": 18}}}]}, ()
    )
    assert known["logs"].options == {"capped": True, "size": 100096, "max": 1000}
    assert known["leer"].indexes == (ID,)
    assert len(known["leer"].uuid or b"") == 16
    assert (known["weather"].kind, known["weather"].as_documents) == ("timeseries", True)
    users = {index["name"]: index for index in known["users"].indexes}
    assert list(users) == ["_id_", "mail", "name_1__id_-1", "seen_1", "where_2d", "text_text", "partial"]
    assert users["name_1__id_-1"]["key"] == {"name": 1, "_id": -1}
    year_9999 = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC)
    assert users["partial"]["partialFilterExpression"] == {
        "age": {"$gt": Int64(5)},
        "when": {"$lt": DatetimeMS(year_9999)},
    }
    assert bson.decode(documents["users"][4])["name"] == "Ä4"


def test_an_archive_of_mongodump_is_written_again() -> None:
    found, documents = read((DATA / "everything.archive").read_bytes())
    pieces = [piece for name, raw in documents.items() for piece in (batch(name, *raw), End(name))]
    assert read(write_archive(found, pieces)) == (found, documents)


def test_an_archive_of_a_missing_database() -> None:
    found, documents = read((DATA / "nothing.archive").read_bytes())
    assert (found.database, found.collections, documents) == ("", (), {})


def test_only_one_database() -> None:
    with pytest.raises(ArchiveError, match="more than one database: 'admin', 'app', 'other'"):
        read((DATA / "databases.archive").read_bytes())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Collection("a", "collection", {}, ())),
        ({"metadata": "", "new": 1}, Collection("a", "collection", {}, ())),
        (
            {"metadata": '{"indexes":[{"v":2,"name":"b","key":{"b":1},"ns":"app.a"}]}'},
            Collection("a", "collection", {}, ({"v": 2, "name": "b", "key": {"b": 1}},)),
        ),
        # --viewsAsCollections keeps this for a former view
        ({"metadata": '{"indexes":[]}', "type": "view"}, Collection("a", "collection", {}, ())),
        ({"metadata": '{"options":{"viewOn":"b"}}'}, Collection("a", "view", {"viewOn": "b"}, ())),
    ],
)  # fmt: skip
def test_a_minimal_prelude(fields: dict[str, Any], expected: Collection) -> None:
    assert Prelude.from_documents([bson.encode({}), entry(**fields)]).collections == (expected,)


@pytest.mark.parametrize(
    "payload", [b"\0", b"\5\0\0\0", b"\5\0\0\0\0\5", b"\6\0\0\0\0", b"\5\0\0\0\1", b"\xff" * 9]
)
def test_splitting_an_invalid_payload(payload: bytes) -> None:
    with pytest.raises(ValueError, match="no whole document"):
        split(payload)


def test_splitting() -> None:
    documents = [bson.encode({"a": os.urandom(number)}) for number in range(50)]
    assert split(b"".join(documents)) == documents
    assert split(b"") == []
