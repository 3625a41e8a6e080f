"""``list_environments`` in a pipe, in a terminal, and in a narrow terminal."""

from __future__ import annotations

from typing import Any

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


def test_json(folder: Folder) -> None:
    folder.settings(**ENTRIES)
    production, staging, dev = folder.monarch("list_environments", "--json").json
    assert production == {
        "name": "production",
        "database": "app",
        "server": "db1.example.com:27017,db2.example.com:27017",
        "username": "me",
        "hazardous": "it is called production",
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
