"""Backups of databases with concurrent writes: complete, from one snapshot, and restorable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from monarch import Project
from monarch.errors import ServerError
from tests.databases.mongo.engines.test_pairs import scratch
from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Server

MANY = 30_000


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Repeat ``act`` in a thread while the context lasts."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            act()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def project(path: Path, server: Server, **databases: Database[Any]) -> Project:
    folder = Folder(path)
    folder.settings(**{name: {"uri": server.uri, "db_name": db.name} for name, db in databases.items()})
    folder.keep_backups()
    return Project(path)


@pytest.fixture
def source(replica_set: Server) -> Iterator[Database[Any]]:
    with scratch(replica_set) as database:
        rows = [{"_id": n, "unique": n, "pad": "x" * 500} for n in range(MANY)]
        database["moving"].insert_many(rows)
        database["moving"].create_index("unique", unique=True)
        database["paired"].insert_many({"_id": n, "n": 0} for n in range(2))
        yield database


def test_documents_that_move_while_they_are_read(
    tmp_path: Path, replica_set: Server, source: Database[Any]
) -> None:
    """Without a snapshot, documents that are deleted and inserted again would be read twice."""
    moving, turn = source["moving"], [0]

    def move() -> None:
        n = turn[0] = (turn[0] + 1) % 5_000
        document = moving.find_one_and_delete({"_id": n}) or {}
        moving.update_one({"_id": MANY - 1 - n}, {"$set": {"unique": MANY + n}})
        moving.insert_one({**document, "unique": MANY - 1 - n})
        moving.update_one({"_id": MANY - 1 - n}, {"$set": {"unique": n}})

    with scratch(replica_set) as target:
        two = project(tmp_path, replica_set, one=source, other=target)
        with meanwhile(move):
            created = [two.backup("one", engine="native") for _ in range(3)]
        for backup in created:
            assert backup.manifest.one_moment
            two.restore(backup.name, "other", engine="native")
            assert target["moving"].count_documents({}) in (MANY - 1, MANY)


def test_collections_are_from_one_snapshot(
    tmp_path: Path, replica_set: Server, source: Database[Any]
) -> None:
    """Two counters that are incremented together, one first, are also in step in the backup."""
    client = source.client

    def count() -> None:
        with client.start_session() as session, session.start_transaction():
            for n in range(2):
                source["paired"].update_one({"_id": n}, {"$inc": {"n": 1}}, session=session)
                source[f"alone_{n}"].update_one({"_id": 0}, {"$inc": {"n": 1}}, session=session)

    for n in range(2):
        source[f"alone_{n}"].insert_one({"_id": 0, "n": 0})
    with scratch(replica_set) as target:
        two = project(tmp_path, replica_set, one=source, other=target)
        with meanwhile(count):
            created = two.backup("one", engine="native")
        assert created.manifest.one_moment
        two.restore(created.name, "other", engine="native")
        seen = {row["n"] for n in range(2) for row in target[f"alone_{n}"].find()}
        seen |= {row["n"] for row in target["paired"].find()}
        assert len(seen) == 1


def test_the_latest_writes_are_in_the_backup(
    tmp_path: Path, replica_set: Server, source: Database[Any]
) -> None:
    two = project(tmp_path, replica_set, one=source)
    for n in range(5):
        source["fresh"].with_options(write_concern=None).insert_one({"_id": n})
        counts = {
            held.name: held.documents for held in two.backup("one", engine="native").manifest.collections
        }
        assert counts["fresh"] == n + 1


def test_collections_without_snapshots_are_read_too(
    tmp_path: Path, server: Server, replica_set: Server, source: Database[Any]
) -> None:
    """A capped collection, a standalone server, and the tools."""
    source.create_collection("log", capped=True, size=4096)
    source["log"].insert_many({"_id": n} for n in range(3))
    created = project(tmp_path, replica_set, one=source).backup("one", engine="native")
    assert not created.manifest.one_moment
    with scratch(server) as alone:
        alone["a"].insert_one({})
        two = project(tmp_path, server, one=alone)
        assert not two.backup("one", engine="native").manifest.one_moment


@pytest.mark.server
@pytest.mark.parametrize("kind", counts.sample(["replica_set", "server"], 1))
def test_an_index_build_in_progress_is_not_in_the_backup(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    server: Server = request.getfixturevalue(kind)
    with scratch(server) as source, server.client() as client:
        source["dogs"].insert_many({"_id": n, "n": n % 7, "text": f"{n}" * 30} for n in range(60_000))
        indexes: list[dict[str, Any]] = [
            {"key": {"text": 1, f"a{n}": 1}, "name": f"slow {n}"} for n in range(20)
        ]
        indexes.append({"key": {"n": 1}, "name": "n", "unique": True})

        def build() -> None:
            client[source.name].command("createIndexes", "dogs", indexes=indexes, check=False)

        thread = threading.Thread(target=_quietly, args=(build,))
        thread.start()
        while len(list(source["dogs"].list_indexes())) < 2 and thread.is_alive():
            pass
        created = project(tmp_path, server, one=source).backup("one", engine="native")
        building = thread.is_alive()
        thread.join()
        assert building
        assert [held.indexes for held in created.manifest.collections] == [1]


def _quietly(act: Callable[[], None]) -> None:
    try:
        act()
    except Exception:  # the build cannot succeed, which is intended
        return


def test_a_collection_that_disappears_temporarily(tmp_path: Path, server: Server) -> None:
    """A missing collection reads as an empty one, although it exists before and afterwards."""
    with scratch(server) as source:
        source["large"].insert_many({"_id": n, "pad": "x" * 1000} for n in range(20_000))
        source["small"].insert_many({"_id": n} for n in range(100))

        def rename_back_and_forth() -> None:
            source["small"].rename("elsewhere")
            source["elsewhere"].rename("small")

        two = project(tmp_path, server, one=source)
        with meanwhile(rename_back_and_forth):
            for _ in range(12):
                with suppress(ServerError):  # an error is correct as well
                    created = two.backup("one", engine="native")
                    counts = sorted(held.documents for held in created.manifest.collections)
                    # During the rename a listing may have neither or both of its names.
                    assert counts in ([20_000], [100, 20_000])


def test_an_embedded_server_has_snapshots_from_its_first_command_on(embedded_project: Folder) -> None:
    embedded_project.keep_backups()
    with Project(embedded_project.path).open("dev") as database:
        database.handles()["database"]["dogs"].insert_one({"_id": 1})  # type: ignore[index]
    created = Project(embedded_project.path).backup("dev", engine="native")
    assert created.manifest.one_moment
