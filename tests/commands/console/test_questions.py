"""The breath-o-lizer and the other questions, with and without a terminal."""

from __future__ import annotations

import re

import pexpect
import pytest

from tests.support.runs.shell import Folder

INSERT = "self.database.ran.insert_one({})"


def solve(terminal: pexpect.spawn[str], offset: int = 0) -> None:
    terminal.expect(r"what is (\d+) \+ (\d+)")
    assert isinstance(terminal.match, re.Match)
    terminal.sendline(str(int(terminal.match[1]) + int(terminal.match[2]) + offset))


def end(terminal: pexpect.spawn[str]) -> tuple[int | None, str]:
    output = terminal.read()
    terminal.wait()
    return terminal.exitstatus, output


@pytest.mark.parametrize("command", [["migrate", "production"], ["migrate_one", "one", "production"]])
def test_a_hazardous_migration_requires_a_sum(project: Folder, command: list[str]) -> None:
    project.migration("one", INSERT)
    terminal = project.terminal(*command)
    solve(terminal, offset=1)
    code, output = end(terminal)
    assert code == 1
    assert "Nothing was changed." in output
    assert project.database.list_collection_names() == []
    terminal = project.terminal(*command)
    solve(terminal)
    assert end(terminal)[0] == 0
    assert project.database.ran.count_documents({}) == 1


@pytest.mark.parametrize(
    "command", [["migrate", "production"], ["migrate_one", "one", "production"], ["drop_db", "production"]]
)
def test_without_a_terminal_it_is_an_error_that_names_the_flag(project: Folder, command: list[str]) -> None:
    project.migration("one", INSERT)
    project.database.kept.insert_one({})
    result = project.monarch(*command)
    assert result.code == 2
    error, hint = result.err.splitlines()
    assert error == "Error: 'production' is hazardous: it is called production."
    assert "--yes" in hint
    assert project.database.list_collection_names() == ["kept"]
    assert project.monarch(*command, "--yes").code == 0


def test_a_migration_that_is_not_hazardous_runs_without_a_question(project: Folder) -> None:
    project.migration("one", INSERT)
    assert project.monarch("migrate", "dev").code == 0


def test_drop_db_asks_twice(project: Folder) -> None:
    project.database.kept.insert_many([{}, {}])
    terminal = project.terminal("drop_db", "production")
    solve(terminal)
    terminal.expect("are you SURE")
    terminal.sendline("n")
    assert end(terminal)[0] == 1
    assert project.database.kept.count_documents({}) == 2
    terminal = project.terminal("drop_db", "production")
    solve(terminal)
    terminal.expect("are you SURE")
    terminal.sendline("y")
    code, output = end(terminal)
    assert code == 0
    assert f"Dropped {project.db_name} on production: 1 collection, 2 documents." in output
    assert project.database.list_collection_names() == []


def test_drop_db_reports_an_empty_database(project: Folder) -> None:
    result = project.monarch("drop_db", "dev", "--yes")
    assert result.code == 0
    assert "was empty: nothing to drop" in result.out


def test_drop_db_without_a_terminal_always_requires_yes(project: Folder) -> None:
    project.database.kept.insert_one({})
    result = project.monarch("drop_db", "dev")
    assert result.code == 2
    assert "are you SURE" in result.err
    assert "--yes" in result.err
    assert project.database.list_collection_names() == ["kept"]


def test_ctrl_c_at_a_question_changes_nothing(project: Folder) -> None:
    project.migration("one", INSERT)
    terminal = project.terminal("migrate", "production")
    terminal.expect("what is")
    terminal.sendintr()
    code, output = end(terminal)
    assert code == 130
    assert output.splitlines()[-1].endswith("Interrupted. Nothing was changed.")
    assert project.database.list_collection_names() == []


def test_an_unknown_environment_is_reported_before_any_question(project: Folder) -> None:
    for command in (["migrate", "prodution"], ["drop_db", "prodution"], ["list_migrations", "prodution"]):
        result = project.monarch(*command)
        assert result.code == 2
        assert "There is no environment 'prodution'" in result.err
        assert "Did you mean 'production'?" in result.err
