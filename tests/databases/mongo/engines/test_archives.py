"""Archives exchanged with the real tools: each restores archives of the other."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database as PyMongoDatabase

from monarch.databases import open_database
from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.reader import ArchiveReader
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.connection.client import tool_uri
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.mongo.stream.batches import Piece
from monarch.databases.transfer import as_transfer_database
from monarch.progress import SILENT
from tests.databases.mongo.engines.test_pairs import environment, scratch
from tests.support.samples import everything
from tests.support.samples.equality import Description, assert_equal, describe
from tests.support.servers.mongod import Server


class ArchiveBytes(MongoSource):
    """The contents of an archive, as a source that can be read once."""

    phase = "restoring"

    def __init__(self, archive: bytes) -> None:
        self._reader = ArchiveReader(io.BytesIO(archive))
        self.collections = self._reader.prelude.collections

    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        @contextmanager
        def reading() -> Iterator[Iterator[Piece]]:
            yield iter(self._reader)

        return reading()

    def take_series_as_documents(self) -> None:
        raise AssertionError("The user of this server may write anything.")

    def check(self) -> None:
        """An archive does not change."""


def write_archive(server: Server, database: PyMongoDatabase[dict[str, Any]]) -> bytes:
    """Return an archive of ``database`` by the native engine."""
    sink = io.BytesIO()
    with open_database(environment("one", server, database.name), Path()) as opened:
        database_read = as_transfer_database(opened)
        dump = database_read.read(database_read.choose_engine("native"))
        assert isinstance(dump, MongoSource)
        dump.take_series_as_documents()
        writer = ArchiveWriter(sink, Prelude(database.name, dump.collections, "6.0.5", "100.3.1"))
        with dump.pieces(lambda: None) as pieces:
            for piece in pieces:
                writer.write(piece)
        writer.close()
    return sink.getvalue()


def restore_natively(archive: bytes, server: Server, database: PyMongoDatabase[dict[str, Any]]) -> None:
    with (
        open_database(environment("other", server, database.name), Path()) as opened,
        opened.lease("a test") as lease,
    ):
        target = as_transfer_database(opened)
        engine = target.choose_engine("native")
        target.replace(ArchiveBytes(archive), engine, lease, "a test", progress=SILENT)


def run_tool(tools: Path, server: Server, name: str, *arguments: str, data: bytes = b"") -> bytes:
    uri = tool_uri(environment("any", server, "any"))
    done = subprocess.run(
        [str(tools / name), f"--uri={uri}", "--archive", *arguments],
        input=data,
        env=os.environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.fixture
def filled(server: Server) -> Iterator[PyMongoDatabase[dict[str, Any]]]:
    """A database with everything that tools as old as 100.3 can restore."""
    with scratch(server) as database:
        everything.fill(database, large=False)
        # mongorestore 100.3 lets the server set these timestamps, and cannot select the last collection.
        for name in ("capped_timestamps", "empty_identity", "new\nline"):
            database.drop_collection(name)
        database["types"].delete_one({"_id": "empty timestamp"})
        database["names_of_fields"].delete_one({"_id": "empty timestamps"})
        yield database


def test_the_real_mongorestore_restores_a_native_archive(
    tools: Path, server: Server, filled: PyMongoDatabase[dict[str, Any]]
) -> None:
    archive = write_archive(server, filled)
    with scratch(server) as target:
        run_tool(
            tools,
            server,
            "mongorestore",
            *("--bypassDocumentValidation", "--maintainInsertionOrder", "--stopOnError"),
            f"--nsFrom={filled.name}.*",
            f"--nsTo={target.name}.*",
            data=archive,
        )
        one, other = describe(filled, buckets=False), describe(target, buckets=False)
        # mongorestore 100.3 loses the order inside options and indexes.
        assert_equal(sorted_inside(one), sorted_inside(other))


def test_native_restores_an_archive_of_the_real_mongodump(
    tools: Path, server: Server, filled: PyMongoDatabase[dict[str, Any]]
) -> None:
    archive = run_tool(tools, server, "mongodump", f"--db={filled.name}")
    with scratch(server) as target:
        restore_natively(archive, server, target)
        one, other = describe(filled, buckets=False), describe(target, buckets=False)
        # mongodump 100.3 loses the order inside options and indexes; a copy asks the server for it.
        assert_equal(sorted_inside(one), sorted_inside(other))


def _sorted(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def sorted_inside(described: Description) -> Description:
    return {
        name: {
            key: _sorted(value) if key.startswith(("option ", "index ")) else value
            for key, value in values.items()
        }
        for name, values in described.items()
    }


def test_native_restores_a_native_archive(server: Server, filled: PyMongoDatabase[dict[str, Any]]) -> None:
    with scratch(server) as target:
        restore_natively(write_archive(server, filled), server, target)
        assert_equal(describe(filled, buckets=False), describe(target, buckets=False))
