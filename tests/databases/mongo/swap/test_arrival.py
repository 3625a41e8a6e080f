"""The journal that arrives with a copy, if that of the source is not as monarch made it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.mongo.engines.test_pairs import Small, small_between
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Server

JOURNAL = "mongo_migration_journal"
IN_PLACE = ("copy_db", "one:other", "--yes", "--in-place", "--engine", "native")


@pytest.fixture
def small(server: Server) -> Iterator[Small]:
    with small_between(server, server) as made:
        yield made


def make_folder(small: Small, path: Path, **target: str) -> Folder:
    folder = Folder(path, small.server)
    where = {"host": small.server.host} if target else {"uri": small.server.uri}
    folder.settings(
        one={"uri": small.server.uri, "db_name": small.source.name},
        other={**where, **target, "db_name": small.target.name},
    )
    return folder


@pytest.mark.parametrize("kind", ["view", "time series"])
def test_a_journal_that_takes_no_entries_is_refused_first(small: Small, tmp_path: Path, kind: str) -> None:
    if kind == "view":
        small.source.create_collection(JOURNAL, viewOn="users", pipeline=[])
    else:
        small.source.create_collection(JOURNAL, timeseries={"timeField": "started_at"})
    result = make_folder(small, tmp_path).invoke(*IN_PLACE)
    assert result.code == 2, result.output
    assert f"'{JOURNAL}' of the source is a {kind}, and no entry can be added to its copy." in result.err
    assert f"Rename or drop the {kind} in the source" in result.err
    small.assert_old()


def test_a_validator_does_not_refuse_the_entry_of_who_may_bypass_it(small: Small, tmp_path: Path) -> None:
    small.source.create_collection(JOURNAL, validator={"never": {"$exists": True}})
    result = make_folder(small, tmp_path).invoke(*IN_PLACE)
    assert result.code == 0, result.output
    (entry,) = small.target[JOURNAL].find()
    assert entry["action"] == "copy"
    assert small.target[JOURNAL].options() == small.source[JOURNAL].options()


def test_a_validator_that_refuses_the_entry_is_found_before_anything_is_dropped(
    small: Small, tmp_path: Path
) -> None:
    small.source.create_collection(JOURNAL, validator={"never": {"$exists": True}})
    small.target.command("createUser", "writer", pwd="writer-hush", roles=["readWrite"])
    try:
        folder = make_folder(small, tmp_path, username="writer", password="writer-hush")
        result = folder.invoke(*IN_PLACE)
    finally:
        small.target.command("dropUser", "writer")
    assert result.code == 5, result.output
    assert f"The validator of '{JOURNAL}' of the source refuses the entry of this command" in result.err
    assert "Remove that validator, or give the user of 'other' the role `dbAdmin`." in result.err
    small.assert_old()
