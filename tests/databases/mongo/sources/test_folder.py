"""Zipped folders of mongodump, as monarch 0.1 wrote them: restored, or refused with a message."""

from __future__ import annotations

import random
import re
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from bson import Code, Int64, ObjectId, Regex, json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from monarch.backups.reader import BrokenBackup
from monarch.databases import open_files
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.connection.client import tool_uri
from monarch.databases.mongo.sources.folder import MongoFolderSource
from monarch.databases.mongo.stream.batches import Batch
from monarch.errors import DamagedError, ServerError
from monarch.progress import SILENT
from tests.databases.mongo.engines.test_archives import sorted_inside
from tests.databases.mongo.engines.test_pairs import environment, old, scratch
from tests.databases.mongo.engines.test_pairs import with_tools as with_tools  # a fixture
from tests.support import counts
from tests.support.samples import everything
from tests.support.samples.equality import Description, assert_equal, describe
from tests.support.samples.legacy_projects import (
    Files,
    LegacyProject,
    collection_files,
    encode_documents,
    indexed,
    legacy_project,
)
from tests.support.samples.values import NAMES
from tests.support.samples.zips import ID, make_zip, open_zip
from tests.support.servers.mongod import Server

DAY = datetime(2014, 5, 29, tzinfo=UTC)
RAW = CodecOptions(RawBSONDocument)
ONE = bson.encode({"_id": 1, "name": "Ann"})


def read(zipped: bytes) -> tuple[tuple[Collection, ...], dict[str, bytes]]:
    """Verify the zip; return all its contents."""
    archive = open_files("mongo", open_zip(zipped))
    assert isinstance(archive, MongoFolderSource)
    archive.read_through(SILENT)
    found: dict[str, bytes] = {}
    with archive.pieces(lambda: None) as pieces:
        for piece in pieces:
            payload = piece.payload if isinstance(piece, Batch) else b""
            found[piece.collection] = found.get(piece.collection, b"") + payload
    return archive.collections, found


def read_error(files: Mapping[str, bytes | str]) -> str:
    """Check that the files are refused; return the message."""
    with pytest.raises(DamagedError) as raised:
        read(make_zip(files))
    assert "\n" not in raised.value.message
    assert len(raised.value.message) < 200
    return raised.value.message


@pytest.fixture
def legacy(tmp_path: Path, server: Server) -> Iterator[LegacyProject]:
    with legacy_project(server, tmp_path) as made:
        old(made.target)
        yield made


@pytest.fixture(scope="module")
def dumped(
    tools: Path, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Description, Files]]:
    """A full database, and the files of the real mongodump for it."""
    folder = tmp_path_factory.mktemp("dumped")
    with scratch(server) as source:
        everything.fill(source, large=False)
        source.drop_collection("Case")  # on Windows, it has the same file name as "case"
        uri = tool_uri(environment("any", server, "any"))
        command = [str(tools / "mongodump"), f"--uri={uri}", f"--db={source.name}", f"--out={folder}"]
        subprocess.run(command, check=True, capture_output=True)
        files: Files = {path.name: path.read_bytes() for path in (folder / source.name).iterdir()}
        yield describe(source, buckets=False), files


@pytest.mark.parametrize(
    ("folder", "method", "engine"),
    [
        ("", zipfile.ZIP_STORED, "native"),
        ("app", zipfile.ZIP_DEFLATED, "native"),
        ("", zipfile.ZIP_DEFLATED, "tools"),
    ],
)
def test_everything_is_equal_afterwards(
    legacy: LegacyProject,
    with_tools: None,
    dumped: tuple[Description, Files],
    folder: str,
    method: int,
    engine: str,
) -> None:
    source, files = dumped
    restored = legacy.restore(make_zip(files, folder, method), engine)
    # mongodump 100.3 loses the order inside options and indexes.
    assert_equal(sorted_inside(source), sorted_inside(describe(legacy.target, buckets=False)))
    counts = {one.name: one.documents for one in restored.collections if one.kind != "view"}
    assert counts["many"] == 5000
    assert counts["capped_empty"] == 0


