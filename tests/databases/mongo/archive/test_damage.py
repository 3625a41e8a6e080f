"""Damaged archives: every damage is reported in one line, without using much memory."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import bson
import pytest
from bson import Code, Int64

from monarch.databases.mongo.archive import MAGIC, TERMINATOR, ArchiveError
from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.reader import ArchiveReader
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.stream.batches import LONGEST, Batch, End, Piece
from tests.support.samples.archives import (
    batch,
    documents_of,
    entry,
    plain,
    prelude_of,
    read,
    small,
    write_archive,
)


@pytest.mark.parametrize(
    "metadata",
    [
        *("{", "[]", "7", "{}{}", "[" * 100_000, '{"options":' * 100_000, '{"uuid":"xyz"}', '{"uuid":7}'),
        *('{"options":[1]}', '{"options":7}', '{"indexes":{"a":1}}', '{"indexes":["a"]}', '{"indexes":7}'),
        *('{"options":{"a":{"$oid":"?"}}}', '{"options":{"a":"\\ud800"}}', '{"options":{"\\u0000":1}}'),
        '{"options":{"a":12345678901234567890}}',
        '{"options":{"a":{"$date":{"$numberLong":"99999999999999999999"}}}}',
        '{"options":{"a":{"$numberInt":[]}}}',
        '{"options":{"a":' + "9" * 5000 + "}}",
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_an_invalid_prelude(metadata: str) -> None:
    with pytest.raises(ArchiveError, match=r"(?s)invalid metadata for 'a'.{3,140}$"):
        Prelude.from_documents([bson.encode({}), entry(metadata=metadata)])


def test_every_truncation_is_an_error() -> None:
    _, data = small()
    for cut in range(len(data)):
        with pytest.raises(ArchiveError):
            read(data[:cut])


def test_every_flipped_bit_is_an_error_or_harmless() -> None:
    # The prelude has no checksum, so a changed name of an option or a database is valid; the test only checks
    # that it raises no other error. After the prelude no bit may change or lose a document. Harmless are the
    # CRC of headers that are not the last of their collection, where it is not read, a renamed EOF there, and
    # the end of a view.
    prelude, data = small()
    intact = read(data)[1]
    start = len(prelude.to_bytes())
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = read(bytes(flipped))[1]
        except ArchiveError as error:
            assert "\n" not in error.message  # noqa: PT017 (most of them raise)
            continue
        assert found == intact or bit // 8 < start


def test_random_bytes_raise_no_other_error() -> None:
    prelude, data = small()
    randomly = random.Random(1)
    beginnings = [b"", MAGIC, MAGIC + bson.encode({}), prelude.to_bytes(), data]
    for number in range(3000):
        garbage = randomly.randbytes(randomly.randint(1, 60))
        if number % 2:  # plausible lengths of documents
            garbage = randomly.randint(0, 70).to_bytes(4, "little") + garbage + b"\0"
        with pytest.raises(ArchiveError):
            read(beginnings[number % 5] + garbage)


@pytest.mark.parametrize("length", [2**31 - 1, LONGEST + 1, LONGEST, 4, 0, -2, -(2**31)])
@pytest.mark.parametrize("where", ["header", "entry", "block", "document"])
def test_a_wrong_length_allocates_no_memory(length: int, where: str) -> None:
    prelude = prelude_of(plain("a"))
    whole = write_archive(prelude, [batch("a", bson.encode({"_id": "here"})), End("a")])
    header = MAGIC + bson.encode({"concurrent_collections": 4})
    block = bson.encode({"db": "app", "collection": "a", "EOF": False, "CRC": Int64(0)})
    beginning = {
        "header": MAGIC,
        "entry": header,
        "block": prelude.to_bytes(),
        "document": prelude.to_bytes() + block,
    }[where]
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError):
            read(beginning + length.to_bytes(4, "little", signed=True) + whole)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def blocks(*of: tuple[Mapping[str, Any], tuple[bytes, ...]]) -> bytes:
    return b"".join(bson.encode(header) + b"".join(documents) + TERMINATOR for header, documents in of)


A: dict[str, Any] = {"db": "app", "collection": "a", "EOF": False, "CRC": Int64(0)}
A_END, VIEW = A | {"EOF": True}, A | {"collection": "view"}
EMPTY = (bson.encode({}),)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no end of 'a'"),
        (blocks((A, ())), "no end of 'a'"),
        (blocks((A | {"collection": "c"}, ())), "a block of 'c', which is not in its prelude"),
        (blocks((A | {"db": "other"}, ())), "a block of 'a', which is not in its prelude"),
        (blocks(({"db": "app"}, ())), "a block of None"),
        (blocks((A | {"collection": Code("a")}, ())), "a block of Code"),
        (blocks((A, EMPTY), (A_END, ())), "checksum of 'a' does not match"),
        (blocks((A_END | {"CRC": "0"}, ())), "no checksum for 'a'"),
        (blocks((A_END, EMPTY)), "documents of 'a' after their end"),
        (blocks((A_END, ()), (A, ())), "a block of 'a' after its end"),
        (blocks((A_END, ()), (A_END, ())), "a block of 'a' after its end"),
        (blocks((VIEW, EMPTY)), "documents of 'view', which is a view"),
        (blocks((A_END, ())) + TERMINATOR, "a block without a header"),
        (blocks((A_END, ())) + b"\0", "cut off"),
        (blocks((A, (b"\x05\0\0\0\1",))), "a document does not end where it should"),
    ],
)
def test_errors_are_reported(data: bytes, message: str) -> None:
    view = Collection("view", "view", {"viewOn": "a", "pipeline": []}, ())
    with pytest.raises(ArchiveError, match=message):
        read(prelude_of(plain("a"), view).to_bytes() + data)


def test_bytes_that_are_not_an_archive_and_a_duplicate_name() -> None:
    with pytest.raises(ArchiveError, match="not a mongodump archive"):
        read(b"PK\x03\x04 and more")
    with pytest.raises(ArchiveError, match="cut off"):
        read(MAGIC)
    with pytest.raises(ArchiveError, match="has no 'db'"):
        Prelude.from_documents([bson.encode({}), entry(db=Code("app"))])
    with pytest.raises(ArchiveError, match="'a' more than once"):
        read(prelude_of(plain("a"), plain("a")).to_bytes())


def test_unknown_fields_and_late_views_are_accepted() -> None:
    data = blocks((A | {"new": 1}, ()), (A_END, ()), (VIEW, ()), (VIEW | {"EOF": True}, ()))
    view = Collection("view", "view", {"viewOn": "a", "pipeline": []}, ())
    assert read(prelude_of(plain("a"), view).to_bytes() + data)[1] == {"a": []}


def test_the_writer_requires_each_end_once() -> None:
    writer = ArchiveWriter(io.BytesIO(), prelude_of(plain("a"), plain("b")))
    with pytest.raises(ArchiveError, match="'c' has already ended in the archive, or is not in its prelude"):
        writer.write(batch("c", *EMPTY))
    writer.write(batch("a", *EMPTY))
    writer.write(End("a"))
    with pytest.raises(ArchiveError, match="'a' has already ended"):
        writer.write(batch("a", *EMPTY))
    with pytest.raises(ArchiveError, match="no end of 'b'"):
        writer.close()


def test_the_longest_document() -> None:
    longest = bson.encode({"a": b""})
    longest = bson.encode({"a": bytes(LONGEST - len(longest))})
    assert len(longest) == LONGEST
    pieces: list[Piece] = [batch("a", *EMPTY, longest, *EMPTY), End("a")]
    assert read(write_archive(prelude_of(plain("a")), pieces))[1] == documents_of(pieces)
    with pytest.raises(ArchiveError, match=f"a document of {LONGEST + 1} bytes"):
        read(prelude_of(plain("a")).to_bytes() + blocks((A, (bson.encode({"a": bytes(LONGEST - 12)}),))))


class Big(io.RawIOBase):
    """A truncated archive of 200 MB, generated while it is read."""

    def __init__(self) -> None:
        self._first = prelude_of(plain("a")).to_bytes() + blocks((A, ())).removesuffix(TERMINATOR)
        self._chunk = bson.encode({"_id": 1, "text": "x" * 20_000}) * 50
        self._left = 200_000_000 // len(self._chunk)

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= 1 << 20
        if self._first:
            first, self._first = self._first, b""
            return first
        self._left -= 1
        return self._chunk if self._left >= 0 else b""


def test_memory_stays_flat() -> None:
    reader = ArchiveReader(cast(BinaryIO, Big()))
    sizes: list[int] = []
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="cut off"):
            sizes.extend(len(piece.payload) for piece in reader if isinstance(piece, Batch))
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert max(sizes) < 3 << 20
