"""The hooks of ``backup``, ``restore`` and ``copy_db``."""

from __future__ import annotations

import json

import pytest

from monarch.project import Project
from tests.support.runs.two_environments import TwoEnvironments

pytestmark = pytest.mark.server

HOOKS = """
def note(name, context, what):
    print("printed by", name)
    with open("hooks.txt", "a") as file:
        print(name, context.command, context.environment.name, context.source, what, file=file)

def after_backup(context, result):
    note("backup", context, f"{result.name} {result.manifest.documents}")

def after_restore(context, result):
    note("restore", context, sum(one.documents for one in result.collections))

def after_copy(context, result):
    note("copy", context, sum(one.documents for one in result.collections))

def on_failure(context, error):
    note("failure", context, error)
"""
FAILING = """
def after_backup(context, result): raise RuntimeError('no chat')
after_restore = after_copy = after_backup
"""
OPTIONS = {"backup": (), "restore": ("--yes",), "copy_db": ("--yes",)}


def hooks(two: TwoEnvironments, text: str) -> None:
    with (two.folder.path / "migrations/settings.py").open("a") as settings:
        settings.write(text)


def hooked(two: TwoEnvironments) -> list[str]:
    path = two.folder.path / "hooks.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_hooks_are_called_with_what_was_done(two: TwoEnvironments) -> None:
    two.folder.keep_backups()
    hooks(two, HOOKS)
    result = two.folder.invoke("backup", "production", "--json", "--engine", "native")
    name = result.json["name"]
    assert result.err.endswith("\nprinted by backup\n")
    assert hooked(two) == [f"backup backup production None {name} 201"]
    result = two.folder.invoke("restore", f"{name}:dev", "--yes", "--json", "--engine", "native")
    assert result.json["to"] == "dev"
    assert hooked(two) == [f"restore restore dev {name} 201"]
    result = two.folder.invoke("copy_db", "production:dev", "--yes", "--engine", "native")
    assert result.out.startswith("printed by copy\nCOLLECTION ")
    assert hooked(two) == ["copy copy_db dev production 201"]
    # Not for a plan, for wrong usage or for a person who declines.
    assert two.folder.invoke("copy_db", "production:dev", "--plan").code == 0
    assert two.folder.invoke("copy_db", "production:dev", "--yes", "--exclude", "nothing").code == 2
    assert two.folder.invoke("copy_db", "production:dev").code == 2
    assert two.folder.invoke("backup", "production", "--name", "a/b").code == 2
    with pytest.raises(Exception, match="Nothing was changed"):
        Project(two.folder.path).copy("production", "dev", confirm=lambda: False)
    assert hooked(two) == []
    # Those of migrate are called instead.
    key = two.folder.migration("two", stamp="201405300000")
    assert two.folder.invoke("migrate", "production", "--backup", "--yes").code == 0
    assert hooked(two) == []
    assert key in two.folder.invoke("history", "production").out


def test_failures_are_passed_on(two: TwoEnvironments) -> None:
    store = two.folder.keep_backups()
    hooks(two, HOOKS)
    assert two.folder.invoke("backup", "production", "--name", "x").code == 0
    hooked(two)
    (archive,) = store.glob("*.zst")
    archive.write_bytes(archive.read_bytes()[:-9] + b"?" * 9)
    result = two.folder.invoke("restore", f"{archive.name}:dev", "--yes")
    assert result.code == 1
    (failure,) = hooked(two)
    assert failure.startswith(f"failure restore dev {archive.name.removesuffix('.dmp.zst')} ")
    two.source.drop_collection("young")
    two.source.drop_collection("users")
    two.source.drop_collection("mongo_migration_history")
    assert two.folder.invoke("copy_db", "production:dev", "--yes").code == 1
    assert two.folder.invoke("backup", "production").code == 1
    assert [line.split()[:4] for line in hooked(two)] == [
        ["failure", "copy_db", "dev", "production"],
        ["failure", "backup", "production", "None"],
    ]
    two.assert_unchanged()


@pytest.mark.parametrize("command", OPTIONS)
def test_a_hook_that_fails_leaves_what_was_done(two: TwoEnvironments, command: str) -> None:
    two.folder.keep_backups()
    assert two.folder.invoke("backup", "production", "--name", "x").code == 0
    hooks(two, HOOKS + FAILING)
    what = {"backup": "production", "restore": "production:dev", "copy_db": "production:dev"}[command]
    result = two.folder.invoke(command, what, *OPTIONS[command], "--json")
    assert result.code == 1
    assert json.loads(result.out)["collections"]
    so_far = {
        "backup": "The backup is complete.",
        "restore": "'dev' was restored.",
        "copy_db": "'dev' was replaced.",
    }[command]
    hook = {"backup": "after_backup", "restore": "after_restore", "copy_db": "after_copy"}[command]
    assert f"{hook}() failed: RuntimeError: no chat. {so_far}" in result.err
    assert "Fix it in migrations/settings.py." in result.err
    assert hooked(two)[0].startswith(f"failure {command} ")
    if command != "backup":
        two.assert_copied()


def test_a_hook_that_fails_stops_nothing_that_was_asked_for(two: TwoEnvironments) -> None:
    store = two.folder.keep_backups()
    assert two.folder.invoke("backup", "production", "--name", "old").code == 0
    hooks(two, HOOKS + FAILING)
    with (two.folder.path / "migrations/settings.py").open("a") as settings:
        settings.write("BACKUPS['keep'] = {'last': 1}\n")
    result = two.folder.invoke("backup", "production", "--name", "new", "--verify", "--protect", "--prune")
    assert result.code == 1, result.output
    assert "after_backup() failed: RuntimeError: no chat. The backup is complete." in result.err
    assert "It was read back from" in result.out
    assert "is protected for good" in result.out
    assert "Pruned 1 backup; 1 are left." in result.out
    assert not list(store.glob("old__*.dmp*"))


def test_a_hook_and_the_pruning_fail(two: TwoEnvironments) -> None:
    two.folder.keep_backups()
    away = "import os\n    os.rename('backups', 'away')\n    open('backups', 'w').close()"
    hooks(two, f"def after_backup(context, result):\n    {away}\n    raise RuntimeError('no chat')\n")
    hooks(two, "BACKUPS['keep'] = {'last': 1}\n")
    result = two.folder.monarch("backup", "production", "--prune")
    assert result.code == 11, result.output
    assert "Note: after_backup() failed: RuntimeError: no chat. The backup is complete." in result.err
    assert "is complete, but pruning older backups failed" in result.err


def test_a_backup_is_verified_before_the_hook_hears_of_it(two: TwoEnvironments) -> None:
    two.folder.keep_backups()
    hooks(two, HOOKS + "def after_backup(context, result): note('backup', context, result.verified)\n")
    assert two.folder.invoke("backup", "production").code == 0
    assert hooked(two) == ["backup backup production None None"]
    assert two.folder.invoke("backup", "production", "--verify").code == 0
    assert "finding=<Finding.GOOD" in hooked(two)[0]


def test_a_hook_that_is_no_function_is_refused_before_anything_is_done(two: TwoEnvironments) -> None:
    store = two.folder.keep_backups()
    hooks(two, "after_backup = 'me'\n")
    for command in (("backup", "production"), ("copy_db", "production:dev", "--yes")):
        result = two.folder.invoke(*command)
        assert result.code == 2
        assert "after_backup in migrations/settings.py is not a function." in result.err
    assert not store.exists()
    two.assert_unchanged()
