from __future__ import annotations

from typing import Any

import pytest

from monarch.errors import SettingsError
from monarch.settings.environments import parse_environment


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


def test_a_uri_of_an_unknown_kind_is_not_quoted_in_the_error() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_environment("dev", {"uri": "mysql://me:hush@h/a"}).require()
    assert "does not begin with mongodb://" in caught.value.message
    assert "hush" not in f"{caught.value.message}{caught.value.hint}"
