"""The full database has the promised contents every time, and a comparison finds every difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import ObjectId, Timestamp
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.errors import WriteError

from tests.support.samples.equality import LOSSLESS, assert_equal, describe
from tests.support.samples.everything import DEEPEST, LARGEST, fill
from tests.support.samples.values import EMPTY, INDEXES, KINDS, UNREADABLE, document, element, field, wrapped
from tests.support.servers.mongod import Server

Data = Database[dict[str, Any]]


@pytest.fixture(scope="module")
def pair(server: Server) -> Iterator[tuple[Data, Data]]:
    """Two databases with everything."""
    with server.client() as client:
        one, other = (client[f"t_{ObjectId()}"].with_options(LOSSLESS) for _ in range(2))
        fill(one)
        fill(other)
        yield one, other
        client.drop_database(one.name)
        client.drop_database(other.name)


@pytest.fixture
def full(pair: tuple[Data, Data]) -> Data:
    return pair[0]


@pytest.fixture
def small(server: Server) -> Iterator[Data]:
    """A database with one of everything that a test changes."""
    with server.client() as client:
        database = client[f"t_{ObjectId()}"]
        database["plain"].insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}])
        database["plain"].create_index("a")
        database.create_collection("capped", capped=True, size=4096).insert_many([{"_id": 1}, {"_id": 2}])
        database.create_collection("validated", validator={"a": 1})
        database.create_collection("view", viewOn="plain", pipeline=[{"$match": {"a": 1}}])
        database["system.js"].insert_one({"_id": "f", "value": 1})
        yield database
        client.drop_database(database.name)


def raw(database: Data, name: str) -> dict[Any, bytes]:
    """Return the documents of a collection as bytes, by ``_id``."""
    collection = database[name].with_options(LOSSLESS.with_options(document_class=RawBSONDocument))
    return {found["_id"]: bytes(found.raw) for found in collection.find()}


def test_two_full_databases_are_equal(pair: tuple[Data, Data]) -> None:
    one, other = pair
    assert_equal(describe(one, buckets=False), describe(other, buckets=False))


def test_only_the_ids_of_buckets_differ(pair: tuple[Data, Data]) -> None:
    one, other = pair
    with pytest.raises(AssertionError) as raised:
        assert_equal(describe(one), describe(other))
    lines = str(raised.value).splitlines()[1:]
    assert {line.partition(":")[0] for line in lines} == {
        "'system.buckets.old_weather'",
        "'system.buckets.weather'",
    }


def test_every_type_is_stored_unchanged(full: Data) -> None:
    found = raw(full, "types")
    assert found.keys() == KINDS.keys()
    for name, (kind, payload) in KINDS.items():
        assert element(b"value", kind, payload) in found[name]
    assert {kind for kind, _ in KINDS.values()} == {*range(1, 0x14), 0x7F, 0xFF}
    subtypes = {value.subtype for value in full["binaries"].distinct("value", {"_id": {"$gt": 0}})}
    assert subtypes == {*range(1, 256)}
    unreadable = full["unreadable"].with_options(CodecOptions(RawBSONDocument)).find(sort=[("_id", 1)])
    assert all(made in found.raw for made, found in zip(UNREADABLE, unreadable, strict=True))


def test_empty_timestamps_are_still_empty(full: Data) -> None:
    kept = full["types"].find_one({"_id": "empty timestamp"})
    assert kept == {"_id": "empty timestamp", "value": EMPTY, "nested": {"value": EMPTY}, "list": [EMPTY] * 2}
    assert list(full["empty_identity"].find()) == [{"_id": EMPTY, "value": EMPTY}]
    assert full["identities"].count_documents({"_id": EMPTY}) == 1
    of_names = full["names_of_fields"].find_one({"_id": "empty timestamps"})
    assert of_names is not None
    assert set(list(of_names.values())[1:]) == {EMPTY}


def test_the_server_replaces_empty_timestamps_on_insert(small: Data) -> None:
    """It is why `upsert_raw` exists."""
    small["plain"].insert_one({"_id": 3, "top": EMPTY, "nested": {"below": EMPTY}})
    found = small["plain"].find_one({"_id": 3})
    assert found is not None
    assert found["top"] > Timestamp(1, 0)
    assert found["nested"] == {"below": EMPTY}


def test_the_sizes_are_the_limits(full: Data, small: Data) -> None:
    (large,) = raw(full, "large").values()
    assert len(large) == LARGEST
    deeper = b""
    for _ in range(DEEPEST + 1):
        deeper = element(b"0", 0x03, wrapped(deeper))
    with pytest.raises(WriteError, match="levels of nesting"):
        small["plain"].insert_one(document(field("_id", 3), deeper))
    assert raw(full, "deep").keys() == {"deep", "deepest"}
    assert raw(full, "names_of_fields")["twice"].count(b"a\0") == 3
    longest = max(len(f"{full.name}.{name}".encode()) for name in full.list_collection_names())
    assert longest == 255


def test_every_kind_of_collection_exists(full: Data) -> None:
    entries = {entry["name"]: entry for entry in full.list_collections()}
    assert {entry["type"] for entry in entries.values()} == {"collection", "view", "timeseries"}
    options = {key for entry in entries.values() for key in entry["options"]}
    assert options == {
        *("capped", "size", "max", "validator", "validationLevel", "validationAction", "collation"),
        *("clusteredIndex", "expireAfterSeconds", "changeStreamPreAndPostImages", "storageEngine"),
        *("viewOn", "pipeline", "timeseries"),
    }
    assert {index["name"] for index in full["people"].list_indexes()} == {
        "_id_",
        *(index["name"] for index in INDEXES),
    }


def test_the_collections_have_special_contents(full: Data) -> None:
    for name in ("capped", "capped_max"):
        ids = [found["_id"] for found in full[name].find()]
        assert 20 <= len(ids) < 100
        assert sorted(ids) != ids
    rule = full["validated"].options()["validator"]
    assert full["validated"].distinct("_id", {"$nor": [rule]}) == ["bad"]
    # Some buckets are compressed: the server does that when a bucket is full.
    assert full["system.buckets.weather"].distinct("control.version") == [1, 2]
    assert full["weather"].count_documents({}) == 300
    assert full["view_of_view"].count_documents({}) == 18
    assert full["fs.chunks"].count_documents({}) == 5
    assert full["mongo_migration_history"].distinct("state") == ["Completed"]


def swap_capped(database: Data) -> None:
    database["capped"].drop()
    database.create_collection("capped", capped=True, size=4096).insert_many([{"_id": 2}, {"_id": 1}])


CHANGES: dict[str, Callable[[Data], object]] = {
    r"'plain': dbHash is": lambda found: found["plain"].update_one({"_id": 1}, {"$set": {"a": 1.0}}),
    r"'plain': count is 2 in the first, 1 in": lambda found: found["plain"].delete_one({"_id": 1}),
    r"'plain': index 'a_1' is only in the first": lambda found: found["plain"].drop_index("a_1"),
    r"'plain': index 'b_1' is only in the second": lambda found: found["plain"].create_index("b"),
    r"'plain' is only in the first": lambda found: found["plain"].drop(),
    r"'new' is only in the second": lambda found: found.create_collection("new"),
    r"'validated': option validator is": lambda found: found.command(
        {"collMod": "validated", "validator": {"a": 2}}
    ),
    r"'view': option pipeline is": lambda found: found.command(
        {"collMod": "view", "viewOn": "plain", "pipeline": [{"$match": {"a": {"$eq": 1}}}]}
    ),
    r"'view': 1 and 0 documents; 1 only in the first, such as \{'_id': 1": lambda found: found[
        "plain"
    ].delete_one({"_id": 1}),
    r"'capped': 2 and 2 documents, the same in another order": swap_capped,
    r"'system.js': dbHash is": lambda found: found["system.js"].update_one({}, {"$set": {"value": 2}}),
}


@pytest.mark.parametrize("difference", CHANGES)
def test_a_difference_is_noticed(small: Data, difference: str) -> None:
    before = describe(small)
    assert_equal(before, describe(small))
    CHANGES[difference](small)
    with pytest.raises(AssertionError, match=difference):
        assert_equal(before, describe(small))


def test_monarchs_own_collections_are_left_out(small: Data) -> None:
    before = describe(small)
    small["monarch_staging"].insert_one({"_id": 1})
    assert_equal(before, describe(small))
