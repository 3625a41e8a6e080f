"""``rollback`` of several migrations: which they are, in which order, and what stops it."""

from __future__ import annotations

import re
import signal
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from monarch import Project
from monarch.errors import MigrationError
from monarch.migrations.files.names import shown_key
from tests.commands.console.test_questions import end, solve
from tests.commands.migrations.test_marks import edit
from tests.commands.migrations.test_migrate import await_line
from tests.commands.migrations.undoable import Undoable, UndoableInMongo, UndoableInPostgres
from tests.support.runs.billing import Billing
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments

pytestmark = [pytest.mark.server, pytest.mark.command]

SLOW = "print('undoing', flush=True); import time; time.sleep(60)"


@pytest.fixture(params=["mongo", "postgres"])
def both(request: pytest.FixtureRequest) -> Undoable:
    """The same project, on each kind of database."""
    if request.param == "mongo":
        return UndoableInMongo(request.getfixturevalue("project"))
    billing: Billing = request.getfixturevalue("billing")
    return UndoableInPostgres(billing)


@pytest.fixture
def made(project: Folder) -> UndoableInMongo:
    return UndoableInMongo(project)


def test_to_undoes_all_that_are_newer_and_the_migration_stays(both: Undoable) -> None:
    keys = [both.migration(name) for name in ("one", "two", "three", "four")]
    both.run("migrate", "dev")
    result = both.run("rollback", "dev", "--to", "two", "--yes")
    assert both.undone() == ["four", "three"]
    assert both.completed() == keys[:2]
    assert "2 migrations to roll back on dev:" in result.out
    assert "2 migrations are rolled back on dev, and New there.\n" in result.out
    again = both.run("rollback", "dev", "--to", keys[1], "--yes")
    assert again.out == f"Nothing newer than {keys[1]} has run on dev: nothing to roll back.\n"
    assert "2 migrations done" in both.run("migrate", "dev").out


def test_steps_undo_the_newest(both: Undoable) -> None:
    keys = [both.migration(name) for name in ("one", "two", "three")]
    both.run("migrate", "dev")
    both.run("rollback", "dev", "--steps", "2", "--yes")
    assert both.undone() == ["three", "two"]
    result = both.folder.invoke("rollback", "dev", "--steps", "2", "--yes")
    assert result.code == 1
    assert "Only 1 of 2 migrations can be rolled back on 'dev'" in result.err
    assert "use --steps 1" in result.err
    assert both.completed() == keys[:1]


def test_batch_undoes_what_the_last_run_did(both: Undoable) -> None:
    first = [both.migration(name) for name in ("one", "two")]
    both.run("migrate", "dev")
    second = [both.migration("three"), both.migration("late", "201401010000")]
    both.run("migrate", "dev")
    both.run("migrate", "dev")  # did nothing, so it does not count
    plan = both.run("rollback", "dev", "--batch", "--plan").out
    assert re.match(r"The last run by \S+@\S+ began at \d{4}-\d\d-\d\d \S+ UTC\.\nMIGRATION ", plan)
    run = both.run("rollback", "dev", "--batch", "--plan", "--json").json["last_run"]
    assert (run["environment"], run["began_at"][-1]) == ("dev", "Z")
    both.run("rollback", "dev", "--batch", "--yes")
    assert both.undone() == ["three", "late"]
    assert both.completed() == first
    both.run("rollback", "dev", "--batch", "--yes")
    assert both.undone() == ["three", "late", "two", "one"]
    result = both.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert (result.code, "Nothing has run on 'dev'" in result.err) == (1, True)
    assert set(both.states()) == {*first, *second}