def test_a_time_series_in_its_buckets(legacy: LegacyProject, server: Server) -> None:
    """mongodump 100.4 and newer name the file of the buckets differently from their metadata."""
    with scratch(server) as source:
        source.create_collection("weather", timeseries={"timeField": "at", "metaField": "where"})
        source["weather"].insert_many([{"_id": n, "at": DAY, "where": n % 3} for n in range(50)])
        buckets = [bytes(one.raw) for one in source["system.buckets.weather"].with_options(RAW).find()]
        entry = next(one for one in source.list_collections() if one["name"] == "weather")
        metadata = {"options": entry["options"], "indexes": [], "type": "timeseries"}
        files: Files = {
            "weather.metadata.json": json_util.dumps(metadata, json_options=json_util.CANONICAL_JSON_OPTIONS),
            "system.buckets.weather.bson": b"".join(buckets),
        }
        legacy.restore(files)
        # The server creates an index on its own.
        assert_equal(without_indexes(describe(source)), without_indexes(describe(legacy.target)))
        del files["weather.metadata.json"]
        message = legacy.restore_error(files, BrokenBackup)
    assert "'system.buckets.weather.bson' belongs to a time series whose other files are missing" in message


def without_indexes(described: Description) -> Description:
    return {
        name: {key: value for key, value in values.items() if not key.startswith("index ")}
        for name, values in described.items()
    }


def test_collections_of_the_server_are_left_out(legacy: LegacyProject) -> None:
    files = collection_files("users", indexed(), {"_id": 1})
    files |= collection_files(
        "system.js", indexed(), {"_id": "f", "value": Code("function () { return 1; }")}
    )
    files |= collection_files(
        "system.profile", '{"options":{"create":"x","capped":true,"size":1}}', {"op": "query"}
    )
    files |= {
        "system.indexes.bson": encode_documents({"v": 1, "key": {"a": 1}, "ns": "app.users", "name": "a_1"}),
        "system.users.bson": encode_documents({"user": "admin", "pwd": "secret"}),
        "system.namespaces.bson": b"",
        **collection_files("monarch_lease", indexed(), {"_id": 1, "holder": "me"}),
        "prelude.json": "{}",
        ".DS_Store": b"\0",
        "README": "mine",
    }
    restored = legacy.restore(files)
    assert [one.name for one in restored.collections] == ["system.js", "users"]
    names = set(legacy.target.list_collection_names())
    assert names - {"system.views"} == {"monarch_lease", "mongo_migration_journal", "system.js", "users"}
    # There is metadata, so the server's own collection of indexes is redundant.
    assert legacy.indexes("users") == {}
    assert legacy.target["system.js"].find_one() == {"_id": "f", "value": Code("function () { return 1; }")}


def test_documents_without_metadata(legacy: LegacyProject) -> None:
    """Before mongodump 2.2 the indexes were only in a collection of the server."""
    listed = [
        {"v": 1, "key": {"_id": 1}, "ns": "app.users", "name": "_id_"},
        {"v": 1, "key": {"name": True}, "ns": "app.users", "name": "name_true", "unique": True},
        {"v": 1, "key": {"n": 1}, "ns": "app.a.b.c", "name": "n_1", "background": 1},
        {"v": 1, "key": {"n": 1}, "ns": "app.gone", "name": "n_1"},
    ]
    legacy.restore(
        {
            "system.indexes.bson": encode_documents(*listed),
            "users.bson": encode_documents({"_id": 1, "name": "Ann"}),
            "a.b.c.bson": encode_documents({"_id": 1}),
            "bare.bson": b"",
        }
    )
    assert legacy.indexes("users") == {"name_true": {"key": {"name": 1}, "unique": True}}
    assert legacy.indexes("a.b.c") == {"n_1": {"key": {"n": 1}, "background": True}}
    assert legacy.indexes("bare") == {}
    assert legacy.target["users"].find_one() == {"_id": 1, "name": "Ann"}
    names = {name for name in legacy.target.list_collection_names() if not name.startswith("system.")}
    assert names == {"a.b.c", "bare", "users", "monarch_lease", "mongo_migration_journal"}


