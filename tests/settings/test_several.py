"""Environments whose ``db_name`` means several databases."""

from __future__ import annotations

from typing import Any

import pytest

from monarch.databases.environment import Environment
from monarch.databases.mongo.connection.client import full_uri
from monarch.databases.several import DatabaseSet
from monarch.databases.several.members import find_environment, is_member, known_members
from monarch.errors import MonarchError, SettingsError, UnknownEnvironment, UsageError
from monarch.settings.environments import parse_environment, share_privacy


def parse(db_name: object, name: str = "tenants", **more: Any) -> Environment:
    return parse_environment(name, {"host": "h", "db_name": db_name, **more})


@pytest.mark.parametrize(
    ("db_name", "expected"),
    [
        (["a", "b"], DatabaseSet(("a", "b"))),
        (("a",), DatabaseSet(("a",))),
        ("t_*", DatabaseSet((), ("t_*",))),
        ("t_?", DatabaseSet((), ("t_?",))),
        (["shared", "t_*", "b"], DatabaseSet(("shared", "b"), ("t_*",))),
    ],
)
def test_lists_and_patterns(db_name: object, expected: DatabaseSet) -> None:
    for kind in ("mongo", "postgres"):
        parsed = parse(db_name, kind=kind)
        assert (parsed.databases, parsed.db_name, parsed.problem) == (expected, "", None)


@pytest.mark.parametrize("db_name", ["a", "a[bc]", "tenant-1"])
def test_a_plain_name_is_one_database(db_name: str) -> None:
    parsed = parse(db_name).require()
    assert (parsed.db_name, parsed.databases, parsed.label) == (db_name, None, "tenants")


@pytest.mark.parametrize(
    ("db_name", "problem", "hint"),
    [
        ([], "is an empty list", "Name its databases"),
        (["a", "b", "a"], "has 'a' twice", "once"),
        (["a", None], "has a NoneType in it", "as texts"),
        (["a", ""], "has an empty text in it", "as texts"),
        (["a", ["b"]], "has a list in it", "as texts"),
        ({"a": 1}, "is a dict, not a text", None),
        (3, "is a int, not a text", None),
        (["a", "A"], "'a' and 'A', which MongoDB takes for one", "the server has"),
        (["a", "admin"], "'admin' is MongoDB's own database", "your database"),
        (["a", "x y"], "cannot be called 'x y'", "none of"),
        (["a", "n" * 64], "cannot be called", "at most 63 bytes"),
    ],
)
def test_wrong_lists_are_explained(db_name: object, problem: str, hint: str | None) -> None:
    with pytest.raises(SettingsError) as raised:
        parse(db_name).require_complete()
    assert problem in raised.value.message
    assert hint is None or hint in (raised.value.hint or "")


def test_names_of_postgres_may_differ_by_case_and_be_odd() -> None:
    parsed = parse(["a", "A", "x y/z"], kind="postgres")
    assert parsed.databases == DatabaseSet(("a", "A", "x y/z"))
    with pytest.raises(SettingsError, match="template of PostgreSQL's own"):
        parse(["a", "template1"], kind="postgres").require_complete()


@pytest.mark.parametrize("uri", ["mongodb://u:secret@h/elsewhere", "postgresql://u:secret@h/elsewhere"])
def test_a_database_in_the_uri_is_not_used(uri: str) -> None:
    parsed = parse_environment("tenants", {"uri": uri, "db_name": ["a", "b*"]})
    assert parsed.require_complete().databases == DatabaseSet(("a",), ("b*",))
    assert parsed.member("a").require().db_name == "a"


def test_users_beside_a_host_are_in_admin_as_no_database_is_the_only_one() -> None:
    several = parse(["a", "b"], username="u", password="secret")
    assert "authSource=admin" in full_uri(several.member("b"))
    other = parse(["a", "b"], username="u", password="secret", authSource="users")
    assert "authSource=users" in full_uri(other.member("b"))
    assert "authSource=a&" in full_uri(parse("a", username="u", password="secret")) + "&"


def test_an_environment_with_several_databases_cannot_be_used_as_one() -> None:
    with pytest.raises(UsageError) as raised:
        parse(["acme", "b*"]).require()
    assert raised.value.message == (
        "Environment 'tenants' has several databases (acme, b*), and this needs one."
    )
    assert raised.value.hint == "Name it: tenants/DATABASE, for example tenants/acme."


def test_one_of_several_databases_has_the_name_of_the_environment_and_its_own() -> None:
    environments = [parse(["acme"], protected=True, private=True), parse("app", "production")]
    acme = find_environment(environments, "tenants/acme")
    assert acme is not None
    assert acme.require() is acme
    assert (acme.name, acme.db_name, acme.label) == ("tenants", "acme", "tenants/acme")
    assert acme.protected
    assert acme.private
    assert find_environment(environments, "nobody/acme") is None
    odd = find_environment([parse("*", kind="postgres")], "tenants/x/y z")
    assert odd is not None
    assert odd.db_name == "x/y z"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("production/app", "'production' has one database", "Write production"),
        ("tenants/acne", "'tenants' has no database 'acne': its 'db_name' is acme, t_*", "'acme'"),
        ("tenants/", "has no database ''", "acme"),
        ("tenants/t_x_scratch_01234567", "has no database", "acme"),
    ],
)
def test_unknown_databases_of_several_are_explained(name: str, message: str, hint: str) -> None:
    with pytest.raises(UnknownEnvironment) as raised:
        find_environment([parse(["acme", "t_*"]), parse("app", "production")], name)
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")


@pytest.mark.parametrize("kind", ["mongo", "postgres"])
def test_patterns_match_nothing_of_the_server_or_of_monarch(kind: str) -> None:
    everything = parse("*", kind=kind)
    own = {"mongo": ("admin", "config", "local"), "postgres": ("postgres", "template0", "template1")}[kind]
    for name in (*own, "app_scratch_0123abcd"):
        with pytest.raises(MonarchError):
            find_environment([everything], f"tenants/{name}")
    assert known_members(everything, [*own, "app", None]) == (everything.member("app"),)


def test_members_are_known_without_a_server_by_name_or_by_their_backups() -> None:
    several = parse(["z", "a", "t_*"])
    found = known_members(several, ["t_2", "t_1", "z", "other"])
    assert [one.db_name for one in found] == ["z", "a", "t_1", "t_2"]
    alone = parse("app")
    assert known_members(alone, ["t_1"]) == (alone,)


def test_paths_are_no_members() -> None:
    environments = [parse("t_*"), parse("app", "backups")]
    assert is_member(environments, "tenants/t_1")
    for name in ("tenants", "tenants/x", "backups/t_1", "./tenants/t_1"):
        assert not is_member(environments, name)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("app", ["app", "b"], True),
        ("app", ["b", "c"], False),
        ("t_1", "t_*", True),
        ("app", "t_*", False),
        (["a", "t_*"], ["b", "t_?"], True),
        ("a_*", "b_*", False),
        ("*_a", "*_b", False),
        ("*_a", "x*", True),
        ("a*[xy]", "a*z", True),
    ],
)
def test_privacy_is_shared_with_all_that_may_be_the_same_database(
    one: object, other: object, shared: bool
) -> None:
    for private, public in ((one, other), (other, one)):
        both = share_privacy([parse(private, "private", private=True), parse(public, "support")])
        assert both[1].private is shared