def test_the_first_that_fails_stops_the_rest_and_the_same_command_goes_on(both: Undoable) -> None:
    keys = [both.migration("one"), both.migration("two", undo="raise ValueError('no')")]
    keys += [both.migration("three"), both.migration("four")]
    both.run("migrate", "dev")
    result = both.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert result.code == 1
    assert f"{keys[1]} failed on 'dev': ValueError: no" in result.err
    assert f"Rolled back and recorded: 2 of 4 migrations. Left: {keys[1]}, {keys[0]}.\n" in result.err
    assert "To roll back the rest too: monarch rollback dev --batch\n" in result.err
    assert both.states() == {
        keys[0]: "Completed",
        keys[1]: "Failed",
        keys[2]: "New",
        keys[3]: "New",
    }
    steps = both.folder.invoke("rollback", "dev", "--steps", "2", "--yes")
    assert "To roll back the rest too: monarch rollback dev --steps 2\n" in steps.err
    path = both.folder.path / "migrations" / f"{keys[1]}.py"
    path.write_text(path.read_text().replace("raise ValueError('no')", "pass"))
    assert "its rollback did not finish" in both.run("rollback", "dev", "--batch", "--plan").out
    both.run("rollback", "dev", "--batch", "--yes")
    assert both.undone() == ["four", "three", "two", "one"]
    assert both.completed() == []


def test_a_run_that_is_killed_between_two_leaves_a_true_history(both: Undoable) -> None:
    keys = [both.migration("one", undo=SLOW), both.migration("two")]
    both.run("migrate", "dev")
    run = both.folder.start("rollback", "dev", "--steps", "2", "--yes")
    try:
        await_line(run, "undoing")
        run.kill()
    finally:
        run.kill()
        run.communicate()
    listed = {row["key"]: row["state"] for row in both.run("list_migrations", "dev", "--json").json}
    assert listed == {keys[0]: "Interrupted", keys[1]: "New"}
    path = both.folder.path / "migrations" / f"{keys[0]}.py"
    path.write_text(path.read_text().replace(SLOW, "pass"))
    both.run("rollback", "dev", "--batch", "--yes")
    assert both.undone() == ["two", "one"]
    actions = [(row["action"], row["outcome"]) for row in both.run("history", "dev", "--json").json]
    assert actions[2:] == [
        ("rollback", "Completed"),
        ("rollback", "Interrupted"),
        ("rollback", "Completed"),
    ]


def test_ctrl_c_says_what_is_undone_and_what_is_left(made: UndoableInMongo) -> None:
    keys = [made.migration("one"), made.migration("two", undo=SLOW), made.migration("three")]
    made.run("migrate", "dev")
    run = made.folder.start("rollback", "dev", "--to", "one", "--yes")
    await_line(run, "undoing")
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert f"{keys[1]} was interrupted on 'dev', and recorded as interrupted. Rolled back and" in err
    assert "To roll back the rest too: monarch rollback dev --to one\n" in err
    assert made.completed() == keys[:1]


def test_a_signal_that_the_migration_swallows_stops_the_rest(made: UndoableInMongo) -> None:
    keys = [made.migration("one"), made.migration("two", undo="SWALLOWED")]
    body = (
        "import os, contextlib\n        with contextlib.suppress(KeyboardInterrupt): os.kill(os.getpid(), 2)"
    )
    edit(made.folder, keys[1], "SWALLOWED", body)
    made.run("migrate", "dev")
    result = made.folder.monarch("rollback", "dev", "--steps", "2", "--yes")
    assert result.code == 130, result.output
    assert f"Rolled back and recorded: 0 of 2 migrations. Left: {keys[1]}, {keys[0]}.\n" in result.err
    assert made.completed() == keys[:1]


# The server takes seconds to record the end of one.
SLOW_RECORD = """
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE UPDATE ON monarch_history.journal FOR EACH ROW
        WHEN (NEW.key LIKE '%two%' AND NEW.outcome = 'Completed') EXECUTE FUNCTION slow()
"""


def test_a_signal_while_one_is_recorded_stops_before_the_next(billing: Billing) -> None:
    made = UndoableInPostgres(billing)
    keys = [made.migration("one"), made.migration("two")]
    made.run("migrate", "dev")
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute(SLOW_RECORD)
    run = made.folder.start("rollback", "dev", "--steps", "2", "--yes")
    try:
        while not billing.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130
    assert f"Interrupted. {keys[1]} is rolled back on 'dev'; nothing ran after it. Rolled" in err
    assert f"Rolled back and recorded: 1 of 2 migrations. Left: {keys[0]}.\n" in err
    assert "Hint: To roll back the rest too: monarch rollback dev --steps 1\n" in err
    assert made.states() == {keys[0]: "Completed", keys[1]: "New"}


