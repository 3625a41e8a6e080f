"""Options and indexes as the tools and servers of 2012 to 2017 wrote them, and how they are restored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from bson import Binary, MinKey, ObjectId, Regex, Timestamp

from tests.support.samples.legacy_projects import (
    Files,
    LegacyProject,
    collection_files,
    indexed,
    legacy_project,
)
from tests.support.samples.zips import ID
from tests.support.servers.mongod import Server


@dataclass(frozen=True)
class Metadata:
    metadata: str
    options: Mapping[str, Any]
    indexes: Mapping[str, Mapping[str, Any]]


def options(text: str, **expected: Any) -> Metadata:
    return Metadata(indexed(options=text), expected, {})


def index(text: str, **expected: Any) -> Metadata:
    """One index called ``i``, by default on ``a``."""
    definition = text if '"key"' in text else f'"key":{{"a":1}}{"," if text else ""}{text}'
    made = {"key": {"a": 1}, **expected}
    return Metadata(indexed(f'{{"v":1,{definition},"ns":"app.x","name":"i"}}'), {}, {"i": made})


GERMAN = (
    '{"locale":"de","caseLevel":false,"caseFirst":"off","strength":3,"numericOrdering":false,"alternate":'
    '"non-ignorable","maxVariable":"punct","normalization":false,"backwards":false,"version":"57.1"}'
)
ENGLISH = {"default_language": "english", "language_override": "language"}
AGED = {
    # mongodump 2.4 and 2.6, in C++
    "of 2.4": Metadata(
        """{ "options" : { "create" : "of 2.4", "capped" : true, "size" : 100096, "max" : 100 }, "indexes" : [
            { "v" : 1, "key" : { "_id" : 1 }, "ns" : "app.of 2.4", "name" : "_id_" },
            { "v" : 1, "key" : { "name" : 1, "at" : -1 }, "unique" : true, "ns" : "app.of 2.4",
              "name" : "name_1_at_-1", "dropDups" : true, "background" : true } ] }""",
        {"capped": True, "size": 100096, "max": 100},
        {"name_1_at_-1": {"key": {"name": 1, "at": -1}, "unique": True, "background": True}},
    ),
    "of 2.4, plain": Metadata('{ "indexes" : [ ' + ID + " ] }", {}, {}),
    "of 2.6, temporary": options('{ "create" : "x", "temp" : true, "flags" : 1, "$nExtents" : 3 }'),
    # mongodump 3.0 to 3.4, in Go
    "of 3.2": Metadata(
        '{"options":{"capped":true,"size":{"$numberLong":"1048576"},"max":{"$numberLong":"500"}},"indexes":'
        '[{"v":1,"key":{"_id":1},"name":"_id_","ns":"app.x"},{"v":1,"key":{"a":1.0,"b":-1.0},"name":"a_b",'
        '"ns":"app.x","background":true,"safe":null,"sparse":true}]}',
        {"capped": True, "size": 1 << 20, "max": 500},
        {"a_b": {"key": {"a": 1.0, "b": -1.0}, "background": True, "sparse": True}},
    ),
    "of 3.4": Metadata(
        '{"options":{"collation":' + GERMAN + '},"indexes":[{"v":2,"key":{"_id":1},"name":"_id_",'
        '"collation":' + GERMAN + '},{"v":2,"key":{"a":1},"name":"simple","ns":"app.x"}]}',
        {
            "collation": json.loads(GERMAN)
        },
        {"simple": {"key": {"a": 1}}},
    ),
    "of 3.6": Metadata('{"options":{},"indexes":[' + ID + '],"uuid":"' + "0a" * 16 + '"}', {}, {}),
    "nothing": Metadata("{}", {}, {}),
    "no indexes": Metadata('{"options":{"create":"x"}}', {}, {}),
    "nulls": Metadata('{"options":null,"indexes":null}', {}, {}),
    # options
    "size of the first file": options('{"create":"x","size":1000}'),
    "not capped": options('{"capped":false,"size":0,"max":0}'),
    "null for capped": options('{"capped":null,"size":null,"max":null}'),
    "capped by a number": options('{"capped":1.0,"size":4096.0}', capped=True, size=4096),
    "no limit": options('{"capped":true,"size":4096,"max":null}', capped=True, size=4096),
    "limit beyond all": options(
        '{"capped":true,"size":4096,"max":{"$numberLong":"9223372036854775807"}}', capped=True, size=4096
    ),
    "with _id": options('{"autoIndexId":true}'),
    "without _id": options('{"autoIndexId":false}'),
    "what drivers passed on": options('{"safe":true,"w":1,"strict":true,"pkFactory":null,"raw":{}}'),
    "power of 2": options('{"usePowerOf2Sizes":true,"noPadding":false}'),
    "MMAPv1": options('{"storageEngine":{"mmapv1":{}}}'),
    "WiredTiger": options(
        '{"storageEngine":{"wiredTiger":{"configString":"block_compressor=zlib"}}}',
        storageEngine={"wiredTiger": {"configString": "block_compressor=zlib"}},
    ),
    "validator": options(
        '{"validator":{"name":{"$regex":"^[A-Z]","$options":"i"},"$or":[{"kind":{"$in":['
        '{"$regex":"^a","$options":"i"},{"$regex":"b","$options":""},"c"]}},{"of":{"$date":'
        '"2014-05-29T02:38:00.000+0200"}},{"of":{"$date":1401323880000}},{"id":{"$oid":"' + "0a" * 12 + '"}},'
        '{"by":{"$binary":"AAECAwQFBgcICQoLDA0ODw==","$type":"03"}},{"n":{"$gte":{"$numberLong":"7"}}},'
        '{"t":{"$gt":{"$timestamp":{"t":5,"i":1}}}},{"m":{"$gt":{"$minKey":1}}},{"x":{"$type":2}}]},'
        '"validationLevel":"moderate","validationAction":"warn"}',
        validator={
            "name": {"$regex": "^[A-Z]", "$options": "i"},
            "$or": [
                {"kind": {"$in": [Regex("^a", "i"), Regex("b"), "c"]}},
                {"of": datetime(2014, 5, 29, 0, 38)},
                {"of": datetime(2014, 5, 29, 0, 38)},
                {"id": ObjectId("0a" * 12)},
                {"by": Binary(bytes(range(16)), 3)},
                {"n": {"$gte": 7}},
                {"t": {"$gt": Timestamp(5, 1)}},
                {"m": {"$gt": MinKey()}},
                {"x": {"$type": 2}},
            ],
        },
        validationLevel="moderate",
        validationAction="warn",
    ),
    # indexes
    "true": index('"key":{"a":true}'),
    "false, null, a document": index('"key":{"a":false,"b":null,"c":{"d":1}}', key={"a": 1, "b": 1, "c": 1}),
    "0": index('"key":{"a":0,"b":0.0,"c":{"$numberLong":"0"}}', key={"a": 1, "b": 1, "c": 1}),
    "empty text": index('"key":{"a":""}'),
    "text": index('"key":{"a":"1","b":"asc"}', key={"a": 1, "b": 1}),
    "not a number": index('"key":{"a":NaN}'),
    "other numbers": index('"key":{"a":2,"b":-0.5,"c":1e-12}', key={"a": 2, "b": -0.5, "c": 1e-12}),
    "hashed": index('"key":{"a":"hashed"}', key={"a": "hashed"}),
    "hashed _id": index('"key":{"_id":"hashed"}', key={"_id": "hashed"}),
    "unique by a number": index('"unique":1.0,"sparse":1', unique=True, sparse=True),
    "unique by a text": index('"unique":"true"', unique=True),
    "not unique": index('"unique":false,"sparse":false,"background":false'),
    "not unique by a number": index('"unique":0,"sparse":0.0,"background":{"$numberLong":"0"}'),
    "null for unique": index('"unique":null,"sparse":null,"background":null,"dropDups":null'),
    "index nulls": index('"bits":null,"default_language":null,"2dsphereIndexVersion":null,"weights":null'),
    "unknown words": index('"safe":true,"w":1,"writeConcern":{},"o":"p","ensureIndex":"x","async":false'),
    "expiring": index('"expireAfterSeconds":{"$numberLong":"60"}', expireAfterSeconds=60),
    "expiring after 1.5": index('"expireAfterSeconds":1.5', expireAfterSeconds=1),
    "expiring never": index('"expireAfterSeconds":1e12', expireAfterSeconds=2**31 - 1),
    "expiring before": index('"expireAfterSeconds":-60', expireAfterSeconds=0),
    "expiring by two fields": index('"key":{"a":1,"b":1},"expireAfterSeconds":60', key={"a": 1, "b": 1}),
    "expiring nobody knows when": index('"expireAfterSeconds":NaN', expireAfterSeconds=2**31 - 1),
    "not expiring": index('"expireAfterSeconds":null'),
    "not expiring by a text": index('"expireAfterSeconds":"60"'),
    "MMAPv1 of an index": index('"storageEngine":{"mmapv1":{}}'),
    "weights of nothing": index('"weights":{"a":1},"default_language":"english"', default_language="english"),
    "text 1": index(
        '"key":{"_fts":"text","_ftsx":1},"weights":{"a":1,"$**":2},"default_language":"english",'
        '"language_override":"language","textIndexVersion":1',
        key={"_fts": "text", "_ftsx": 1},
        weights={"a": 1, "$**": 2},
        textIndexVersion=1,
        **ENGLISH,
    ),
    "text 2": index(
        '"key":{"b":1,"_fts":"text","_ftsx":1},"weights":{"a":1.0},"default_language":"english",'
        '"language_override":"language","textIndexVersion":2',
        key={"b": 1, "_fts": "text", "_ftsx": 1},
        weights={"a": 1},
        textIndexVersion=2,
        **ENGLISH,
    ),
    "2d": index(
        '"key":{"a":"2d"},"min":-180.0,"max":180,"bits":26.0',
        key={"a": "2d"},
        min=-180.0,
        max=180.0,
        bits=26,
    ),
    "2dsphere 1": index(
        '"key":{"a":"2dsphere"},"2dsphereIndexVersion":1',
        **{"key": {"a": "2dsphere"}, "2dsphereIndexVersion": 1},
    ),
    "2dsphere of 2.4.0": index(
        '"key":{"a":"2dsphere"}', **{"key": {"a": "2dsphere"}, "2dsphereIndexVersion": 3}
    ),
    "partial": index(
        '"partialFilterExpression":{"a":{"$gt":{"$numberLong":"5"},"$type":16.0},"at":{"$lt":{"$date":'
        '{"$numberLong":"-1"}}}}',
        partialFilterExpression={
            "a": {"$gt": 5, "$type": 16.0},
            "at": {"$lt": datetime(1969, 12, 31, 23, 59, 59, 999000)},
        },
    ),
    "v 0": Metadata(indexed('{"name":"i","ns":"app.x","key":{"a":1},"v":0}'), {}, {"i": {"key": {"a": 1}}}),
    "no version": Metadata(indexed('{"name":"i","ns":"app.x","key":{"a":1}}'), {}, {"i": {"key": {"a": 1}}}),
    "only once": Metadata(
        indexed(
            '{"v":1,"key":{"a":1},"name":"a_1","ns":"app.x","background":true}',
            '{"v":1,"key":{"a":true},"name":"a_true","ns":"app.x"}',
            '{"v":1,"key":{"a":1,"b":1},"name":"a_1_b_1","ns":"app.x"}',
            '{"v":1,"key":{"b":1,"a":1},"name":"b_1_a_1","ns":"app.x"}',
        ),
        {},
        {
            "a_1": {"key": {"a": 1}, "background": True},
            "a_1_b_1": {"key": {"a": 1, "b": 1}},
            "b_1_a_1": {"key": {"b": 1, "a": 1}},
        },
    ),
    "odd _id": Metadata(
        '{"indexes":[{"v":0,"key":{"_id":{"$oid":"' + "00" * 12 + '"}},"name":"_id_","unique":true},'
        '{"v":1,"key":{"_id":1.0},"name":"_id_1","ns":"app.x"},{"v":1,"key":{"_id":-1},"name":"_id_-1"}]}',
        {},
        {},
    ),
    # Metadata that 100.3 still writes in the old format.
    "of today": Metadata(
        '{"options":{},"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"},'
        '{"v":{"$numberInt":"2"},"key":{"a":{"$numberInt":"-1"}},"name":"i","hidden":true,"unique":true}],'
        '"uuid":"' + "0a" * 16 + '","collectionName":"of today"}',
        {},
        {"i": {"key": {"a": -1}, "hidden": True, "unique": True}},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def old_metadata(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LegacyProject]:
    """All cases, restored together, with one document each."""
    with legacy_project(server, tmp_path_factory.mktemp("old_metadata")) as legacy:
        files: Files = {}
        for name, one in AGED.items():
            files |= collection_files(name, one.metadata, {"_id": 1, "name": "Ann", "kind": "c"})
        legacy.restore(files)
        yield legacy


@pytest.mark.parametrize("name", AGED)
def test_metadata_as_it_was_written(old_metadata: LegacyProject, name: str) -> None:
    assert old_metadata.options(name) == AGED[name].options
    found = old_metadata.indexes(name)
    assert found == AGED[name].indexes
    keys = {key: list(one["key"].items()) for key, one in AGED[name].indexes.items()}
    assert {key: list(one["key"].items()) for key, one in found.items()} == keys
    assert old_metadata.target[name].find_one() == {"_id": 1, "name": "Ann", "kind": "c"}
