"""Backups and copies of real old servers, onto themselves and onto a newer one, by both engines."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.commands.backups.test_backups import today
from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import entry
from tests.support.samples.equality import assert_equal, describe
from tests.support.samples.everything import fill_with_what_is_old
from tests.support.servers.mongod import Server, run_mongod
from tests.support.servers.old_mongods import PACKAGES

ENGINES = ("native", "tools")
# What 4.4 has and no later version, by the options that create it.
HAYSTACK: tuple[Any, ...] = ([("place", "geoHaystack"), ("kind", 1)], {"bucketSize": 1, "name": "haystack"})


@dataclass
class OldProject:
    """A project with a ``production`` and a ``copy`` on a server of ``version``, and ``new`` on another."""

    version: str
    folder: Folder
    production: Database[dict[str, Any]]
    copy: Database[dict[str, Any]]
    new: Database[dict[str, Any]]

    def run(self, *arguments: str) -> str:
        result = self.folder.monarch(*arguments)
        assert result.code == 0, result.output
        return result.output

    def assert_restored(self, target: Database[dict[str, Any]]) -> None:
        """Check all documents, and on the same server everything else too."""
        expected, found = describe(self.production), describe(target)
        if target is self.copy:
            assert_equal(expected, found)
            return
        assert found.keys() == expected.keys()
        for name, collection in expected.items():
            assert found[name].get("dbHash") == collection.get("dbHash"), name
            indexes = {key for key in collection if key.startswith("index ")} - {"index 'haystack'"}
            assert {key for key in found[name] if key.startswith("index ")} == indexes, name


@pytest.fixture(scope="module", params=counts.sample(list(PACKAGES), 2))
def old(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory, tools: Path
) -> Iterator[OldProject]:
    folder = Folder(tmp_path_factory.mktemp("project"), server)
    folder.variables["PATH"] = f"{tools}:/usr/bin:/bin"
    program = request.getfixturevalue("install_old")(request.param)
    with run_mongod(program=program) as (port, process), server.client() as client:
        there = Server(port, process.pid)
        with MongoClient[dict[str, Any]](there.uri) as old_client:
            made = OldProject(
                request.param,
                folder,
                old_client[f"{folder.db_name}_a"],
                old_client[f"{folder.db_name}_b"],
                client[f"{folder.db_name}_c"],
            )
            fill_with_what_is_old(made.production)
            made.production["places"].insert_one({"_id": 1, "place": [1, 2], "kind": "a"})
            if made.version.startswith("4.4"):
                made.production["places"].create_index(HAYSTACK[0], **HAYSTACK[1])
            folder.settings(
                production=entry(there, made.production.name),
                copy=entry(there, made.copy.name),
                new=entry(server, made.new.name),
            )
            folder.keep_backups()
            yield made
            client.drop_database(made.new.name)


def leave_out(old: OldProject) -> tuple[str, ...]:
    return ("--exclude-index", "places.haystack") if old.version.startswith("4.4") else ()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_backup_restores_onto_its_server_and_a_newer_one(old: OldProject, engine: str) -> None:
    old.run("backup", "production", "--engine", engine, "--name", f"of-{engine}")
    name = today(f"of-{engine}")
    old.run("verify_backup", name)
    old.run("restore", f"{name}:copy", "--engine", engine, "--plan")
    assert "not counted" not in old.run("drop_db", "production", "--plan")
    old.run("restore", f"{name}:copy", "--engine", engine, "--yes")
    old.assert_restored(old.copy)
    old.run("restore", f"{name}:new", "--engine", engine, "--yes", *leave_out(old))
    old.assert_restored(old.new)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dump_that_is_taken_over(old: OldProject, tools: Path, engine: str) -> None:
    (host, port), name = old.production.client.address or ("", 0), old.production.name
    command = [str(tools / "mongodump"), f"--uri=mongodb://{host}:{port}", f"--db={name}", "--archive"]
    dumped = subprocess.run(command, check=True, capture_output=True).stdout
    (old.folder.path / "x.archive").write_bytes(dumped)
    old.run("adopt_backup", "x.archive", "--name", f"taken-{engine}")
    taken = today(f"taken-{engine}")
    assert f"MongoDB {old.version}" in old.run("show_backup", taken)
    old.run("verify_backup", taken)
    old.run("restore", f"{taken}:new", "--engine", engine, "--yes", *leave_out(old))
    old.assert_restored(old.new)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_copy_onto_its_server_and_a_newer_one(old: OldProject, engine: str) -> None:
    old.run("copy_db", "production:copy", "--engine", engine, "--yes")
    old.assert_restored(old.copy)
    old.run("copy_db", "production:new", "--engine", engine, "--yes", *leave_out(old))
    old.assert_restored(old.new)


def test_an_index_that_the_newer_server_lacks_is_named(old: OldProject) -> None:
    result = old.folder.monarch("copy_db", "production:new", "--engine", "native", "--yes")
    if not leave_out(old):  # every index of this server exists on the newer one
        assert (result.code, result.err) == (0, "")
        return
    assert result.code == 5
    assert "'places'" in result.err
    assert "--exclude-index" in result.err


def test_a_time_series_that_the_older_server_lacks_is_named(old: OldProject) -> None:
    old.new.create_collection("weather", timeseries={"timeField": "at"})
    try:
        result = old.folder.monarch("copy_db", "new:copy", "--engine", "native", "--yes")
    finally:
        old.new.drop_collection("weather")
    if not old.version.startswith("4.4"):
        assert result.code == 0, result.err
        assert "weather" in old.copy.list_collection_names()
        return
    assert result.code == 5
    assert "does not accept the timeseries 'weather'" in result.err
    assert "--exclude weather" in result.err


def test_migrations_run_on_an_old_server(old: OldProject) -> None:
    old.folder.migration(
        "ages",
        """
        for documents in self.batches('people', batch=30):
            ids = [one['_id'] for one in documents]
            older = [{'$set': {'age': {'$add': ['$_id', 1]}}}]
            self.database.people.update_many({'_id': {'$in': ids}}, older)
        """,
        stamp="202601010000",
    )
    old.copy.client.drop_database(old.copy.name)
    old.run("copy_db", "production:copy", "--engine", "native", "--yes")
    assert "100 documents written" in old.run("migrate", "copy", "--yes")
    assert old.copy["people"].count_documents({"$expr": {"$eq": ["$age", {"$add": ["$_id", 1]}]}}) == 100
    assert "Nothing to do" in old.run("migrate", "copy")
