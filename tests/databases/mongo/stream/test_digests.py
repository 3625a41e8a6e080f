"""The hashes of collections in a manifest: which there are, and what they depend on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from bson import Int64

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.query import Query
from monarch.databases.mongo.collection_names import JOURNAL
from monarch.databases.mongo.stream.batches import Batch, End
from monarch.databases.mongo.stream.digests import ContentHashes

ID = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
DOGS = Collection("dogs", "collection", {}, (ID, {"v": 2, "key": {"name": 1}, "name": "name_1"}))
SERIES = Collection("weather", "timeseries", {"timeseries": {"timeField": "t"}}, ())
CLUSTERED = replace(DOGS, options={"clusteredIndex": {"key": {"_id": 1}, "unique": True}})


def test_documents_are_hashed_in_their_order() -> None:
    hashes = ContentHashes((DOGS, SERIES), is_sharded=False)
    for piece in (Batch("dogs", b"ab", 2), Batch("other", b"x", 1), Batch("dogs", b"c", 1), End("dogs")):
        hashes.add(piece)
    assert hashes.digest(DOGS).contents == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert hashes.digest(SERIES).contents == f"sha256:{hashlib.sha256().hexdigest()}"


@pytest.mark.parametrize(
    ("collection", "is_sharded", "is_hashed"),
    [
        (DOGS, True, True),
        (SERIES, False, True),
        (SERIES, True, False),
        (replace(SERIES, as_documents=True), False, False),
        (CLUSTERED, False, True),
        (CLUSTERED, True, False),
        (replace(CLUSTERED, query=Query(())), False, False),
        (replace(DOGS, query=Query(())), False, True),
        (replace(DOGS, options={"capped": True, "size": 4096}), False, False),
        (replace(DOGS, name=JOURNAL), False, False),
        (Collection("young", "view", {"viewOn": "dogs", "pipeline": []}, ()), False, False),
    ],
)
def test_what_a_copy_returns_in_another_order_is_not_hashed(
    collection: Collection, is_sharded: bool, is_hashed: bool
) -> None:
    digest = ContentHashes((collection,), is_sharded=is_sharded).digest(collection)
    assert (digest.contents is not None) is is_hashed


def test_indexes_that_another_server_writes_differently_have_one_hash() -> None:
    old = replace(DOGS, indexes=(ID, {**DOGS.indexes[1], "unique": False, "expireAfterSeconds": 60.0}))
    new = replace(DOGS, indexes=(ID, {**DOGS.indexes[1], "expireAfterSeconds": 60}))
    found = [ContentHashes((one,), is_sharded=False).digest(one).indexes for one in (old, new, DOGS)]
    assert found[0] == found[1] != found[2]
    assert set(found[0]) == {"_id_", "name_1"}


def test_a_definition_is_that_of_the_validator_and_of_a_view() -> None:
    strict = replace(DOGS, options={"validator": {"name": {"$type": "string"}}})
    view = Collection("young", "view", {"viewOn": "dogs", "pipeline": [{"$match": {"age": 1}}]}, ())
    other = replace(view, options={"viewOn": "dogs", "pipeline": [{"$match": {"age": 2}}]})
    digests = [ContentHashes((one,), is_sharded=False).digest(one) for one in (DOGS, strict, view, other)]
    assert len({one.definition for one in digests}) == 4
    assert digests[2].indexes == {}


FRENCH = {"locale": "fr", "strength": 3}
OPTIONS: dict[str, dict[str, Any]] = {
    "collation": {"collation": FRENCH},
    "another collation": {"collation": {**FRENCH, "strength": 1}},
    "size": {"capped": True, "size": 4096},
    "another size": {"capped": True, "size": 8192},
    "max": {"capped": True, "size": 4096, "max": 3},
    "granularity": {"timeseries": {"timeField": "t", "granularity": "hours"}},
    "another granularity": {"timeseries": {"timeField": "t", "granularity": "minutes"}},
    "expires": {"timeseries": {"timeField": "t"}, "expireAfterSeconds": 60},
}
INDEXES: dict[str, dict[str, Any]] = {
    "collation": {"collation": FRENCH},
    "weights": {"weights": {"name": 2}, "key": {"_fts": "text", "_ftsx": 1}},
    "other weights": {"weights": {"name": 3}, "key": {"_fts": "text", "_ftsx": 1}},
    "projection": {"wildcardProjection": {"a": 1}, "key": {"$**": 1}},
}


def definition(**options: object) -> str | None:
    one = replace(DOGS, options=options, indexes=())
    return ContentHashes((one,), is_sharded=False).digest(one).definition


def test_all_options_make_a_difference() -> None:
    assert len({definition(**options) for options in ({}, *OPTIONS.values())}) == len(OPTIONS) + 1


def test_all_options_of_indexes_make_a_difference() -> None:
    found = set()
    for more in ({}, *INDEXES.values()):
        one = replace(DOGS, indexes=(ID, {**DOGS.indexes[1], **more}))
        found.add(ContentHashes((one,), is_sharded=False).digest(one).indexes["name_1"])
    assert len(found) == len(INDEXES) + 1


def test_what_servers_write_differently_makes_none() -> None:
    assert definition(collation={**FRENCH, "version": "57.1"}) == definition(
        collation={"strength": Int64(3), "locale": "fr", "version": "73.2"}
    )
    assert definition(capped=True, size=4000) == definition(capped=True, size=Int64(4096))
    assert definition(capped=True, size=4096.0) == definition(capped=True, size=4096)
    old, new = {"timeField": "t"}, {"timeField": "t", "granularity": "seconds", "bucketMaxSpanSeconds": 3600}
    assert definition(timeseries=old) == definition(timeseries=new)
