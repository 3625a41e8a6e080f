"""Documents that are left out when a collection is read again."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from monarch.databases.mongo.engines.sent_documents import NotUnique, SentDocuments


def encode(*documents: dict[str, Any]) -> bytes:
    return b"".join(map(bson.encode, documents))


def ids(payload: bytes) -> list[Any]:
    return [one["_id"] for one in bson.decode_all(payload)]


@pytest.mark.parametrize("is_sharded", [False, True])
def test_sent_documents_are_left_out(is_sharded: bool) -> None:
    sent = SentDocuments(is_series=False, is_sharded=is_sharded)
    sent.add(encode({"_id": 1}, {"_id": 2}))
    sent.begin_again()
    payload, count = sent.rest(encode({"_id": 2, "changed": True}, {"_id": 3}, {"_id": 1}))
    assert (ids(payload), count) == ([3], 1)
    sent.begin_again()  # another find, which also returns a document that has changed since
    payload, count = sent.rest(encode({"_id": 3}, {"_id": 4}, {"_id": 1}))
    assert (ids(payload), count) == ([4], 1)


def test_a_document_read_twice_is_sent_once() -> None:
    sent = SentDocuments(is_series=False, is_sharded=False)
    sent.begin_again()
    assert sent.rest(encode({"_id": 1}, {"_id": 2}, {"_id": 1}))[1] == 2
    assert sent.rest(encode({"_id": 1}))[1] == 0


@pytest.mark.parametrize("first", [[{"_id": 1}, {"_id": 1, "other": True}], [{"_id": 1}], []])
def test_one_id_on_two_shards_is_an_error(first: list[dict[str, Any]]) -> None:
    """Otherwise one of the two documents would be left out."""
    sent = SentDocuments(is_series=False, is_sharded=True)
    sent.add(encode(*first))
    sent.begin_again()
    with pytest.raises(NotUnique):
        sent.rest(encode({"_id": 1}, {"_id": 1, "other": True}))


def test_equal_documents_of_a_time_series_are_counted() -> None:
    sent = SentDocuments(is_series=True, is_sharded=True)
    sent.add(encode({"t": 1}, {"t": 1}, {"t": 2}))
    sent.begin_again()
    payload, count = sent.rest(encode({"t": 1}, {"t": 2}, {"t": 1}, {"t": 1}, {"t": 3}))
    assert (bson.decode_all(payload), count) == ([{"t": 1}, {"t": 3}], 2)
