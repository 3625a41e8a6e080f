"""Contents that a target does not support are left out on request, and reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Server


@pytest.fixture
def two(project: Folder, server: Server) -> Iterator[Folder]:
    """A project whose ``production`` has all kinds of collections, and an empty ``dev``."""
    target = project.db_name + "_dev"
    uri = server.uri
    project.settings(production={"uri": uri, "db_name": project.db_name}, dev={"uri": uri, "db_name": target})
    project.keep_backups()
    database = project.database
    database.users.insert_many({"_id": n, "name": f"n{n}", "place": [n, n]} for n in range(5))
    database.users.create_index("name", name="by name")
    database.users.create_index([("place", "2d")], name="places")
    database.logs.insert_many({"_id": n} for n in range(3))
    database.create_collection("recent", viewOn="users", pipeline=[{"$match": {}}])
    database.create_collection("series", timeseries={"timeField": "at"})
    yield project
    database.client.drop_database(target)


def names_in(database: Database[Any]) -> list[str]:
    """Return the names of the collections, without monarch's own."""
    return [name for name in database.list_collection_names() if not name.startswith("monarch_")]


def run(two: Folder, command: str, *more: str) -> dict[str, object]:
    """Copy, or back up and restore, with ``more`` options; return the JSON output."""
    if command == "restore":
        assert two.monarch("backup", "production", "--engine", "native").code == 0
    pair = "production:dev"
    result = two.monarch(command, pair, "--engine", "native", "--yes", "--json", *more)
    assert result.code == 0, result.err
    printed: dict[str, object] = result.json
    return printed


@pytest.mark.parametrize("command", ["copy_db", "restore"])
def test_collections_views_series_and_indexes_are_left_out(two: Folder, command: str) -> None:
    names = ["logs", "recent", "series"]
    more = [part for name in names for part in ("--exclude", name)]
    printed = run(two, command, *more, "--exclude-index", "users.places")
    assert printed["excluded"] == [*names, "users.places"]
    target = two.database.client[two.db_name + "_dev"]
    assert names_in(target) == ["users"]
    assert target.users.count_documents({}) == 5
    assert set(target.users.index_information()) == {"_id_", "by name"}


@pytest.mark.parametrize("command", ["copy_db", "restore"])
@pytest.mark.parametrize(
    ("more", "message", "hint"),
    [
        (["--exclude", "log"], "--exclude names 'log', which is not there.", "Did you mean 'logs'?"),
        (["--exclude-index", "users.place"], "names 'users.place', which", "Did you mean 'users.places'?"),
        (["--exclude", "mongo_migration_history"], "cannot be excluded", "monarch mark"),
    ],
)
def test_an_unknown_name_changes_nothing(
    two: Folder, command: str, more: list[str], message: str, hint: str
) -> None:
    two.migration("one")
    assert two.monarch("migrate", "production", "--yes").code == 0
    if command == "restore":
        assert two.monarch("backup", "production", "--engine", "native").code == 0
    result = two.monarch(command, "production:dev", "--engine", "native", "--yes", *more)
    assert result.code == 2, result.err
    assert message in result.err
    assert hint in result.err
    assert names_in(two.database.client[two.db_name + "_dev"]) == []


def test_a_plan_shows_the_remaining_collections(two: Folder) -> None:
    result = two.monarch("copy_db", "production:dev", "--plan", "--json", "--exclude", "logs")
    assert "logs" not in [one["name"] for one in result.json["copied"]]