def test_views(legacy: LegacyProject) -> None:
    """Views of 3.4 have no documents, and no order."""
    pipeline = '[{"$match":{"n":{"$gt":{"$numberLong":"1"}},"t":{"$in":[{"$regex":"^b","$options":"i"}]}}}]'
    files = collection_files("users", indexed(), {"_id": 1, "n": 1, "t": "B"}, {"_id": 2, "n": 2, "t": "B"})
    files |= {
        "a_view.metadata.json": '{"options":{"viewOn":"view","pipeline":[]},"indexes":[]}',
        "view.metadata.json": f'{{"options":{{"viewOn":"users","pipeline":{pipeline}}},"indexes":[]}}',
    }
    restored = legacy.restore(files)
    assert [(one.name, one.kind) for one in restored.collections] == [
        *(("a_view", "view"), ("users", "collection"), ("view", "view"))
    ]
    assert legacy.options("view") == {
        "viewOn": "users",
        "pipeline": [{"$match": {"n": {"$gt": Int64(1)}, "t": {"$in": [Regex("^b", "i")]}}}],
    }
    assert [one["_id"] for one in legacy.target["a_view"].find()] == [2]


def test_a_capped_collection_keeps_its_order_and_its_limits(legacy: LegacyProject) -> None:
    """One of them has no index on ``_id``, so its documents need no ``_id``."""
    documents = [{"n": n} if n % 2 else {"_id": -n, "n": n} for n in range(20)]
    metadata = '{"options":{"create":"log","capped":true,"size":4096,"max":20,"autoIndexId":false}}'
    legacy.restore(collection_files("log", metadata, *documents))
    assert [one["n"] for one in legacy.target["log"].find()] == list(range(20))
    assert legacy.options("log") == {"capped": True, "size": 4096, "max": 20}
    legacy.target["log"].insert_one({"n": 20})
    assert [one["n"] for one in legacy.target["log"].find()] == list(range(1, 21))


def test_a_history_of_monarch_is_restored(legacy: LegacyProject) -> None:
    key = "_201405290038_add_indexes_migration"
    record = {"_id": ObjectId(), "key": key, "state": "Completed", "processed_at": datetime(2014, 5, 29)}
    legacy.restore(collection_files("mongo_migration_history", indexed(), record))
    assert legacy.target["mongo_migration_history"].find_one() == record


NONSENSE = {
    " ": "Expecting value",
    "{": "Expecting property name",
    "[]": "list instead of an object",
    '{"indexes":[' + ID: "Expecting ','",
    '{"options":[1]}': "options that are not an object",
    '{"indexes":{"a":1}}': "no attribute",
    '{"indexes":7}': "not iterable",
    '{"indexes":[{"key":{"a":1}}]}': "an index without a name, or without fields",
    '{"indexes":[{"name":"a_1"}]}': "an index without a name, or without fields",
    '{"indexes":[{"name":"a_1","key":["a"]}]}': "an index without a name, or without fields",
    '{"indexes":[{"name":7,"key":{"a":1}}]}': "an index without a name, or without fields",
    '{"options":{"a":{"$date":"yesterday"}}}': "time data",
    '{"options":{"a":{"$oid":"?"}}}': "not a valid ObjectId",
    '{"options":{"validator":{"a":{"$binary":"?","$type":"99999"}}}}': "",
    '{"options":{"validator":{"a":{"$binary":7,"$type":[]}}}}': "",
    '{"options":{"a":123456789012345678901234567890}}': "8-byte ints",
    '{"options":{"a":"\\ud800"}}': "surrogates",
    "[" * 100_000: "recursion",
}  # fmt: skip


@pytest.mark.parametrize("metadata", NONSENSE, ids=lambda text: text[:30])
def test_invalid_metadata(metadata: str) -> None:
    message = read_error(collection_files("users", metadata, {"_id": 1}))
    assert message.startswith("'users.metadata.json' is not valid metadata: ")
    assert NONSENSE[metadata] in message


def test_metadata_that_is_not_text() -> None:
    message = read_error({"users.bson": b"", "users.metadata.json": b'{"options":{"a":"\xff"}}'})
    assert message.startswith("'users.metadata.json' is not valid metadata: 'utf-8' codec can't decode")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (ONE + b"\x04\0\0\0", "is damaged: a document of 4 bytes."),
        (ONE + b"\xff\xff\xff\xff", "is damaged: a document of -1 bytes."),
        (ONE + b"\xff\xff\xff\x7f" + ONE, "is damaged: a document of 2147483647 bytes."),
        (ONE + b"\0\0\1\1" + ONE, "is damaged: a document of 16842752 bytes."),
        (ONE + b"\0\0\0\1" + ONE, "is cut off: it was truncated, or never finished."),
        (ONE + b"\x06\0\0\0\1\1" + ONE, "is damaged: a document does not end where it should."),
        (b"\x01" + ONE, "is cut off: it was truncated, or never finished."),
        (b"not BSON at all", "is damaged: a document of 544501614 bytes."),
    ],
    ids=range(8),
)
def test_invalid_documents(content: bytes, what: str) -> None:
    assert read_error({"users.bson": content, "users.metadata.json": indexed()}) == f"'users.bson' {what}"


