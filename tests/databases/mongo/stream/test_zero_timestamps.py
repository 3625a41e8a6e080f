"""Empty timestamps: all are found, and nothing else is mistaken for one."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Timestamp
from bson.code import Code
from hypothesis import example, given
from hypothesis import strategies as st

from monarch.databases.mongo.stream.batches import Batch
from monarch.databases.mongo.stream.zero_timestamps import ZeroTimestamps, elements
from monarch.errors import ServerError

EMPTY = Timestamp(0, 0)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.sampled_from(
        [0.0, b"", b"\x11a" + bytes(9), bytes(40), b"\x11" * 30, None, True, "\x11a", "", "a\0b"]
    ),
    st.sampled_from([bson.ObjectId(bytes(12)), bson.Regex("a", "i"), Code("x"), Code("x", {"y": EMPTY})]),
    st.sampled_from([Timestamp(0, 1), Timestamp(1, 0), bson.MinKey(), bson.MaxKey(), bson.Decimal128("0")]),
    st.sampled_from([{"a": EMPTY}, [EMPTY], {}, []]),
    st.just(EMPTY),
    st.binary(max_size=30),
)
# With the _id first, where bson writes it.
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=6).map(
    lambda made: {**{name: made[name] for name in ("_id",) if name in made}, **made}
)


@given(st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_all_top_level_empty_timestamps_are_masked_and_nothing_else(documents: list[dict[str, Any]]) -> None:
    raw = [bson.encode(document) for document in documents]
    masked = ZeroTimestamps().mask(Batch("c", b"".join(raw), len(raw)))
    assert masked.count == len(raw)
    assert len(masked.payload) == sum(map(len, raw))
    for before, after in zip(documents, bson.decode_all(masked.payload), strict=True):
        for (name, value), (new_name, new_value) in zip(before.items(), after.items(), strict=True):
            assert new_name == name
            if value == EMPTY and isinstance(value, Timestamp) and name != "_id":
                assert isinstance(new_value, Timestamp)
                assert new_value != EMPTY
            else:
                assert bson.encode({"": new_value}) == bson.encode({"": value})


@given(DOCUMENTS)
@example({"": 1, "_id": 2})  # bson writes these in reverse order
def test_the_elements_equal_those_of_bson(document: dict[str, Any]) -> None:
    encoded = bson.encode(document)
    assert [name.decode() for _, name, _ in elements(encoded)] == list(bson.decode(encoded))


def test_documents_without_empty_timestamps_are_unchanged() -> None:
    batch = Batch("c", bson.encode({"a": 0.0, "b": 17}), 1)
    assert ZeroTimestamps().mask(batch) is batch


@pytest.mark.parametrize("names", [(b"t", b"t"), (b"", b"a", b"a"), (b"\xff",)])
def test_an_empty_timestamp_that_could_not_be_restored_is_an_error(names: tuple[bytes, ...]) -> None:
    fields = b"".join(b"\x11" + name + b"\0" + bytes(8) for name in names)
    document = (len(fields) + 5).to_bytes(4, "little") + fields + b"\0"
    with pytest.raises(ServerError, match="no server accepts"):
        ZeroTimestamps().mask(Batch("c", document, 1))
