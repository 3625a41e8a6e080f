"""The keys of a PostgreSQL environment, right and wrong."""

from __future__ import annotations

from typing import Any

import pytest

from monarch.databases.postgres.connection.client import parameters
from monarch.databases.postgres.connection.settings import uri
from monarch.errors import SettingsError
from monarch.settings.environments import parse_environment
from monarch.settings.protection import why_hazardous

LOCAL = {"kind": "postgres", "host": "localhost", "db_name": "app"}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"uri": "postgresql://me@h/app"}, {"host": "h", "user": "me", "dbname": "app", "port": ""}),
        ({"uri": "postgres://h1:1,h2:2/app"}, {"host": "h1,h2", "port": "1,2"}),
        ({"uri": "postgresql://[::1]:5433/app"}, {"host": "::1", "port": "5433"}),
        ({"uri": "postgresql:///app?host=/run/pg&port=5433"}, {"host": "/run/pg", "port": "5433"}),
        ({"uri": "postgresql://%2Frun%2Fpg/app"}, {"host": "/run/pg"}),
        ({"uri": "postgresql://h/app?ssl=true"}, {"sslmode": "require"}),
        # The connection strings of SQLAlchemy name a driver.
        ({"uri": "postgresql+psycopg2://me:pw@h/app"}, {"host": "h", "user": "me", "password": "pw"}),
        ({"uri": "postgresql+asyncpg://h/app?ssl=verify-full"}, {"dbname": "app", "sslmode": "verify-full"}),
        ({"kind": "postgres", "uri": "postgres+psycopg://h/app"}, {"host": "h"}),
        ({"uri": "postgresql://a%40b:p%2Fq@h/x%20y"}, {"user": "a@b", "password": "p/q", "dbname": "x y"}),
        ({"uri": "postgresql://h", "db_name": "app"}, {"dbname": "app"}),
        (
            {"uri": "postgresql://h/app", "username": "me", "password": "hush!"},
            {"user": "me", "password": "hush!"},
        ),
        ({**LOCAL, "port": 5433, "sslmode": "require"}, {"port": "5433", "sslmode": "require"}),
        ({"kind": "postgres", "service": "billing", "db_name": "app"}, {"service": "billing"}),
    ],
)
def test_what_libpq_gets(entry: dict[str, Any], expected: dict[str, str]) -> None:
    found = parameters(parse_environment("dev", entry).require())
    assert {name: found.get(name) for name in expected} == expected


def test_no_variable_of_the_shell_leads_to_another_host() -> None:
    found = parameters(parse_environment("dev", {"uri": "postgresql:///app"}).require())
    assert (found["host"], found["port"]) == ("", "")
    service = {"kind": "postgres", "service": "billing", "db_name": "app"}
    assert "host" not in parameters(parse_environment("dev", service).require())


@pytest.mark.parametrize(
    "entry",
    [
        {"uri": "postgresql://a%40b:p%2Fq%3A@h:5433/x%20y?sslmode=require"},
        {"uri": "postgresql://me:hush@h1:1,h2:2/app?target_session_attrs=read-write"},
        {**LOCAL, "username": "me", "password": "p@s:s/w?o#r%d"},
        {"kind": "postgres", "host": "/run/pg", "db_name": "app"},
        {"uri": "postgresql://[::1]:5433/app"},
    ],
)
def test_the_connection_string_for_other_libraries_means_the_same(entry: dict[str, Any]) -> None:
    environment = parse_environment("dev", entry).require()
    again = parse_environment("dev", {"uri": uri(environment)}).require()
    assert parameters(again) == parameters(environment)


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ({"kind": "postgres", "uri": "host=h"}, "no connection string of PostgreSQL", "postgresql://"),
        ({"uri": "postgresql://me:p/w@h/app"}, "an @ after the first /", "%2F"),
        ({"uri": "postgresql://me:a b@h/app"}, "has a space", "%20"),
        ({"uri": "postgresql://h:1:2/app"}, "more than one port", "%3A"),
        ({"uri": "postgresql://h/app?sslmod=x"}, "unknown option 'sslmod'", "sslmode"),
        ({"uri": "postgresql://h/app", "db_name": "other"}, "'db_name' is both", "Keep one"),
        ({"uri": "postgresql://h"}, "no 'db_name'", "db_name"),
        ({**LOCAL, "sslmod": "x"}, "unknown key 'sslmod'", "sslmode"),
        ({**LOCAL, "lock_timeout": "5s"}, "not a number of seconds", "5"),
        ({**LOCAL, "lock_timeout": 0}, "not a number of seconds", "5"),
        ({**LOCAL, "port": True}, "'port' is a bool", "text or a number"),
        ({**LOCAL, "password": 1}, "'password' is a int", ""),
        ({**LOCAL, "db_name": "template1"}, "template of PostgreSQL", "your own"),
        ({**LOCAL, "db_name": "x" * 64}, "cannot be called", "63"),
        ({"kind": "postgres", "db_name": "app"}, "none of 'uri', 'host'", "Set one"),
    ],
)
def test_a_wrong_entry(entry: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_environment("dev", entry).require()
    assert message in caught.value.message
    assert hint in str(caught.value.hint)
    assert "p/w" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    ("entry", "hazardous"),
    [
        ({"uri": "postgresql://localhost/app"}, False),
        ({"uri": "postgresql:///app"}, False),
        ({"kind": "postgres", "host": "/run/pg", "db_name": "app"}, False),
        ({"uri": "postgresql://db.example.com/app"}, True),
        ({"uri": "postgresql://localhost,db.example.com/app"}, True),
        ({"uri": "postgresql:///app?hostaddr=10.0.0.1"}, True),
        ({"kind": "postgres", "service": "billing", "db_name": "app"}, True),
        ({"uri": "postgresql://db.example.com/app", "protected": False}, False),
    ],
)
def test_what_is_hazardous(entry: dict[str, Any], hazardous: bool) -> None:
    assert (why_hazardous(parse_environment("dev", entry)) is not None) == hazardous


def test_a_value_that_is_not_set_here() -> None:
    environment = parse_environment("dev", {**LOCAL, "password": None})
    assert environment.missing == "password"
    assert parse_environment("dev", {"kind": "postgres", "uri": None}).missing == "uri"
