"""The plans of ``migrate``, ``migrate_one`` and ``mark``: alone, and before the question."""

from __future__ import annotations

import re
from typing import Any

import pytest

from monarch import Project
from monarch.databases.history import MigrationState
from monarch.errors import Declined, MigrationError
from monarch.migrations.files.names import shown_key
from monarch.project.runs import ShownPlan
from tests.commands.console.test_questions import end, solve
from tests.commands.migrations.test_migrate import await_line
from tests.commands.migrations.undoable import Undoable, UndoableInMongo, UndoableInPostgres
from tests.support.runs.shell import Folder

pytestmark = [pytest.mark.server, pytest.mark.command]


@pytest.fixture(params=["mongo", "postgres"])
def both(request: pytest.FixtureRequest) -> Undoable:
    """The same project, on each kind of database."""
    if request.param == "mongo":
        return UndoableInMongo(request.getfixturevalue("project"))
    return UndoableInPostgres(request.getfixturevalue("billing"))


@pytest.fixture
def made(project: Folder) -> UndoableInMongo:
    return UndoableInMongo(project)


def row(text: str, key: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(key)]
    return re.sub(r" {2,}", "|", line)


def test_what_migrate_would_run(both: Undoable) -> None:
    one = both.migration("one")
    both.run("migrate", "dev")
    new = both.migration("new", can=False)
    view = both.migration("view", top="repeatable = True")
    late = both.migration("late", "201301010000")
    text = both.run("migrate", "dev", "--plan").out
    assert row(text, new) == f"{new}|new|no rollback()"
    assert row(text, view) == f"{view}|new|repeatable"
    assert row(text, late) == f"{late}|late: older than what has run|-"
    assert "3 migrations would run on dev, in this order.\n" in text
    thing = r"3 collections, 3 documents" if isinstance(both, UndoableInMongo) else r"2 tables, 4 rows"
    assert re.search(rf" on dev \(\S+:\d+\) holds {thing}", text), text
    assert "There is no backup of it" in text
    assert text.endswith("Nothing was changed.\n")
    assert "a backup would be taken" not in text
    assert (
        "Before them, a backup would be taken and verified."
        in both.run("migrate", "dev", "-n", "--backup").out
    )
    listed = both.run("migrate", "dev", "--plan", "--json").json
    assert [(one["key"], one["late"], one["repeatable"], one["can_roll_back"]) for one in listed] == [
        (late, True, False, True),
        (new, False, False, False),
        (view, False, True, True),
    ]
    assert both.completed() == [one]


def test_what_migrate_one_would_run(made: UndoableInMongo) -> None:
    one = made.migration("one")
    text = made.run("migrate_one", "one", "dev", "--plan").out
    assert row(text, one) == f"{one}|new|-"
    assert made.folder.database.list_collection_names() == []
    made.run("migrate", "dev")
    plan = made.run("migrate_one", "one", "dev", "-n", "--json").json
    assert plan["target"]["database"] == made.folder.db_name
    (listed,) = plan["migrations"]
    assert (listed["why"], listed["state"]) == ("again: it has run already", "Completed")
    refused = made.folder.invoke("migrate_one", "one", "dev", "--json")
    assert (refused.code, "--json is for --plan." in refused.err) == (2, True)
    assert made.lines() == ["+one"]


def test_what_mark_would_record(both: Undoable) -> None:
    one, two = both.migration("one"), both.migration("two")
    both.run("migrate", "dev", "--to", "one")
    history = both.run("history", "dev", "--json").json
    text = both.run("mark", "dev", "one", "two", "--as", "new", "--plan").out
    assert row(text, one) == f"{one}|Completed|New|migrate runs it"
    assert row(text, two) == f"{two}|New|New|-"
    assert "2 migrations would be marked on dev. Nothing would run.\n" in text
    plan = both.run("mark", "dev", "--all", "--as", "completed", "--dry-run", "--json").json
    assert [(row["key"], row["was"], row["now"]) for row in plan["migrations"]] == [
        (one, "Completed", "Completed"),
        (two, "New", "Completed"),
    ]
    assert plan["target"]["newest_backup"]["state"] == "no store"
    nothing = both.run("mark", "dev", "--all", "--accept-edit", "--plan").out
    assert nothing.startswith("Nothing would be accepted on dev: no file was edited or deleted.\n")
    path = both.folder.path / "migrations" / f"{one}.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert row(both.run("mark", "dev", "--all", "--accept-edit", "-n").out, one) == f"{one}|was edited"
    path.unlink()
    (gone,) = both.run("mark", "dev", one, "--accept-edit", "-n", "--json").json["migrations"]
    assert (gone["key"], gone["gone"]) == (one, True)
    text = both.run("mark", "dev", one, "--as", "new", "-n").out
    assert row(text, one) == f"{one}|Completed|New|its file is not here"
    assert row(both.run("mark", "dev", one, "--accept-edit", "-n").out, one) == f"{one}|is gone"
    assert both.run("history", "dev", "--json").json == history


