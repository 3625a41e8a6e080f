"""A kind of database is one module and one line; what it does not have is an error in words."""

from __future__ import annotations

import pytest

from monarch.databases import KINDS
from monarch.errors import SettingsError
from monarch.settings.environments import parse_environment
from tests.support.runs.shell import Folder


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "toy", "tests.support.databases.toy")


@pytest.fixture
def mixed(folder: Folder) -> Folder:
    """A project with an environment of MongoDB and two of the toy kind."""
    folder.settings(
        dev={"host": "localhost:1", "db_name": "app"},
        toys={"kind": "toy", "box": "blocks"},
        more={"uri": "toy://chest"},
    )
    folder.keep_backups()
    return folder


def test_the_scheme_or_the_key_chooses_the_kind() -> None:
    assert parse_environment("a", {"uri": "toy://chest"}).kind == "toy"
    assert parse_environment("a", {"kind": "toy"}).kind == "toy"
    assert parse_environment("a", {"uri": "mongodb://h/a"}).kind == "mongo"
    assert parse_environment("a", {"host": "h", "db_name": "a"}).kind == "mongo"


def test_its_keys_are_named_as_those_of_any_kind() -> None:
    with pytest.raises(SettingsError, match="Environment 'a': unknown key 'boxx'") as caught:
        parse_environment("a", {"kind": "toy", "boxx": "b"})
    assert "'box'" in str(caught.value.hint)
    with pytest.raises(SettingsError, match="unknown key 'replicaSet'"):
        parse_environment("a", {"kind": "toy", "replicaSet": "b"})


def test_its_environments_are_listed_and_opened(mixed: Folder) -> None:
    rows = {row["name"]: row for row in mixed.inside("list_environments", "--json").json}
    assert (rows["toys"]["database"], rows["toys"]["server"]) == ("blocks", "the box blocks")
    ran = mixed.inside("list_migrations", "toys")
    assert (ran.code, ran.err) == (5, "Error: The box of 'toys' is shut.\nHint: Open it.\n")


@pytest.mark.parametrize(
    "command",
    [
        ("copy_db", "toys:more", "--yes"),
        ("copy_db", "dev:toys", "--yes"),
        ("backup", "toys"),
    ],
)
def test_what_it_cannot_do_is_an_error_in_words(mixed: Folder, command: tuple[str, ...]) -> None:
    ran = mixed.inside(*command)
    assert ran.code == 2, ran.said
    assert "'toys' is a Toy database: monarch cannot copy, back up or restore those." in ran.err


def test_there_is_no_copy_between_kinds(mixed: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.databases.toy.ToyKind.transfers", True)
    ran = mixed.inside("copy_db", "dev:toys", "--yes")
    assert ran.code == 2, ran.said
    assert "'dev' is MongoDB and 'toys' is Toy: monarch copies only between databases of one kind." in ran.err