def test_all_are_checked_before_the_first(made: UndoableInMongo) -> None:
    keys = [made.migration("one", can=False), made.migration("two"), made.migration("three")]
    made.run("migrate", "dev")
    result = made.folder.invoke("rollback", "dev", "--steps", "3", "--yes")
    assert result.code == 1
    assert f"{keys[0]}: no rollback(), so these 3 migrations cannot be rolled back." in result.err
    assert f"monarch mark dev {keys[0]} --as new" in result.err
    path = made.folder.path / "migrations" / f"{keys[1]}.py"
    text = path.read_text()
    path.write_text(f"import nothing_like_this\n{text}")
    result = made.folder.invoke("rollback", "dev", "--steps", "2", "--yes")
    assert result.code == 2
    assert "nothing_like_this" in result.err
    path.unlink()
    result = made.folder.invoke("rollback", "dev", "--steps", "2", "--yes")
    assert result.code == 1
    assert f"{keys[1]} has run on 'dev', and its file is not here. Nothing was rolled back." in result.err
    assert made.completed() == keys
    assert made.undone() == []
    # The file of the one that stays is not needed.
    made.run("rollback", "dev", "--to", "two", "--yes")
    assert made.undone() == ["three"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["one", "--to", "one"], "MIGRATION and --to both say", "--to, --steps and --batch undo several"),
        (["one", "--batch"], "MIGRATION and --batch both say", "Use one of them"),
        (["--to", "one", "--steps", "1"], "--to and --steps both say", "Use one of them"),
        (["--steps", "1", "--batch"], "--steps and --batch both say", "Use one of them"),
        (["--steps", "0"], "'0' is not a whole number from 1.", ""),
        (["--steps", "-1"], "'-1' is not a whole number from 1.", ""),
        (["--to", "", "--yes"], "There is no migration ''.", "There is"),
        (["one", "--to", ""], "MIGRATION and --to both say", "Use one of them"),
        (["--to", "onee", "--yes"], "There is no migration 'onee'.", "Did you mean"),
        (
            ["--to", "two", "--yes"],
            "_two_migration has not run on 'dev', so nothing can go back",
            "Choose one",
        ),
        (["--json"], "--json is for --plan.", "Add --plan"),
        (["--batch"], "This needs a confirmation: Roll back these migrations on dev", "--yes"),
    ],
    ids=[
        "one-to",
        "one-batch",
        "to-steps",
        "steps-batch",
        "zero",
        "minus",
        "empty",
        "one-empty",
        "unknown",
        "new",
        "json",
        "ask",
    ],
)
def test_bad_input_changes_nothing(made: UndoableInMongo, words: list[str], message: str, hint: str) -> None:
    one = made.migration("one")
    made.run("migrate", "dev")
    made.migration("two")
    before = made.folder.database.mongo_migration_journal.count_documents({})
    result = made.folder.invoke("rollback", "dev", *words)
    assert result.code in (1, 2)
    assert message in result.err
    assert hint in result.err
    assert made.completed() == [one]
    assert made.folder.database.mongo_migration_journal.count_documents({}) == before


def test_repeatable_ones_are_undone_first(both: Undoable) -> None:
    both.migration("one")
    both.migration("view", top="repeatable = True")
    both.migration("two")
    both.run("migrate", "dev")
    assert both.lines() == ["+one", "+two", "+view"]
    plan = both.run("rollback", "dev", "--to", "one", "--plan", "--json").json["migrations"]
    assert [(row["key"][14:18], row["repeatable"]) for row in plan] == [("view", True), ("two_", False)]
    both.run("rollback", "dev", "--to", "one", "--yes")
    assert both.undone() == ["view", "two"]


