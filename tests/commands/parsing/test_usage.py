"""Hints about wrong command lines are true, and the commands they suggest are safe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monarch.commands import COMMANDS
from monarch.commands.parsing.usage import CHANGE, hint_for_command
from tests.support.runs.shell import Folder

ALL = [name for rows in COMMANDS.values() for name in rows]


def wrong(folder: Folder, *arguments: str) -> str:
    """Run a wrong command line and return its hint."""
    before = folder.files()
    result = folder.invoke(*arguments)
    assert (result.code, result.out) == (2, ""), result.err
    error, hint = result.err.splitlines()
    assert error.startswith("Error: ")
    assert folder.files() == before
    return hint.removeprefix("Hint: ")


@pytest.fixture
def ready(folder: Folder) -> Folder:
    entry = {"host": "localhost:9", "db_name": "a"}
    folder.settings(production=entry, dev=entry, drill={**entry, "db_name": "b"})
    folder.migration("add_indexes")
    return folder


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (["restore", "production:drill", "--plan"], "--in-place"),
        (["copy_db", "production:dev", "--dry"], "--yes"),
        (["restore", "production:drill", "--force"], "--yes"),
        (["migrate", "production", "--y"], "--yes"),
        (["undo"], "unlock"),
        (["remove"], "restore"),
        (["drop"], "Did you mean"),
        (["revert", "dev"], "restore"),
        (["migrate", "prod"], "production"),
        (["drop_db", "developmint"], "Did you mean"),
        (["restore", "prod:dev"], "Did you mean"),
    ],
)
def test_similarity_alone_suggests_no_command_that_changes_data(
    ready: Folder, arguments: list[str], never: str
) -> None:
    ready.keep_backups()
    hint = wrong(ready, *arguments)
    assert not hint.startswith("Did you mean '--")
    # Older versions of click propose options in the error.
    printed = ready.invoke(*arguments).err
    proposed = [part for part in re.split("(?=Did you mean|Possible options)", printed) if part[0] in "DP"]
    assert not any(never in part for part in proposed)


def test_a_similar_word_never_suggests_a_command_that_changes_data() -> None:
    for name in sorted(CHANGE):
        for word in (name[:-2], name[2:], name + "xx", name.replace("_", "__x")):
            if word not in ALL:
                assert f"Did you mean {name!r}" not in hint_for_command(word, ALL), word


OTHER_TOOLS = """
status up down undo revert baseline stamp fake new dump clone pull log prune forget remove upgrade downgrade
showmigrations makemigrations current load import drop verify man docs version list
"""


@pytest.mark.parametrize("word", OTHER_TOOLS.split())
def test_commands_of_other_tools_lead_to_those_of_monarch(ready: Folder, word: str) -> None:
    hint = wrong(ready, word)
    assert "`monarch" in hint
    for command in re.findall(r"`monarch ([a-z_]+)", hint):
        assert command in ALL


@pytest.mark.parametrize("option", ["--plan", "--dry-run", "-n"])
@pytest.mark.parametrize("command", [["migrate", "dev"], ["copy_db", "production:dev"]])
def test_a_plan_is_available_under_the_names_of_other_tools(
    project: Folder, command: list[str], option: str
) -> None:
    project.migration("one", "self.database.c.insert_one({})")
    if command[0] == "copy_db":
        settings = Path(project.path / "migrations/settings.py")
        settings.write_text(
            settings.read_text() + "ENVIRONMENTS['dev'] = {**ENVIRONMENTS['dev'], 'db_name': 'x'}\n"
        )
    result = project.invoke(*command, option)
    assert result.code in (0, 1), result.err
    assert "would" in result.out or "empty" in result.err
    assert project.database.list_collection_names() == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["migrate"], "There is: production, dev, drill. Run `monarch migrate --help`"),
        (["migrate_one", "add_indexes"], "There is: production, dev, drill."),
        (["migrate_one"], "There is: add_indexes"),
        (["migrate_one", "production", "add_indexes"], "'add_indexes' is a migration: check the order"),
        (["rollback", "add_indexes", "dev"], "'add_indexes' is a migration: check the order"),
        (["verify_migration", "dev", "add_indexes"], "'add_indexes' is a migration: check the order"),
        (["migrate", "dev", "--to"], "Run `monarch migrate --help`"),
        (["copy_db", "production:dev", "-q"], "Run `monarch copy_db --help`"),
        (["history", "dev", "--last", "x"], "Run `monarch history --help`"),
        (["migrate", "dev", "--retri"], "Did you mean '--retry'?"),
        (["migarte", "dev"], "Did you mean 'migrate'?"),
        (["migrate", "dve"], "Did you mean 'dev'?"),
        (["migrate", "dev", "add_indexes"], "To run only this migration, use --only add_indexes."),
        (["migrate", "dev", "add_indexes", "x"], "these migrations, use --only add_indexes --only x."),
        (["migrate", "dev", "boom"], "There is: production, dev, drill"),
        (["check", "dev", "add_indexes"], "'add_indexes' is a migration: check the order"),
        (["drop_db", "dev", "add_indexes"], "Run `monarch drop_db --help`"),
    ],
)
def test_a_hint_names_what_exists(ready: Folder, arguments: list[str], hint: str) -> None:
    assert hint in wrong(ready, *arguments)


def test_an_interrupt_has_no_hint_to_fix_something(project: Folder) -> None:
    project.migration("one", "raise KeyboardInterrupt")
    result = project.monarch("migrate", "dev")
    assert result.code == 130
    assert "Fix" not in result.err
    assert "To continue: monarch migrate dev --retry" in result.err