def test_plans_refuse_what_the_command_refuses(made: UndoableInMongo) -> None:
    made.migration("one")
    for words, code, message in (
        (("mark", "dev", "--plan", "--as", "new"), 2, "No migration is named."),
        (("mark", "dev", "one", "--plan"), 2, "No state is given."),
        (("mark", "dev", "typo", "--as", "new", "--plan"), 2, "There is no migration 'typo'."),
        (("mark", "dev", "one", "--accept-edit", "--plan"), 1, "there is no edit to accept"),
        (("mark", "dev", "one", "--as", "new", "--json"), 2, "--json is for --plan."),
        (("migrate_one", "typo", "dev", "--plan"), 2, "There is no migration 'typo'."),
        (("rollback", "dev", "--plan"), 1, "Nothing has run on 'dev'"),
        (("rollback", "dev", "one", "--plan"), 1, "has not run on 'dev'"),
    ):
        result = made.folder.invoke(*words)
        assert (result.code, message in result.err, result.out) == (code, True, ""), words
    assert made.folder.database.list_collection_names() == []


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (["migrate", "production"], "1 migration would run on production, in this order."),
        (["migrate_one", "one", "production"], "1 migration would run on production, in this order."),
        (["mark", "production", "one", "--as", "completed"], "1 migration would be marked on production."),
    ],
    ids=["migrate", "migrate_one", "mark"],
)
def test_the_plan_comes_before_the_sum(made: UndoableInMongo, command: list[str], first: str) -> None:
    key = made.migration("one")
    terminal = made.folder.terminal(*command, columns=200)
    terminal.expect_exact(first)
    assert shown_key(key) in (terminal.before or "")
    terminal.expect_exact("There is no backup of it: the settings have no BACKUPS.")
    solve(terminal)
    code, output = end(terminal)
    assert code == 0, output
    assert made.completed() == [key]


def test_scripts_get_no_plan(made: UndoableInMongo) -> None:
    made.migration("one")
    for words in (("migrate", "production"), ("mark", "production", "one", "--as", "new")):
        result = made.folder.invoke(*words, "--yes")
        assert (result.code, result.err, "would" in result.out) == (0, "", False)


def test_only_what_was_shown_is_run(made: UndoableInMongo) -> None:
    one, two = made.migration("one"), made.migration("two")
    project = Project(made.folder.path)
    shown: list[ShownPlan[Any]] = []
    # Another run does one of the two: the other one is left.
    project.migrate("dev", confirm=lambda: made.run("migrate_one", "one", "dev"), preview=shown.append)
    assert [step.key for step in shown[0].plan.steps] == [one, two]
    assert shown[0].target.environment.name == "dev"
    assert made.lines() == ["+one", "+two"]
    made.migration("three")
    with pytest.raises(MigrationError, match=f"has changed since the plan was shown: {two} would run"):
        project.migrate("dev", confirm=lambda: made.run("rollback", "dev"), preview=shown.append)
    assert made.lines() == ["+one", "+two", "-two"]
    with pytest.raises(MigrationError, match="or a file has changed since the plan was shown"):
        project.mark(
            "dev",
            "two",
            state=MigrationState.COMPLETED,
            confirm=lambda: made.run("migrate_one", "two", "dev"),
            preview=shown.append,
        )
    with pytest.raises(MigrationError, match="has changed since the plan was shown"):
        project.migrate_one("two", "dev", confirm=lambda: made.run("rollback", "dev"), preview=shown.append)
    assert made.lines()[3:] == ["+two", "-two"]


def test_a_copy_that_was_cut_off_is_finished_before_there_is_a_plan(made: UndoableInMongo) -> None:
    """Whoever agreed to that is asked again, about the plan."""
    made.migration("one")
    head = {"_id": "head", "state": "swapping", "purpose": "copy_db a:dev", "run": "a", "steps": 0}
    made.folder.database.monarch_swap.insert_one(head)
    asked: list[str] = []

    def ask() -> bool:
        asked.append("question")
        return len(asked) == 1

    with pytest.raises(Declined):
        Project(made.folder.path).migrate("dev", confirm=ask, preview=lambda _: asked.append("plan"))
    assert asked == ["question", "plan", "question"]
    assert made.states() == {}


def test_the_plan_beside_another_run_says_so(made: UndoableInMongo) -> None:
    slow = made.folder.migration("slow", "print('working', flush=True)\nimport time\ntime.sleep(60)")
    two = made.migration("two")
    run = made.folder.start("migrate", "dev")
    try:
        await_line(run, "working")
        terminal = made.folder.terminal("migrate", "production", columns=200)
        terminal.expect_exact(f"Another run is running {slow} now.")
        terminal.expect_exact("1 migration would run on production, in this order.")
        assert shown_key(two) in (terminal.before or "")
        terminal.sendintr()
        end(terminal)
    finally:
        run.kill()
        run.communicate()