def test_what_was_marked_by_hand_is_no_part_of_a_batch(both: Undoable) -> None:
    marked, one = both.migration("marked"), both.migration("one")
    both.run("mark", "dev", "marked", "one", "--as", "completed")
    result = both.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert result.code == 1
    assert "does not say what the last run of migrate did: all were marked by hand" in result.err
    assert "Use --to MIGRATION or --steps N" in result.err
    both.run("mark", "dev", "one", "--as", "new")
    both.run("migrate", "dev")
    rows = both.run("rollback", "dev", "--steps", "2", "--plan", "--json").json["migrations"]
    assert [(row["key"], row["marked_by_hand"]) for row in rows] == [(one, False), (marked, True)]
    both.run("rollback", "dev", "--batch", "--yes")
    assert both.undone() == ["one"]
    assert both.completed() == [marked]
    both.run("mark", "dev", "one", "--as", "completed")  # again, after its run was undone
    result = both.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert (result.code, "all were marked by hand, none was run" in result.err) == (1, True)


def test_a_history_of_an_older_monarch_does_not_tell_its_runs_apart(made: UndoableInMongo) -> None:
    one = made.migration("one")
    made.run("migrate", "dev")
    made.folder.database.mongo_migration_journal.drop()
    result = made.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert result.code == 1
    assert f"an older monarch ran {one}, or a copy or a restore brought it." in result.err
    two = made.migration("two")
    made.run("migrate", "dev")
    made.run("rollback", "dev", "--batch", "--yes")  # the older one is older than the last run
    assert made.undone() == ["two"]
    made.run("migrate", "dev")
    three = made.migration("three")
    made.folder.database.mongo_migration_history.insert_one(
        {"key": three, "state": "Completed", "processed_at": datetime.now(UTC) + timedelta(minutes=1)}
    )
    result = made.folder.invoke("rollback", "dev", "--batch", "--yes")  # newer than the last run
    assert (result.code, f"an older monarch ran {three}" in result.err) == (1, True)
    made.run("mark", "dev", three, "--as", "new")
    made.folder.database.mongo_migration_journal.update_many({"key": two}, {"$unset": {"run": 1}})
    result = made.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert (result.code, "an older monarch ran" in result.err) == (1, True)
    made.run("rollback", "dev", "--steps", "2", "--yes")
    assert made.completed() == []


def test_in_mongodb_a_copy_brings_the_last_run(two: TwoEnvironments) -> None:
    made = UndoableInMongo(two.folder)
    for name in ("one", "two", "three"):
        made.migration(name)
    made.run("migrate", "production", "--to", "one", "--yes")
    made.run("migrate", "dev")
    made.run("migrate", "production", "--yes")
    made.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert made.run("rollback", "dev", "--batch", "-n").out.startswith("The last run on production by ")
    plan = made.run("rollback", "dev", "--batch", "--plan", "--json").json["migrations"]
    assert [row["key"][14:-10] for row in plan] == ["three", "two"]


def test_in_postgresql_a_copy_brings_states_of_which_no_run_is_known(billing: Billing) -> None:
    made, other = UndoableInPostgres(billing), f"t_{uuid.uuid4().hex}"
    billing.postgres.create(other)
    try:
        uris = {
            name: {"uri": billing.postgres.uri(db)} for name, db in (("a", billing.db_name), ("b", other))
        }
        made.folder.settings(**uris)
        one = made.migration("one")
        made.run("migrate", "a")
        made.run("migrate", "b")  # on what is replaced
        made.run("copy_db", "a:b", "--yes")
        result = made.folder.invoke("rollback", "b", "--batch", "--yes")
        assert result.code == 1
        assert f"an older monarch ran {one}, or a copy or a restore brought it." in result.err
        made.migration("two")
        made.run("migrate", "b")
        plan = made.run("rollback", "b", "--batch", "--plan", "--json").json["migrations"]
        assert [row["key"][14:-10] for row in plan] == ["two"]
    finally:
        billing.postgres.drop(other)


def test_runs_without_an_id_in_postgresql(billing: Billing) -> None:
    made = UndoableInPostgres(billing)
    one = made.migration("one")
    made.run("migrate", "dev")
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("UPDATE monarch_history.journal SET process = process - 'run'")
    result = made.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert (result.code, f"an older monarch ran {one}" in result.err) == (1, True)


