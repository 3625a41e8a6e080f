"""``list_environments`` in a pipe, in a terminal, and in a narrow terminal."""

from __future__ import annotations

from typing import Any

import pexpect
import pytest

from tests.support.runs.shell import Folder

ENTRIES: dict[str, dict[str, Any]] = {
    "production": {"uri": "mongodb://me:very-hush@db1.example.com:27017,db2.example.com:27017/app"},
    "staging": {"host": "staging.example.com", "db_name": "app", "password": None, "username": "x"},
    "dev": {"embedded": True, "db_name": "app"},
}


def test_a_table_without_a_password(folder: Folder) -> None:
    folder.settings(**ENTRIES)
    result = folder.monarch("list_environments")
    assert (result.code, result.err) == (0, "")
    rows = [line.split("  ")[0].strip() for line in result.out.splitlines()]
    assert rows == ["ENVIRONMENT", "production", "staging", "dev"]
    assert "db1.example.com:27017,db2.example.com:27017" in result.out
    assert "(password is not set)" in result.out
    assert "hush" not in result.out
    assert "\x1b" not in result.out


def test_the_kinds_of_several_kinds(folder: Folder) -> None:
    shop = {"uri": "postgresql://localhost/shop"}
    folder.settings(dev=ENTRIES["dev"], shop=shop, other={"uri": None})
    lines = folder.monarch("list_environments").out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ENVIRONMENT", "KIND"],
        ["dev", "mongo"],
        ["shop", "postgres"],
        ["other", "-"],
    ]
    rows = folder.monarch("list_environments", "--json").json
    assert [row["kind"] for row in rows] == ["mongo", "postgres", None]
    folder.settings(shop=shop)
    assert "KIND" not in folder.monarch("list_environments").out


@pytest.mark.parametrize(
    ("uri", "server"),
    [
        ("mongodb://me:hush@h.azure.com:10255/app?ssl=true&appName=@shop@", "h.azure.com:10255"),
        ("mongodb://[::1]:27017/app", "[::1]:27017"),
    ],
)
def test_a_uri_as_it_is_issued(folder: Folder, uri: str, server: str) -> None:
    folder.settings(dev={"uri": uri})
    result = folder.monarch("list_environments", "--json")
    assert (result.code, result.err) == (0, "")
    assert [(row["server"], row["problem"]) for row in result.json] == [(server, None)]


@pytest.mark.parametrize(
    ("uri", "message", "hint"),
    [
        ("mongodb://::1/app", "an IPv6 address in it has no [ ]", "[::1]:27017"),
        ("mongodb://me:hush@/tmp/mongodb-27017.sock", "the path of a socket that is not escaped", "%2F"),
        ("mongodb://h/app?tz_aware=true", "'tz_aware'", "Remove it"),
    ],
)
def test_a_uri_that_cannot_be_used_is_explained(folder: Folder, uri: str, message: str, hint: str) -> None:
    folder.settings(dev={"uri": uri, "db_name": "app"})
    result = folder.monarch("list_migrations", "dev")
    assert result.code == 2
    assert message in result.err
    assert hint in result.err
    assert "hush" not in result.err


def test_json(folder: Folder) -> None:
    folder.settings(**ENTRIES)
    production, staging, dev = folder.monarch("list_environments", "--json").json
    assert production == {
        "name": "production",
        "kind": "mongo",
        "database": "app",
        "databases": None,
        "server": "db1.example.com:27017,db2.example.com:27017",
        "username": "me",
        "hazardous": "it is called production",
        "private": False,
        "missing": None,
        "problem": None,
    }
    assert staging["missing"] == "password"
    assert dev["hazardous"] is None


def test_a_terminal_too_narrow_for_the_table_gets_blocks(folder: Folder) -> None:
    folder.settings(**ENTRIES)
    wide = folder.terminal("list_environments", columns=200).read()
    assert "ENVIRONMENT" in wide
    narrow = folder.terminal("list_environments", columns=50).read()
    assert "ENVIRONMENT" not in narrow
    assert "server" in narrow


def test_no_colour_if_it_is_disabled(folder: Folder) -> None:
    folder.settings(**ENTRIES)
    assert "\x1b[" in folder.terminal("list_environments", columns=200).read()
    folder.variables["NO_COLOR"] = "1"
    assert "\x1b[" not in folder.terminal("list_environments", columns=200).read()


def test_what_came_during_the_question_is_not_dropped(project: Folder) -> None:
    project.database.dogs.insert_one({})
    terminal = project.terminal("drop_db", "dev")
    terminal.expect("are you SURE")
    project.database.cats.insert_one({})
    terminal.sendline("y")
    terminal.expect(r"holds more than it did before the question: 2, not 1\.")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert project.database.dogs.count_documents({}) == 1