def test_truncated_documents() -> None:
    for cut in range(1, len(ONE)):
        message = read_error({"users.bson": ONE + ONE[:cut], "users.metadata.json": indexed()})
        assert message == "'users.bson' is cut off: it was truncated, or never finished."


@pytest.mark.parametrize("content", [ONE[:-1], b"\x0d\0\0\0\x99key\0\0\0\0\0"], ids=["cut off", "none"])
def test_an_unreadable_list_of_indexes_of_the_server(content: bytes) -> None:
    message = read_error({"users.bson": ONE, "system.indexes.bson": content})
    assert message.startswith("'system.indexes.bson' is ")


def test_a_zip_without_files_of_mongodump() -> None:
    others: Files = {"a.json": b"", "users.bson.gz": b"", "b": b""}
    for files in ({}, others):
        assert read_error(files) == "It holds no .bson files of mongodump."


def test_missing_documents() -> None:
    """Every mongodump writes a file of documents, even an empty one, so a missing file was lost."""
    message = read_error({"users.metadata.json": indexed(), "dogs.bson": b""})
    assert message == "'users.bson' is missing, with the documents of 'users'."


@pytest.mark.parametrize(
    ("name", "collection_name"),
    [
        *((name, None) for name in ("", "$cmd", "a$b", ".a")),
        *((None, name) for name in (".a", "a$", "a\\u0000b", "system.users", "monarch_lease", "\\ud800")),
    ],
)  # fmt: skip
def test_invalid_names_of_collections(name: str | None, collection_name: str | None) -> None:
    """The server would refuse the name during the swap, or the collection would overwrite another."""
    metadata = f'{{"collectionName":"{collection_name}"}}' if collection_name else "{}"
    message = read_error(collection_files("users" if name is None else name, metadata))
    assert re.search(r"holds '.*', which is not a valid name of a collection\.$", message)


def test_two_collections_with_one_name() -> None:
    files = {
        **collection_files("a", '{"collectionName":"c"}'),
        **collection_files("b", '{"collectionName":"c"}'),
    }
    message = "It holds 'c' twice: in the files 'a.metadata.json' and 'b.metadata.json'."
    assert read_error(files) == message


@pytest.mark.parametrize("name", [name for name in NAMES if not re.search(r"/|^\\|^C:", name)])
def test_file_names_of_all_versions(name: str) -> None:
    """Until 4.2 a file had the name of its collection; since then the metadata may have another one."""
    ((collection,), found) = read(make_zip(collection_files(name, indexed(), {"_id": 1})))
    assert (collection.name, list(found)) == (name, [name])
    ((collection,), found) = read(make_zip(collection_files("%24", '{"collectionName":"a/b%"}', {"_id": 1})))
    assert (collection.name, list(found)) == ("a/b%", ["a/b%"])


def test_changed_bytes_of_a_zip() -> None:
    """A change is detected, or has no effect: no collection, option or index is lost or different."""
    files = collection_files("users", indexed('{"v":1,"key":{"a":1},"name":"a_1"}'), {"_id": 1}, {"_id": 2})
    files |= {"bare.bson": b"", "né.bson": ONE, "system.users.bson": ONE, "né.metadata.json": indexed()}
    data = make_zip(files)
    whole = read(data)
    generator = random.Random(7)
    places = [*generator.sample(range(len(data)), 200), *range(data.index(b"PK\1\2"), len(data))]
    for offset in counts.sample(places, 100):
        for value in {data[offset] ^ 1, data[offset] ^ 0x80, 0, ord("/")} - {data[offset]}:
            changed = bytearray(data)
            changed[offset] = value
            try:
                assert read(bytes(changed)) == whole, (offset, value)
            except DamagedError:
                continue


