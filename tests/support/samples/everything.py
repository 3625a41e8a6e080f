"""A database with everything MongoDB 6.0 supports, for tests of copies and backups.

Nothing in it is random or depends on the clock. Two filled databases with names of equal length are equal,
except for the ``_id`` of the time-series buckets, which the server generates.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import bson
from bson import Int64, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.code import Code
from bson.codec_options import CodecOptions
from gridfs import GridFSBucket
from pymongo import ASCENDING, DESCENDING, WriteConcern
from pymongo.database import Database

from tests.support.samples.values import (
    DAY,
    EMPTY,
    FIELD_NAMES,
    INDEXES,
    KINDS,
    LATER,
    NAMES,
    TUNED,
    UNREADABLE,
    VALUES,
    document,
    element,
    field,
    wrapped,
)

# The limits of the server, measured on 6.0.5.
LARGEST = 16 * 1024 * 1024
DEEPEST = 180  # documents below the top one
NAMESPACE = 255  # bytes of a database's name, a dot, and a collection's name


def fill(database: Database[Any], *, large: bool = True, namespace: int = NAMESPACE) -> None:
    """Fill the empty ``database``, with the largest document only if ``large``.

    The longest collection name has ``namespace`` bytes together with the database's name. Pass less if it has
    to fit into a database with a longer name.
    """
    durable, database = database, database.with_options(CodecOptions[Any](), write_concern=WriteConcern(1))
    _types(database)
    _binaries(database)
    _names_of_fields(database)
    _sizes(database, large)
    _identities(database)
    _indexes(database)
    _capped(database)
    _validators(database)
    _other_options(database)
    _time_series(database)
    _views(database)
    _files(database)
    _names(database, namespace)
    # The last write waits for a majority, and so for all writes before it, which is ten times faster than
    # waiting for each.
    _histories(durable)


def fill_with_what_is_old(database: Database[Any]) -> None:
    """Fill the empty ``database`` with what MongoDB 4.4 supports too."""
    for fill_some in (_types, _identities, _indexes, _capped, _validators, _views, _files, _histories):
        fill_some(database)


def upsert_raw(database: Database[Any], name: str, document: Any) -> None:
    """Insert ``document`` and keep its empty timestamps.

    On insert and replace the server sets top-level empty timestamps to its time; an update with a pipeline
    keeps them.
    """
    update = [{"$replaceWith": {"$literal": document}}]
    database[name].update_one({"_id": document["_id"]}, update, upsert=True)


def _types(database: Database[Any]) -> None:
    """Insert a document for every type, with the type at the top, in a document and in an array."""
    for name, kind in KINDS.items():
        made = document(
            field("_id", name),
            element(b"value", *kind),
            element(b"nested", 0x03, wrapped(element(b"value", *kind))),
            element(b"list", 0x04, wrapped(element(b"0", *kind) + element(b"1", *kind))),
        )
        if name == "empty timestamp":
            upsert_raw(database, "types", made)
        else:
            database["types"].insert_one(made)


def _binaries(database: Database[Any]) -> None:
    # Raw, because pymongo 4.9 cannot encode the subtypes above 127. The old subtype 2 has its length twice.
    data = b"16 bytes of data"
    binaries = [
        document(
            field("_id", subtype),
            element(b"value", 0x05, len(inside).to_bytes(4, "little") + bytes([subtype]) + inside),
        )
        for subtype in range(256)
        for inside in [len(data).to_bytes(4, "little") + data if subtype == 2 else data]
    ]
    database["binaries"].insert_many([*binaries, {"_id": "empty", "value": Binary(b"")}])
    database["unreadable"].insert_many(
        document(field("_id", number), made) for number, made in enumerate(UNREADABLE)
    )


def _names_of_fields(database: Database[Any]) -> None:
    odd = {name: {name: index} for index, name in enumerate(FIELD_NAMES)}
    fields = database["names_of_fields"]
    fields.insert_many([{"_id": "odd", **odd}, {"_id": "long", "n" * 100_000: 1}])
    fields.insert_one(document(field("_id", "twice"), *(field("a", value) for value in (1, "two", [3]))))
    fields.insert_one({"_id": "none"})
    upsert_raw(database, "names_of_fields", {"_id": "empty timestamps", **dict.fromkeys(FIELD_NAMES, EMPTY)})


def _sizes(database: Database[Any], large: bool) -> None:
    for name, levels in (("deep", 95), ("deepest", DEEPEST)):
        below = b""
        for level in range(levels):
            below = element(b"0", 0x03 if level % 2 else 0x04, wrapped(below))
        database["deep"].insert_one(document(field("_id", name), below))
    many = [{"_id": number, "text": f"number {number}", "square": number * number} for number in range(5000)]
    database["many"].insert_many(many)
    if large:
        # Text that compresses moderately, and has no bytes that are slow for a tool.
        text = "".join(f"{number:x} bottles, " for number in range(LARGEST // 10))
        bare = len(bson.encode({"_id": "largest", "text": ""}))
        database["large"].insert_one({"_id": "largest", "text": text[: LARGEST - bare]})


def _identities(database: Database[Any]) -> None:
    # The server refuses these as _id, and treats equal numbers as one _id.
    refused = {"array", "empty array", "regex", "document", "reference to elsewhere"}
    refused |= {
        "double",
        "NaN",
        "infinity",
        "negative infinity",
        "decimal sNaN",
        "decimal -0",
        "decimal 0E+3",
    }
    ids = [value for name, value in VALUES.items() if name not in refused]
    ids += [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a.b": EMPTY}, Binary(b"\1" * 16, 4), "x" * 5000]
    database["identities"].insert_many([{"_id": value, "at": place} for place, value in enumerate(ids)])
    database["identities"].insert_one(document(field("_id", 7), field("at", "first")))
    upsert_raw(database, "empty_identity", {"_id": EMPTY, "value": EMPTY})


def _indexes(database: Database[Any]) -> None:
    database["people"].insert_many(
        {
            "_id": number,
            "name": f"Person {number}",
            "about": {"en": "a short text", "de": "ein kurzer Text"},
            "tags": ["red", "blue", {"deep": number}],
            "place": {"type": "Point", "coordinates": [number / 10, -number / 10]},
            "at": [number, -number],
            "until": DAY + timedelta(days=number),
            **({"email": f"{number}@example.com"} if number % 2 else {}),
        }
        for number in range(100)
    )
    database.command("createIndexes", "people", indexes=INDEXES)


def _capped(database: Database[Any]) -> None:
    """Create collections that have discarded old documents, and whose order differs from that of ``_id``."""
    for name, size, limit in (("capped", 4096, {}), ("capped_max", 1 << 20, {"max": 20})):
        database.command({"create": name, "capped": True, "size": size, **limit})
        database[name].create_index("text")
        texts = [{"_id": number * 77 % 200, "text": "x" * (number % 50)} for number in range(200)]
        database[name].insert_many(texts)
        database[name].insert_one({"_id": -1})
    database.create_collection("capped_empty", capped=True, size=8192, max=5)
    # In a separate collection: code that handles such a document on its own loses its place in the order.
    database.create_collection("capped_timestamps", capped=True, size=8192)
    for number in range(5):
        upsert_raw(database, "capped_timestamps", {"_id": -number, "value": Timestamp(number % 2, 0)})


def _validators(database: Database[Any]) -> None:
    rule = {
        "$jsonSchema": {"bsonType": "object", "required": ["name"], "properties": {"age": {"maximum": 150}}},
        "name": Regex("^[A-Z]", "i"),
        "size": {"$not": {"$gt": Int64(9)}},
        "since": {"$not": {"$gt": DAY}},
    }
    for name, options in (
        ("validated", {}),
        ("validated_warn", {"validationLevel": "moderate", "validationAction": "warn"}),
        ("validated_off", {"validationLevel": "off"}),
    ):
        database.command({"create": name, "validator": rule, **options})
        bad = {"_id": "bad", "age": 200, "since": DAY + timedelta(1)}
        database[name].insert_one({"_id": "good", "name": "Ann"})
        database[name].insert_one(bad, bypass_document_validation=True)


def _other_options(database: Database[Any]) -> None:
    database.create_collection("empty")
    database.create_collection("empty_indexed").create_index([("a", ASCENDING)], unique=True)
    swedish = database.create_collection(
        "collated", collation={"locale": "sv", "numericOrdering": True, "caseFirst": "upper"}
    )
    swedish.create_index("word")
    swedish.create_index([("plain", ASCENDING)], collation={"locale": "simple"})
    swedish.insert_many([{"_id": word} for word in ("ö", "z", "Å", "å", "10", "9")])
    for name, limit in (("clustered", {}), ("clustered_ttl", {"expireAfterSeconds": LATER})):
        key = {"key": {"_id": 1}, "unique": True, "name": f"of {name}"}
        database.command({"create": name, "clusteredIndex": key, **limit})
        database[name].create_index("day")
        database[name].insert_many({"_id": DAY + timedelta(days=-day), "day": day} for day in range(50))
    images = database.create_collection("images", changeStreamPreAndPostImages={"enabled": True})
    images.insert_one({"_id": 1})
    database.create_collection("tuned", storageEngine=TUNED).insert_one({"_id": 1})
    functions = [{"_id": "add", "value": Code("function (a, b) { return a + b; }")}]
    functions.append({"_id": "one", "value": Code("function () { return x; }", {"x": 1})})
    database["system.js"].insert_many(functions)


def _time_series(database: Database[Any]) -> None:
    hourly = {"timeField": "at", "metaField": "station", "granularity": "hours"}
    database.create_collection("weather", timeseries=hourly, expireAfterSeconds=LATER)
    database["weather"].create_index([("station.id", ASCENDING), ("at", DESCENDING)], name="by station")
    database["weather"].insert_many(
        {
            "_id": number,
            "at": DAY + timedelta(days=number // 3),
            "station": {"id": number % 3, "name": "ab"[number % 2]},
            "warm": number / 4,
            "note": VALUES[("string", "regex", "decimal 1.500")[number % 3]],
        }
        for number in range(300)
    )
    database.create_collection("no_weather", timeseries=hourly)
    # Without a meta field, and with times that a bucket's _id cannot represent.
    database.create_collection("old_weather", timeseries={"timeField": "at"}, collation={"locale": "de"})
    years = (1, 1969, 1970, 2038, 2106, 9999)
    database["old_weather"].insert_many({"_id": year, "at": datetime(year, 1, 1)} for year in years)


def _views(database: Database[Any]) -> None:
    few = [{"$match": {"until": {"$gt": DAY}, "name": Regex("7", "i"), "_id": {"$lt": Int64(90)}}}]
    database.create_collection("view", viewOn="people", pipeline=few)
    database.create_collection("view_of_view", viewOn="view", pipeline=[{"$project": {"name": 1}}])
    joined = {"from": "many", "localField": "_id", "foreignField": "_id", "as": "many"}
    database.create_collection("a_view_before", viewOn="view", pipeline=[{"$lookup": joined}])
    numeric = {"locale": "sv", "numericOrdering": True}
    database.create_collection("view_collated", viewOn="many", pipeline=[], collation=numeric)
    database.create_collection("view_of_series", viewOn="weather", pipeline=[{"$match": {"station.id": 1}}])
    database.create_collection("view_of_nothing", viewOn="missing", pipeline=[])


def _files(database: Database[Any]) -> None:
    """Create two GridFS files with fixed times and ids."""
    bucket = GridFSBucket(database, chunk_size_bytes=100_000)
    bucket.upload_from_stream_with_id(
        ObjectId(b"\1" * 12), "letters", b"ten letter" * 45_000, metadata={"a": 1}
    )
    bucket.upload_from_stream_with_id("nothing", "empty", b"")
    database["fs.files"].update_many({}, {"$set": {"uploadDate": DAY}})
    chunks = list(database["fs.chunks"].find(sort=[("files_id", ASCENDING), ("n", ASCENDING)]))
    database["fs.chunks"].delete_many({})
    database["fs.chunks"].insert_many({**chunk, "_id": bytes_id(chunk["n"])} for chunk in chunks)


def _names(database: Database[Any], namespace: int) -> None:
    """Create collections with names like patterns, paths, options and each other."""
    longest = "n" * (namespace - len(f"{database.name}.".encode()))
    for number, name in enumerate([*NAMES, longest]):
        # Creating an index on an empty collection is immediate; building one later takes 0.1 s.
        database[name].create_index("called")
        database[name].insert_one({"_id": number, "called": name})


def _histories(database: Database[Any]) -> None:
    for number, name in enumerate(("first", "second"), start=1):
        key = f"_20140529{number:04}_{name}_migration"
        record = {"_id": bytes_id(number), "key": key, "state": "Completed", "processed_at": DAY}
        database["mongo_migration_history"].insert_one(record)
    attempt = {"_id": bytes_id(1), "key": key, "started_at": DAY, "finished_at": DAY, "outcome": "Completed"}
    database["mongo_migration_journal"].insert_one(attempt)


def bytes_id(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(12, "big"))
