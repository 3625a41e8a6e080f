"""Archives of mongodump without a manifest: everything is restored, and every change is detected."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from bson import Int64
from fastcrc import crc64

from monarch import Project
from monarch.databases import foreign_formats
from monarch.databases.foreign import ForeignFile
from monarch.databases.mongo.archive import MAGIC, TERMINATOR
from monarch.databases.mongo.connection.client import tool_uri
from monarch.errors import DamagedError, UsageError
from monarch.progress import SILENT, Progress
from tests.databases.mongo.engines.test_archives import sorted_inside
from tests.databases.mongo.engines.test_pairs import environment, old, scratch
from tests.databases.mongo.engines.test_pairs import with_tools as with_tools  # a fixture
from tests.support import counts
from tests.support.samples import everything
from tests.support.samples.equality import Description, assert_equal, describe
from tests.support.samples.legacy_projects import LegacyProject, legacy_project
from tests.support.servers.mongod import Server

(FORMATS,) = foreign_formats().values()
FILE = ForeignFile("x.archive", "")
ID = '{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}'
INDEXED = f'{{"indexes":[{ID}]}}'


def archive(*collections: tuple[str, str, str], version: str = "100.3.1", **more: object) -> bytes:
    """Return an archive of ``collections`` (database, name, metadata), each with one document."""
    header = {"concurrent_collections": 4, "version": "0.1", "server_version": "6.0.5"}
    data = MAGIC + bson.encode({**header, "tool_version": version})
    for database, name, metadata in collections:
        entry = {"db": database, "collection": name, "metadata": metadata, "size": 0}
        data += bson.encode({**entry, **more})
    data += TERMINATOR
    for database, name, metadata in collections:
        documents = b"" if "viewOn" in metadata else bson.encode({"_id": name})
        block = {"db": database, "collection": name}
        data += bson.encode({**block, "EOF": False, "CRC": Int64(0)}) + documents + TERMINATOR
        checksum = crc64.xz(documents) if documents else 0
        end = Int64(checksum - (1 << 64) if checksum >> 63 else checksum)
        data += bson.encode({**block, "EOF": True, "CRC": end}) + TERMINATOR
    return data


def read(data: bytes) -> dict[str, int]:
    """Read everything; return the number of documents in each collection."""
    source = FORMATS.open_stream(io.BytesIO(data), data[:1000], FILE)
    return {one.name: one.documents for one in source.read_through(SILENT)}


def restorable(data: bytes) -> list[str]:
    """Return the names of the collections that would be restored."""
    source = FORMATS.open_stream(io.BytesIO(data), data[:1000], FILE).restorable()
    names = [one.name for one in source.summaries]
    assert {one.name for one in source.read_through(SILENT)} == set(names)
    return names


@pytest.fixture
def legacy(tmp_path: Path, server: Server) -> Iterator[LegacyProject]:
    with legacy_project(server, tmp_path) as made:
        old(made.target)
        yield made


@pytest.fixture(scope="module")
def dumped(tools: Path, server: Server) -> Iterator[tuple[Description, bytes]]:
    """A full database, and an archive of it by the real mongodump."""
    with scratch(server) as source:
        everything.fill(source, large=False)
        uri = tool_uri(environment("any", server, "any"))
        command = [str(tools / "mongodump"), f"--uri={uri}", f"--db={source.name}", "--archive"]
        done = subprocess.run(command, check=True, capture_output=True)
        yield describe(source, buckets=False), done.stdout


@pytest.mark.parametrize("engine", ["native", "tools"])
def test_everything_is_equal_afterwards(
    legacy: LegacyProject, with_tools: None, dumped: tuple[Description, bytes], engine: str
) -> None:
    source, data = dumped
    (legacy.folder / "backups" / "x.archive").write_bytes(data)
    Project(legacy.folder).restore("x.archive", "dev", engine=engine)
    # mongodump 100.3 loses the order inside options and indexes.
    assert_equal(sorted_inside(source), sorted_inside(describe(legacy.target, buckets=False)))


def test_metadata_of_old_servers(legacy: LegacyProject) -> None:
    """mongodump 3.4 wrote numbers as plain JSON."""
    index = '{"v":1,"key":{"a":1.0},"name":"a_1","ns":"app.users","background":true}'
    metadata = f'{{"options":{{"create":"users","capped":true,"size":4096}},"indexes":[{index}]}}'
    (legacy.folder / "backups" / "x.archive").write_bytes(
        archive(("app", "users", metadata), version="r3.4.2")
    )
    Project(legacy.folder).restore("x.archive", "dev", engine="native")
    assert legacy.options("users") == {"capped": True, "size": 4096}
    assert "a_1" in legacy.target["users"].index_information()


def test_a_time_series_in_its_buckets(legacy: LegacyProject, server: Server) -> None:
    """mongodump 100.4 and newer write the buckets; from server 8.3 on under the name of the series."""
    options = '{"options":{"timeseries":{"timeField":"at","granularity":"seconds","bucketMaxSpanSeconds":'
    options += '{"$numberInt":"3600"}}},"indexes":[]}'
    with scratch(server) as source:
        source.create_collection("series", timeseries={"timeField": "at"})
        source["series"].insert_one({"at": datetime(2014, 5, 29, tzinfo=UTC), "n": 1})
        bucket = bson.encode(source["system.buckets.series"].find_one() or {})
    for name in ("system.buckets.series", "series"):
        entry = {"db": "app", "collection": "series", "metadata": options, "size": 0, "type": "timeseries"}
        block = {"db": "app", "collection": name}
        checksum = crc64.xz(bucket)
        end = {**block, "EOF": True, "CRC": Int64(checksum - (1 << 64) if checksum >> 63 else checksum)}
        data = MAGIC + bson.encode({"version": "0.1", "server_version": "8.3.0", "tool_version": "100.18.0"})
        data += bson.encode(entry) + TERMINATOR
        data += bson.encode({**block, "EOF": False, "CRC": Int64(0)}) + bucket + TERMINATOR
        data += bson.encode(end) + TERMINATOR
        (legacy.folder / "backups" / "x.archive").write_bytes(data)
        Project(legacy.folder).restore("x.archive", "dev", engine="native")
        assert [one["n"] for one in legacy.target["series"].find()] == [1]


def test_several_databases_are_read() -> None:
    data = archive(("app", "a", INDEXED), ("other", "a", INDEXED), ("admin", "system.users", INDEXED))
    assert read(data) == {"app.a": 1, "other.a": 1, "admin.system.users": 1}
    with pytest.raises(UsageError, match=r"holds 2 databases \('app', 'other'\)"):
        restorable(data)


def test_only_some_of_many_databases_are_named() -> None:
    data = archive(*((f"db{number:03}", "a", INDEXED) for number in range(300)))
    with pytest.raises(UsageError) as raised:
        restorable(data)
    assert "holds 300 databases ('db000', " in raised.value.message
    assert len(raised.value.message) < 200


def test_a_name_with_a_quote_is_harmless_in_the_hint() -> None:
    with pytest.raises(UsageError) as raised:
        restorable(archive(("a'$(id)", "a", INDEXED), ("b", "a", INDEXED)))
    assert raised.value.hint is not None
    assert """--nsFrom 'a'"'"'$(id).*'""" in raised.value.hint


def test_collections_of_the_server_and_of_monarch_are_left_out() -> None:
    names = ("a", "system.js", "system.profile", "system.views", "monarch_lease", "$admin.system.users")
    data = archive(*(("app", name, INDEXED) for name in names), ("admin", "system.users", INDEXED))
    assert len(read(data)) == 7
    assert restorable(data) == ["a", "system.js"]


def test_an_invalid_name_of_a_collection() -> None:
    data = archive(("app", "a$b", INDEXED))
    with pytest.raises(DamagedError, match="no collection can have that name"):
        restorable(data)


def test_every_changed_byte_is_detected() -> None:
    """Other changes have no effect on the restored data, such as in the version of the tool."""
    data = archive(("app", "a", INDEXED), ("app", "v", '{"options":{"viewOn":"a","pipeline":[]}}'))
    start = data.index(TERMINATOR)
    expected = read(data)
    for offset in counts.sample(range(start, len(data)), 200):
        for value in {data[offset] ^ 1, data[offset] ^ 0x80, 0} - {data[offset]}:
            changed = data[:offset] + bytes((value,)) + data[offset + 1 :]
            try:
                assert read(changed) == expected, (offset, value)
            except DamagedError:
                continue
    for cut in range(len(data)):
        with pytest.raises(DamagedError):
            read(data[:cut])


def test_the_progress_ends_near_its_estimate(tmp_path: Path) -> None:
    class Seen(Progress):
        all_bytes = done = 0

        def estimated(self, documents: int, bytes: int) -> None:
            self.all_bytes = bytes

        def transferred(self, documents: int, bytes: int) -> None:
            self.done += bytes

    data = archive(("app", "a", INDEXED))
    file = ForeignFile("x.archive", "", len(data))
    for source in (
        FORMATS.open_stream(io.BytesIO(data), data[:1000], file),
        FORMATS.open_stream(io.BytesIO(data), data[:1000], file).restorable(),
    ):
        progress = Seen()
        source.read_through(progress)
        assert 0 < progress.done < progress.all_bytes == len(data)


def test_the_program_that_wrote_it() -> None:
    """mongodump 100.3.1 writes no type, newer ones a different version, and monarch writes both."""
    collection = ("app", "a", INDEXED)
    assert FORMATS.recognizes(archive(collection))
    assert FORMATS.recognizes(archive(collection, version="100.18.0", type="collection"))
    assert FORMATS.recognizes(archive())
    assert not FORMATS.recognizes(archive(collection, type="collection"))
    assert not FORMATS.recognizes(b"something else")
