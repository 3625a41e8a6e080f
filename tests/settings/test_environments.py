from __future__ import annotations

from typing import Any

import pytest

from monarch.errors import SettingsError
from monarch.settings.environments import parse_environment, share_privacy


@pytest.mark.parametrize("name", ["", "a:b", "a b", "../x", ".hidden", "-x", 3])
def test_invalid_names_of_environments(name: object) -> None:
    with pytest.raises(SettingsError, match="cannot be the name of an environment"):
        parse_environment(name, {"host": "h", "db_name": "a"})


@pytest.mark.parametrize("more", [{}, {"kind": "mongo"}])
def test_an_environment_has_the_default_kind_unless_configured(more: dict[str, Any]) -> None:
    assert parse_environment("dev", {"host": "h", "db_name": "a", **more}).kind == "mongo"


@pytest.mark.parametrize(("kind", "hint"), [("oracle", "There is: mongo, postgres."), ("mongodb", "'mongo'")])
def test_an_unknown_kind_is_reported_with_the_known_kinds(kind: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_environment("dev", {"kind": kind, "host": "h", "db_name": "a"}).require()
    assert caught.value.message == f"Environment 'dev': unknown kind of database {kind!r}."
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("mysql://me:hush@h/a", "Write such a connection string"),
        ("host=h dbname=a password=hush", "'host' and the other keys"),
        ("postgis://me:hush@h/a", "Write postgres:// instead."),
        ("pgsql://me:hush@h/a", "Write postgresql:// instead."),
        ('"postgresql://me:hush@h/a"', "Remove the quotes"),
        ("jdbc:postgresql://h/a?password=hush", "Remove what is before postgresql://"),
        (" mongodb://me:hush@h/a", "Remove what is before mongodb://"),
    ],
)
def test_a_uri_of_an_unknown_kind_is_not_quoted_in_the_error(uri: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_environment("dev", {"uri": uri}).require()
    assert (
        "begins with none of mongodb://, mongodb+srv://, postgresql://, postgres://" in caught.value.message
    )
    assert hint in str(caught.value.hint)
    assert "hush" not in f"{caught.value.message}{caught.value.hint}"


def test_embedded_environments_of_one_name_are_not_one_database() -> None:
    entry = {"embedded": True, "db_name": "shop"}
    private = parse_environment("production", {**entry, "private": True})
    _, other = share_privacy((private, parse_environment("development", entry)))
    assert not other.private


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("localhost", "127.0.0.1:27017", True),
        ("localhost", "[::1]", True),
        ("127.0.0.1", "127.0.1.1:27017", True),
        ("DB.Example.org", "db.example.org.:27017", True),
        ("a.example.org,b.example.org", "c.example.org,B.example.org:27017", True),
        ("localhost:27018", "127.0.0.1", False),
        ("a.example.org:27018", "a.example.org", False),
        ("a.example.org", "b.example.org", False),
    ],
)
def test_one_database_is_private_however_its_hosts_are_written(one: str, other: str, same: bool) -> None:
    private = parse_environment("production", {"host": one, "db_name": "app", "private": True})
    for entry in ({"host": other, "db_name": "app"}, {"uri": f"mongodb://{other}/app"}):
        assert share_privacy((private, parse_environment("reading", entry)))[1].private is same
    another = parse_environment("reading", {"host": one, "db_name": "other"})
    assert not share_privacy((private, another))[1].private


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://localhost/app", "postgres://127.0.0.1:5432/app", True),
        ("postgresql:///app", "postgresql://localhost/app", True),
        ("postgresql://Db.example.org/app", "postgresql://db.example.org.:5432/app", True),
        ("postgresql://db.example.org:5433/app", "postgresql://db.example.org/app", False),
    ],
)
def test_hosts_of_postgresql_are_compared_too(one: str, other: str, same: bool) -> None:
    private = parse_environment("production", {"uri": one, "private": True})
    assert share_privacy((private, parse_environment("reading", {"uri": other})))[1].private is same