def test_a_run_that_loses_its_lease_stops_between_two(made: UndoableInMongo) -> None:
    keys = [
        made.migration("one"),
        made.migration("two", undo=SLOW.replace("60", "3")),
        made.migration("three"),
    ]
    made.run("migrate", "dev")
    run = made.folder.start("rollback", "dev", "--steps", "3", "--yes")
    await_line(run, "undoing")
    made.run("unlock", "dev", "--yes")
    _, err = run.communicate(timeout=60)
    assert run.returncode == 4
    assert "This run has lost the lease of 'dev'" in err
    assert f"Rolled back and recorded: 1 of 3 migrations. Left: {keys[1]}, {keys[0]}.\n" in err
    assert "To roll back the rest too: monarch rollback dev --steps 2\n" in err
    plan = made.run("rollback", "dev", "--steps", "2", "--plan", "--json").json["migrations"]
    assert [row["state"] for row in plan] == ["Interrupted", "Completed"]


def test_a_migration_that_failed_blocks_them(made: UndoableInMongo) -> None:
    keys = [made.migration("one"), made.migration("two")]
    edit(made.folder, keys[1], made.log("+two"), "raise ValueError('no')")
    made.folder.invoke("migrate", "dev")
    for words in (("--batch",), ("--steps", "1"), ("--to", "one")):
        result = made.folder.invoke("rollback", "dev", *words, "--yes")
        assert result.code == 1
        assert f"{keys[1]} failed on 'dev'" in result.err
    assert made.completed() == keys[:1]


def test_an_unfinished_rollback_that_is_not_among_them_comes_first(made: UndoableInMongo) -> None:
    keys = [made.migration("one", undo="raise ValueError('no')"), made.migration("two")]
    keys.append(made.migration("three"))
    made.run("migrate", "dev")
    assert made.folder.invoke("rollback", "dev", "one").code == 1
    result = made.folder.invoke("rollback", "dev", "--to", "two", "--yes")
    assert result.code == 1
    assert f"Fix it, then run `monarch rollback dev {keys[0]}`" in result.err
    result = made.folder.invoke("rollback", "dev", "--to", "one", "--yes")
    assert f"{keys[0]} has been rolled back in part on 'dev', so it cannot stay." in result.err
    plan = made.run("rollback", "dev", "--steps", "2", "--plan", "--json").json["migrations"]
    assert [row["key"] for row in plan] == [keys[0], keys[2]]
    assert made.completed() == keys[1:]


def test_the_plan_changes_nothing(both: Undoable) -> None:
    keys = [both.migration("one"), both.migration("two", can=True)]
    both.run("migrate", "dev")
    path = both.folder.path / "migrations" / f"{keys[0]}.py"
    path.write_text(path.read_text() + "\n# edited\n")
    history = both.run("history", "dev", "--json").json
    for words in ((), ("two",), ("--to", "one"), ("--steps", "2"), ("--batch",)):
        text = both.run("rollback", "dev", *words, "--plan").out
        assert text.endswith("Nothing was changed.\n")
        assert keys[1] in text
        assert "There is no backup of it: the settings have no BACKUPS." in text
        assert (" holds " in text, "would be rolled back on dev, in this order." in text) == (True, True)
        plan = both.run("rollback", "dev", *words, "-n", "--json").json
        assert plan["target"]["environment"] == "dev"
        assert plan["migrations"][0]["key"] == keys[1]
    assert "file edited since it ran" in both.run("rollback", "dev", "--dry-run", "--batch").out
    assert both.run("history", "dev", "--json").json == history
    assert both.undone() == []


def test_the_plan_comes_before_the_question(made: UndoableInMongo) -> None:
    keys = [made.migration("one"), made.migration("two")]
    made.run("migrate", "dev")
    terminal = made.folder.terminal("rollback", "dev", "--steps", "2", columns=200)
    terminal.expect_exact("2 migrations would be rolled back on dev, in this order.")
    assert re.findall(r"\d{12}_\w+", terminal.before or "") == [shown_key(key) for key in keys[::-1]]
    terminal.expect_exact("the settings have no BACKUPS")
    terminal.expect_exact("Roll back these migrations on dev: are you SURE?")
    terminal.sendline("n")
    code, output = end(terminal)
    assert (code, "Nothing was changed." in output) == (1, True)
    assert made.completed() == keys
    terminal = made.folder.terminal("rollback", "production", "--batch", columns=200)
    terminal.expect_exact("2 migrations would be rolled back on production, in this order.")
    solve(terminal)
    code, output = end(terminal)
    assert code == 0, output
    assert "are you SURE" not in output
    assert made.undone() == ["two", "one"]


