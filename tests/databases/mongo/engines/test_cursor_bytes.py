"""Raw replies are parsed to the same documents as by pymongo."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import bson
import pytest
from bson import Int64, ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.collection import Collection

from monarch.databases.mongo.catalog.query import Find
from monarch.databases.mongo.engines.cursor_bytes import _Reply, read_raw_batches, unwrap
from monarch.databases.mongo.stream.batches import split
from monarch.errors import ServerError
from tests.support.servers.mongod import Server

Documents = Collection[dict[str, Any]]


@pytest.fixture(params=["server", "replica_set"])
def documents(request: pytest.FixtureRequest) -> Iterator[Documents]:
    server: Server = request.getfixturevalue(request.param)
    with server.client() as client:
        database = client[f"t_{ObjectId()}"]
        yield database["many"]
        client.drop_database(database.name)


def found(documents: Documents, find: Find, size: int = 100, projection: Any = None) -> list[dict[str, Any]]:
    read = list(read_raw_batches(documents, find, projection, size, lambda: None))
    for payload, count in read:
        assert len(split(payload)) == count > 0
    return [bson.decode(document) for payload, _ in read for document in split(payload)]


@pytest.mark.server
@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 99, 100, 101, 250, 1001])
def test_every_document_comes_once_in_order(documents: Documents, number: int) -> None:
    if number:
        documents.insert_many({"_id": n, "text": "x" * (n % 50)} for n in range(number))
    expected = list(documents.find().sort("_id", -1))
    find = Find(sort=(("_id", -1),))
    secondary = documents.with_options(read_preference=ReadPreference.SECONDARY_PREFERRED)
    for size in (2, 10, 100, 100_000):
        assert found(documents, find, size) == expected
        assert found(secondary, find, size) == expected  # with pymongo's own cursor
    some = {"_id": {"$gte": 5}}
    assert found(documents, Find(some, limit=7), 3) == list(documents.find(some, limit=7))
    assert found(documents, Find(), 100, {"_id": 1}) == list(documents.find({}, {"_id": 1}))


@pytest.mark.server
def test_stopping_early_leaves_no_open_cursor(documents: Documents) -> None:
    documents.insert_many({"_id": n} for n in range(1000))
    admin = documents.database.client.admin

    def open_cursors() -> int:
        return int(admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"])

    before = open_cursors()
    replies = read_raw_batches(documents, Find(), None, 10, lambda: None)
    assert [count for _, count in itertools.islice(replies, 2)] == [10, 10]
    assert open_cursors() == before + 1
    replies.close()
    assert open_cursors() == before


@pytest.mark.parametrize("number", [0, 1, 10, 11, 100, 1000, 1001])
def test_an_array_is_split(number: int) -> None:
    documents = [{"_id": n, "of": [n, {"0": "\0"}]} for n in range(number)]
    raw = bson.encode({str(n): document for n, document in enumerate(documents)})
    assert unwrap(raw) == (b"".join(map(bson.encode, documents)), number)


@pytest.mark.parametrize("cursor", [{}, {"id": Int64(0)}, {"firstBatch": []}, {"id": 0, "nextBatch": []}])
def test_an_invalid_reply_is_not_an_empty_one(cursor: dict[str, Any]) -> None:
    answer = {"cursor": RawBSONDocument(bson.encode(cursor))}
    with pytest.raises(ServerError, match="not a list of documents"):
        _Reply.of(answer)
    whole = {"cursor": RawBSONDocument(bson.encode({"ns": "a.b", "firstBatch": [], "id": Int64(7)}))}
    assert _Reply.of(whole) == _Reply(bson.encode({}), 7)


@pytest.mark.parametrize(
    "array", [bson.encode({"0": 1, "1": 2.0}), bson.encode({"0": {}})[:-1] + b"x\0", bson.encode({"00": {}})]
)
def test_a_value_that_is_not_an_array_of_documents(array: bytes) -> None:
    with pytest.raises(ServerError, match="not a list of documents"):
        unwrap(array)
