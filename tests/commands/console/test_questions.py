"""The breath-o-lizer and the other questions, with and without a terminal."""

from __future__ import annotations

import re

import pexpect
import pytest

from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, entry
from tests.support.samples.zips import make_zip

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


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["migrate", "production", "--only", "typo"], "There is no migration 'typo'."),
        (["migrate", "production", "--to", "typo"], "There is no migration 'typo'."),
        (["migrate", "production", "--only", "broken"], "_broken_migration cannot be loaded"),
        (["migrate_one", "broken", "production"], "_broken_migration cannot be loaded"),
        (["migrate_one", "typo", "production"], "There is no migration 'typo'."),
        (["rollback", "production", "typo"], "There is no migration 'typo'."),
        (["rollback", "production", "broken"], "has not run on 'production'"),
        (["rollback", "production"], "_one_migration has no rollback()"),
        (["mark", "production", "typo", "--as", "new"], "There is no migration 'typo'."),
        (["mark", "production", "broken", "--accept-edit"], "there is no edit to accept"),
        (["verify_migration", "typo", "production"], "There is no migration 'typo'."),
    ],
)
def test_what_is_wrong_is_reported_before_any_question(
    project: Folder, command: list[str], message: str
) -> None:
    project.migration("one", INSERT)
    assert project.monarch("migrate", "dev").code == 0
    project.migration("broken", "raise, nothing")
    assert_refused_without_a_question(project, command, message)


def assert_refused_without_a_question(folder: Folder, command: list[str], message: str) -> None:
    terminal = folder.terminal(*command, columns=1000)
    asked = terminal.expect([r"what is \d|are you SURE", pexpect.EOF])
    assert asked == 1, terminal.before
    terminal.wait()
    assert message in (terminal.before or "")
    assert terminal.exitstatus not in (0, 130)


def test_a_script_without_the_flag_is_refused_even_if_there_is_nothing_to_do(project: Folder) -> None:
    result = project.monarch("migrate", "production")
    assert result.code == 2
    assert "'production' is hazardous" in result.err


def test_nothing_to_do_needs_no_answer(project: Folder) -> None:
    project.migration("one", INSERT)
    assert project.monarch("migrate", "dev").code == 0
    code, output = end(project.terminal("migrate", "production", columns=1000))
    assert code == 0
    assert "Nothing to do: production has run everything" in output
    assert "what is" not in output


def test_a_copy_that_was_cut_off_is_finished_after_the_question(two: TwoEnvironments) -> None:
    head = {"_id": "head", "state": "swapping", "purpose": "copy_db a:dev", "run": "a", "steps": 0}
    two.target.monarch_swap.insert_one(head)
    two.folder.settings(production=entry(two.server, two.target.name))
    two.folder.migration("one", INSERT)
    terminal = two.folder.terminal("migrate", "production", columns=1000)
    solve(terminal, offset=1)
    assert end(terminal)[0] == 1
    assert two.target.monarch_swap.find_one() == head


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("nothing:dev", "'nothing' holds no collections: there is nothing to copy."),
        ("gone:dev", "Cannot reach MongoDB for 'gone'"),
        ("dev:gone", "Cannot reach MongoDB for 'gone'"),
        ("same:dev", "'same' and 'dev' are the same database."),
    ],
)
def test_a_copy_looks_at_its_source_before_it_asks(two: TwoEnvironments, pair: str, message: str) -> None:
    here = entry(two.server, two.target.name)
    two.folder.settings(
        dev=here,
        same={**here, "protected": True},
        nothing=entry(two.server, f"{two.target.name}_nothing"),
        gone={"host": "localhost:1", "db_name": "app", "serverSelectionTimeoutMS": 200},
    )
    assert_refused_without_a_question(two.folder, ["copy_db", pair], message)
    two.assert_unchanged()


def test_a_query_set_that_fails_is_reported_before_the_question(two: TwoEnvironments) -> None:
    two.folder.write(
        "querysets/part.py", "from monarch import QuerySet\nclass Part(QuerySet):\n    run = 1/0\n"
    )
    command = ["copy_db", "production:dev", "-q", "Part", "-o", "n=1"]
    assert_refused_without_a_question(two.folder, command, "ZeroDivisionError")
    two.assert_unchanged()


def test_a_restore_looks_at_its_backup_before_it_asks(two: TwoEnvironments) -> None:
    store = two.folder.keep_backups()
    store.mkdir()
    members = {f"dump/{name}/users.bson": b"" for name in ("one", "two")}
    (store / "app.dmp.zip").write_bytes(make_zip(members))
    assert_refused_without_a_question(two.folder, ["restore", "app.dmp.zip:dev"], "holds 2 databases")
    two.assert_unchanged()