def test_what_has_changed_since_the_plan_is_not_undone(made: UndoableInMongo) -> None:
    keys = [made.migration("one"), made.migration("two")]
    made.run("migrate", "dev")
    project = Project(made.folder.path)
    shown: list[tuple[str, ...]] = []

    def meanwhile() -> None:
        project.rollback("dev")

    with pytest.raises(MigrationError, match="other migrations would be rolled back than before"):
        project.rollback_several(
            "dev", to="one", confirm=meanwhile, preview=lambda found: shown.append(found.plan.keys)
        )
    assert shown == [(keys[1],)]
    assert made.undone() == ["two"]
    with pytest.raises(MigrationError, match="Only 1 of 2"):
        project.rollback_several("dev", steps=2)


def test_a_lease_that_another_run_holds_is_waited_for_by_nobody(made: UndoableInMongo) -> None:
    made.migration("one")
    made.run("migrate", "dev")
    slow = made.folder.migration("slow", "print('working', flush=True)\nimport time\ntime.sleep(60)")
    run = made.folder.start("migrate", "dev")
    try:
        await_line(run, "working")
        result = made.folder.invoke("rollback", "dev", "--steps", "1", "--yes")
        assert result.code == 4
        assert f"{slow} is being run on 'dev'" in result.err
    finally:
        run.kill()
        run.communicate()
    assert made.undone() == []


HOOKS = """
def note(*what):
    with open("hooks.txt", "a") as file:
        print(*what, file=file)

def before_rollback(context):
    note("before", context.command, *context.migrations)

def after_rollback(context, result):
    note("after", *(one.key for one in result.done))

def on_failure(context, error):
    note("failure", context.command, type(error).__name__)
"""


def hooked(made: Undoable) -> list[str]:
    path = made.folder.path / "hooks.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_hooks_are_called_once_around_all(both: Undoable) -> None:
    keys = [
        both.migration("one", undo="raise ValueError('no')"),
        both.migration("two"),
        both.migration("three"),
    ]
    both.run("migrate", "dev")
    settings = both.folder.path / "migrations/settings.py"
    settings.write_text(settings.read_text() + HOOKS)
    both.run("rollback", "dev", "--to", "one", "--plan")
    both.run("rollback", "dev", "--to", "three", "--yes")
    assert hooked(both) == []
    both.run("rollback", "dev", "--to", "one", "--yes")
    assert hooked(both) == [f"before rollback {keys[2]} {keys[1]}", f"after {keys[2]} {keys[1]}"]
    assert both.folder.invoke("rollback", "dev").code == 1
    assert hooked(both) == [f"before rollback {keys[0]}", "failure rollback MigrationFailed"]


def test_a_hook_that_fails_before_stops_and_one_after_is_reported(made: UndoableInMongo) -> None:
    keys = [made.migration("one"), made.migration("two")]
    made.run("migrate", "dev")
    settings = made.folder.path / "migrations/settings.py"
    before = settings.read_text()
    settings.write_text(before + "def before_rollback(context): raise RuntimeError('not now')\n")
    result = made.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert result.code == 1
    assert "before_rollback() failed: RuntimeError: not now. Nothing was rolled back.\n" in result.err
    assert made.completed() == keys
    settings.write_text(before + "def after_rollback(context, result): raise RuntimeError('no chat')\n")
    result = made.folder.invoke("rollback", "dev", "--batch", "--yes")
    assert result.code == 1
    assert "after_rollback() failed: RuntimeError: no chat. What was selected is rolled back" in result.err
    assert "Left:" not in result.err
    assert made.completed() == []
