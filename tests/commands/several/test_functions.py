"""A ``db_name`` that is a function of the settings: it is called when its names are needed."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent

import pytest

from tests.support.runs.shell import CommandResult, Folder
from tests.support.runs.two_environments import assert_error
from tests.support.servers.mongod import Server


class Tenants:
    """A project whose environment ``tenants`` has the databases that a function returns."""

    def __init__(self, folder: Folder, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.names = [f"{folder.db_name}_{one}" for one in "abc"]
        folder.write("names.py", f"NAMES = {self.names!r}\n")
        self.settings("from names import NAMES\nreturn NAMES")

    def settings(self, body: str) -> None:
        lines = "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())
        entry = f"{{'uri': {self.server.uri!r}, 'db_name': names}}"
        self.folder.write(
            "migrations/settings.py",
            f"def names():\n{lines}\nENVIRONMENTS = {{'tenants': {entry}}}\n"
            "BACKUPS = {'LOCAL': {'backup_dir': 'backups'}}\n",
        )

    def run(self, *arguments: str) -> CommandResult:
        return self.folder.monarch(*arguments)


@pytest.fixture
def tenants(folder: Folder, server: Server) -> Iterator[Tenants]:
    folder.server = server
    yield Tenants(folder, server)
    with server.client() as client:
        for name in client.list_database_names():
            if name.startswith(folder.db_name):
                client.drop_database(name)


def test_its_names_are_those_of_the_function(tenants: Tenants) -> None:
    tenants.folder.migration("one", "self.database.ran.insert_one({})")
    assert tenants.run("check", "tenants").code == 3
    assert tenants.run("migrate", "tenants", "--jobs", "2").code == 0
    assert tenants.run("check", f"tenants/{tenants.names[1]}").code == 0
    listed = tenants.run("list_migrations", "tenants", "--json").json
    assert [row["environment"] for row in listed] == [f"tenants/{name}" for name in tenants.names]
    assert tenants.run("backup", "tenants").code == 0
    checked = tenants.run("check_backups")
    assert [line.split(":")[0] for line in checked.out.splitlines()] == [
        f"tenants/{name}" for name in tenants.names
    ]
    refused = tenants.run("check", "tenants/other")
    assert_error(refused, 2, "'tenants' has no database 'other': its 'db_name' is names", "")


def test_it_is_called_once_and_only_when_it_is_needed(tenants: Tenants) -> None:
    tenants.settings(
        f"""
        with open("calls", "a") as file:
            file.write("x")
        print("asking for tenants")
        return {tenants.names!r}
        """
    )
    calls = tenants.folder.path / "calls"
    listed = tenants.run("list_environments", "--json")
    assert listed.json[0]["databases"] == ["names()"]
    assert "names()" in tenants.run("list_environments").out
    assert not calls.exists()
    checked = tenants.run("check", "tenants", "--json")
    assert [row["environment"] for row in checked.json] == [f"tenants/{name}" for name in tenants.names]
    assert "asking for tenants" in checked.err
    assert calls.read_text() == "x"
    tenants.folder.migration("one", "self.database.ran.insert_one({})")
    assert tenants.run("migrate", "tenants", "--jobs", "3").code == 0
    assert calls.read_text() == "xx"


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("return 'app'", "its 'db_name' is a function that returned a str", "Return a list"),
        ("return 5", "its 'db_name' is a function that returned a int", "Return a list"),
        ("return ['a', '']", "its 'db_name' has an empty text in it", "as texts"),
        ("return ['a', None]", "its 'db_name' has a NoneType in it", "as texts"),
        ("return ['a', 'a']", "its 'db_name' has 'a' twice", "once"),
        ("return ['a_*']", r"returned the pattern 'a_\*'", "Return names"),
        ("return ['a/b']", "its database cannot be called 'a/b'", "Use at most 63 bytes"),
        ("return []", r"names\(\) of 'tenants' returned no database", "Check that function"),
        (
            "raise ValueError('gone wrong')",
            r"failed: ValueError: gone wrong",
            "Check that function",
        ),
        ("raise SystemExit(3)", r"names\(\) failed", "Check that function"),
        ("password = 'verysecretword'; raise ValueError(password)", r"names\(\) failed: ", "Check that"),
    ],
)
def test_what_it_may_not_return(tenants: Tenants, body: str, message: str, hint: str) -> None:
    tenants.settings(body)
    for command in (["check"], ["migrate"], ["backup"], ["list_migrations"]):
        refused = tenants.run(*command, "tenants")
        assert_error(refused, 1 if body == "return []" else 2, message, hint)
        assert "verysecret" not in refused.output
    assert tenants.run("list_environments").code == 0
