"""What of a source is transferred: collections and indexes by their names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
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
    database.create_collection("series", timeseries={"timeField": "at", "metaField": "of"})
    database.series.create_index("more")
    yield project
    database.client.drop_database(target)


def names_in(database: Database[Any]) -> list[str]:
    """Return the names of the collections, without monarch's own and the server's."""
    own = "monarch_", "mongo_migration_journal", "system."
    return [name for name in database.list_collection_names() if not name.startswith(own)]


def run(two: Folder, command: str, *more: str) -> dict[str, Any]:
    """Copy, or back up and restore, with ``more`` options; return the JSON output."""
    if command == "restore":
        assert two.monarch("backup", "production", "--engine", "native").code == 0
    pair = "production:dev"
    result = two.monarch(command, pair, "--engine", "native", "--yes", "--json", *more)
    assert result.code == 0, result.err
    printed: dict[str, Any] = result.json
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
        (["--only", "user"], "--only names 'user', which is not there.", "Did you mean 'users'?"),
        (["--only", "u*"], "--only names 'u*', which is not there.", "Names are taken literally."),
        (["--only", ""], "--only names '', which is not there.", "logs, "),
        (["--rename", "user=people"], "--rename names 'user', which is not there.", "Did you mean 'users'?"),
        (["--rename", "logs=users"], "the name 'users', which another", "--exclude"),
        (["--rename", "users=people"], "The view 'recent' reads 'users', to which", "--exclude recent"),
        (["--only", "users", "--rename", "logs=lines"], "'logs', which is left out", "Take it too: --only"),
        (["--rename", "logs=a", "--rename", "logs=b"], "gives 'logs' two names", "Name it once."),
        (["--rename", "logs=monarch_lease"], "'monarch_lease', which is one of monarch's own", ""),
        (["--rename", "logs=a$b"], "'a$b', which MongoDB does not accept", "A name has no $"),
        (["--rename", "logs=system.x"], "'system.x', which MongoDB does not accept", "A name has no $"),
        (["--rename", "logs="], "'logs=' is not OLD=NEW.", ""),
        (["--rename", "mongo_migration_history=other"], "cannot be renamed", ""),
        (["--into-existing", "--in-place"], "--in-place empties the target first", "Leave out one of them."),
        (["--into-existing", "--only", "mongo_migration_history"], "keeps its own history", "Leave it out"),
        (["--only", "users", "--exclude", "users"], "both name 'users'", "Name it once."),
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


@pytest.mark.parametrize("engine", ["native", "tools"])
@pytest.mark.parametrize("command", ["copy_db", "restore"])
def test_only_takes_the_named_ones_and_the_history(
    two: Folder, tools: Path, command: str, engine: str
) -> None:
    two.variables["PATH"] = f"{tools}:{os.environ['PATH']}"
    two.migration("one")
    assert two.monarch("migrate", "production", "--yes").code == 0
    target = two.database.client[two.db_name + "_dev"]
    target.old.insert_one({})
    printed = run(two, command, "--only", "users", "--only", "recent", "--engine", engine)
    copied = ["mongo_migration_history", "mongo_migration_journal", "recent", "users"]
    assert [one["name"] for one in printed["collections"]] == copied
    assert sorted(names_in(target)) == [name for name in copied if name != "mongo_migration_journal"]
    assert target.recent.count_documents({}) == 5
    assert printed["notes"] == []


@pytest.mark.parametrize("command", ["copy_db", "restore"])
def test_what_is_incomplete_without_the_rest_is_noted(two: Folder, command: str) -> None:
    two.database["fs.files"].insert_one({})
    two.database["fs.chunks"].insert_one({})
    printed = run(two, command, "--only", "recent", "--only", "fs.files")
    assert printed["notes"] == [
        "'fs.files' belongs to 'fs.chunks', which is left out.",
        "The view 'recent' reads 'users', which is left out.",
    ]


@pytest.mark.parametrize("command", ["copy_db", "restore"])
def test_indexes_are_left_out_and_those_of_ids_stay(two: Folder, command: str) -> None:
    printed = run(two, command, "--without-indexes")
    assert "unique ones too" in printed["notes"][0]
    target = two.database.client[two.db_name + "_dev"]
    assert set(target.users.index_information()) == {"_id_"}
    # Servers since 6.3 create one by themselves.
    assert set(target.series.index_information()) == set(two.database.series.index_information()) - {"more_1"}


@pytest.mark.parametrize("engine", ["native", "tools"])
@pytest.mark.parametrize("command", ["copy_db", "restore"])
def test_what_is_renamed_arrives_as_it_is(two: Folder, tools: Path, command: str, engine: str) -> None:
    two.variables["PATH"] = f"{tools}:{os.environ['PATH']}"
    two.database.drop_collection("recent")
    two.database.create_collection("few", viewOn="series", pipeline=[{"$limit": 1}])
    two.database.series.insert_one({"at": datetime(2026, 1, 1), "of": 1})
    target = two.database.client[two.db_name + "_dev"]
    target.create_collection("people", viewOn="nothing")
    target.lines.insert_one({"_id": "old"})
    pairs = {"users": "people", "logs": "users", "few": "lines"}
    more = [part for old, new in pairs.items() for part in ("--rename", f"{old}={new}")]
    printed = run(two, command, *more, "--engine", engine)
    assert printed["renamed"] == pairs
    assert {one["name"]: one["documents"] for one in printed["collections"]} == {
        "lines": 0,
        "people": 5,
        "series": 1,
        "users": 3,
    }
    assert sorted(names_in(target)) == ["lines", "people", "series", "users"]
    assert target.people.index_information() == two.database.users.index_information()
    assert list(target.users.find()) == list(two.database.logs.find())
    assert target.lines.count_documents({}) == 1


def test_a_time_series_is_renamed(two: Folder) -> None:
    two.database.series.insert_one({"at": datetime(2026, 1, 1), "of": 1})
    run(two, "copy_db", "--rename", "series=weather")
    target = two.database.client[two.db_name + "_dev"]
    assert "series" not in names_in(target)
    assert [one["of"] for one in target.weather.find()] == [1]
    assert set(target.weather.index_information()) == set(two.database.series.index_information())


def test_masks_go_by_the_old_name(two: Folder) -> None:
    target = {"uri": str(two.server and two.server.uri), "db_name": two.db_name + "_dev"}
    production = {"uri": target["uri"], "db_name": two.db_name, "private": True}
    two.settings(production=production, dev={**target, "private": False})
    two.write(
        "migrations/privacy.py",
        """
        from monarch.privacy import Masks, keep, null

        masks = Masks()
        masks['users'] = {'_id': keep, 'name': null, 'place': keep}
        masks['people'] = {'_id': keep, 'name': keep, 'place': keep}
        """,
    )
    two.variables["MONARCH_MASKS_KEY"] = "a key of tests that is long enough"
    run(two, "copy_db", "--only", "users", "--rename", "users=people")
    people = two.database.client[two.db_name + "_dev"].people
    assert [one["name"] for one in people.find()] == [None] * 5


@pytest.mark.parametrize("engine", ["native", "tools"])
@pytest.mark.parametrize("command", ["copy_db", "restore"])
def test_only_what_comes_is_replaced(two: Folder, tools: Path, command: str, engine: str) -> None:
    two.variables["PATH"] = f"{tools}:{os.environ['PATH']}"
    two.migration("one")
    assert two.monarch("migrate", "production", "--yes").code == 0
    target = two.database.client[two.db_name + "_dev"]
    target.logs.insert_one({"_id": "kept"})
    target.create_collection("own", viewOn="logs", pipeline=[])
    target.people.insert_one({"_id": "old"})
    target.create_collection("series", capped=True, size=4096)
    target.mongo_migration_journal.insert_one({"key": "of dev", "action": "run", "outcome": "Completed"})
    target.mongo_migration_journal.create_index("key", name="own")
    more = ["--only", "users", "--only", "series", "--rename", "users=people", "--engine", engine]
    printed = run(two, command, "--into-existing", *more)
    assert [one["name"] for one in printed["collections"]] == ["series", "people"]
    assert "list_migrations" in printed["notes"][0]
    assert sorted(names_in(target)) == ["logs", "own", "people", "series"]
    assert target.own.find_one() == {"_id": "kept"}
    assert target.people.count_documents({}) == 5
    assert target.series.options()["timeseries"]["metaField"] == "of"
    # The journal of the target has all that it had, and what was done now.
    own, done = target.mongo_migration_journal.find()
    assert own["key"] == "of dev"
    assert "replaced" not in own
    assert done["key"].startswith(command)
    names = "--only users --only series --rename users=people"
    assert done["key"].endswith(f":dev {names} --into-existing")
    assert "own" in target.mongo_migration_journal.index_information()
    assert two.monarch("check", "dev").code == 3  # its history does not have the migration


def test_a_target_that_is_not_whole_is_not_made_whole_by_a_part(two: Folder) -> None:
    target = two.database.client[two.db_name + "_dev"]
    target.logs.insert_one({"_id": "kept"})
    head = {"_id": "head", "state": "emptied", "purpose": "copy_db a:dev", "run": ObjectId(), "steps": 0}
    target.monarch_swap.insert_one(head)
    result = two.monarch("copy_db", "production:dev", "--yes", "--into-existing", "--only", "users")
    assert result.code == 1, result.err
    assert "emptied for `copy_db a:dev`, which did not finish" in result.err
    assert names_in(target) == ["logs"]
    assert target.monarch_swap.find_one() == head


def test_a_plan_shows_what_stays(two: Folder) -> None:
    two.database.client[two.db_name + "_dev"].old.insert_one({})
    more = ["--plan", "--into-existing", "--only", "logs"]
    result = two.monarch("copy_db", "production:dev", *more, "--json")
    assert [one["name"] for one in result.json["kept"]] == ["old"]
    assert result.json["dropped"] == []
    assert "These would stay as they are:" in two.monarch("copy_db", "production:dev", *more).out


def test_the_history_keeps_its_indexes(two: Folder) -> None:
    two.migration("one")
    assert two.monarch("migrate", "production", "--yes").code == 0
    before = two.database.mongo_migration_history.index_information()
    run(two, "copy_db", "--without-indexes")
    target = two.database.client[two.db_name + "_dev"]
    assert target.mongo_migration_history.index_information() == before


def test_a_plan_of_some_shows_what_comes_and_what_is_dropped(two: Folder) -> None:
    two.database.client[two.db_name + "_dev"].old.insert_one({})
    result = two.monarch("copy_db", "production:dev", "--plan", "--json", "--only", "logs")
    assert [one["name"] for one in result.json["copied"]] == ["logs"]
    assert [one["name"] for one in result.json["dropped"]] == ["old"]


def test_a_plan_shows_the_new_names(two: Folder) -> None:
    two.database.client[two.db_name + "_dev"].lines.insert_one({})
    result = two.monarch("copy_db", "production:dev", "--plan", "--only", "logs", "--rename", "logs=lines")
    assert result.code == 0, result.err
    assert "Renamed: logs to lines." in result.out
    assert "On dev, 1 collection of the same name would be replaced." in result.out


def test_questions_name_what_is_taken(two: Folder) -> None:
    result = two.monarch("copy_db", "production:dev", "--only", "logs", "--only", "users")
    assert result.code == 2
    assert f"by only logs, users of {two.db_name} of production: are you SURE?" in result.err
    result = two.monarch("copy_db", "production:dev", "--only", "logs", "--into-existing")
    assert f"of the names in only logs of {two.db_name} of production, and keep the rest" in result.err