def test_thousands_of_collections() -> None:
    files: Files = {}
    for number in range(3000):
        files |= collection_files(f"c{number}", indexed(), {"_id": number})
    collections, found = read(make_zip(files))
    assert len(collections) == 3000
    assert found["c77"] == encode_documents({"_id": 77})


def test_a_damaged_backup_changes_nothing(legacy: LegacyProject) -> None:
    good = collection_files("users", indexed(), {"_id": 1}, {"_id": 2})
    spoiled = bytearray(make_zip(good, method=zipfile.ZIP_STORED))
    spoiled[spoiled.index(bson.encode({"_id": 1})) + 9] ^= 1
    for what, expected in (
        ({**good, "dogs.metadata.json": "{"}, "'dogs.metadata.json' is not valid metadata: "),
        ({**good, "zebras.bson": ONE + ONE[:9]}, "'zebras.bson' is cut off"),
        ({**good, "dogs.metadata.json": "{}"}, "'dogs.bson' is missing, with the documents of 'dogs'."),
        (make_zip(good)[:-1], "It is not a zip file, or a damaged one (File is not a zip file)."),
        (bytes(spoiled), "The file 'users.bson' in its zip is damaged (Bad CRC-32 for file 'users.bson')."),
        ({"../a.bson": b"", **good}, "monarch refuses it: '../a.bson' in its zip has a name that leads out"),
        (b"", "It is not a zip file, or a damaged one (File is not a zip file)."),
    ):
        message = legacy.restore_error(what, BrokenBackup)
        assert message.startswith(f"Backup 'app__2014_05_29' is broken: {expected}")
        assert message.endswith(" 'dev' is as it was.")


def test_a_backup_that_the_server_refuses_changes_nothing(legacy: LegacyProject) -> None:
    twice = {"_id": 1, "a": 1}, {"_id": 2, "a": 1}
    unique = '{"v":1,"key":{"a":1},"name":"i","unique":true}'
    haystack = '{"v":1,"key":{"at":"geoHaystack","kind":1},"bucketSize":1,"name":"i"}'
    for files, expected in (
        (
            collection_files("a", '{"options":{"capped":true}}'),
            "does not accept the collection 'a': .*'size'",
        ),
        (
            collection_files("a", '{"options":{"validator":{"$no":1}}}'),
            "does not accept the collection 'a': .*\\$no",
        ),
        (
            {"v.metadata.json": '{"options":{"viewOn":"a","pipeline":[{"$no":1}]}}'},
            "does not accept the view 'v': .*\\$no",
        ),
        (collection_files("a", indexed(unique), *twice), "refused a document of 'a': E11000"),
        (
            collection_files("a", indexed('{"v":1,"key":{"a..b":1},"name":"i"}')),
            "the indexes of 'a': .*an empty field",
        ),
        (
            collection_files("a", indexed(haystack)),
            "the indexes of 'a': .*GeoHaystack indexes cannot be created",
        ),
        (collection_files("a", indexed(), {"_id": [1]}), "refused a document of 'a': .* type array"),
        (collection_files("n" * 250, indexed()), "is too long a name for 'dev'"),
        ({"a.bson": b"\x0d\0\0\0\x99key\0\0\0\0\0"}, "Unrecognized BSON type 153"),
    ):
        message = legacy.restore_error(files, ServerError)
        assert re.search(expected, message), message


@pytest.mark.parametrize(
    "files",
    [
        {"v.metadata.json": '{"options":{"viewOn":7,"pipeline":[]}}'},
        {"v.metadata.json": '{"options":{"viewOn":null,"pipeline":[]}}'},
        {"system.js.metadata.json": '{"options":{"viewOn":"a","pipeline":[]}}'},
        collection_files("system.js", '{"options":{"timeseries":{"timeField":"at"}}}'),
        {"s.metadata.json": '{"type":"timeseries"}', "system.buckets.s.bson": b""},
        collection_files("a", '{"collectionName":"monarch_swap"}', {"_id": "head"}),
    ],
    ids=str,
)
def test_contents_that_the_server_would_refuse_during_the_swap(legacy: LegacyProject, files: Files) -> None:
    """The swap could not be finished, so this is detected before it begins."""
    legacy.restore_error(files, BrokenBackup)
