"""``migrate``, ``migrate_one`` and ``list_migrations``, on a real server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.runs.shell import Folder

INSERT = "self.database.ran.insert_one({'by': type(self).__name__})"


def ran_by(project: Folder) -> list[str]:
    return [row["by"] for row in project.database.ran.find(sort=[("_id", 1)])]


def await_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} was never printed")


def test_pending_migrations_run_once_and_in_order(project: Folder) -> None:
    keys = [project.migration(name, INSERT) for name in ("one", "two", "three")]
    result = project.monarch("migrate", "dev")
    assert (result.code, result.err) == (0, "")
    assert [line[3:] for line in result.out.splitlines() if line.startswith("-> ")] == keys
    assert "3 migrations done" in result.out
    again = project.monarch("migrate", "dev")
    assert again.code == 0
    assert "Nothing to do: dev has run everything (3 migrations)." in again.out
    assert ran_by(project) == ["OneMigration", "TwoMigration", "ThreeMigration"]
    assert project.states() == dict.fromkeys(keys, "Completed")


def test_the_history_has_the_original_format_and_current_times(project: Folder) -> None:
    key = project.migration("one")
    project.monarch("migrate", "dev")
    (document,) = project.database.mongo_migration_history.find()
    assert set(document) == {"_id", "key", "state", "processed_at"}
    assert (document["key"], document["state"]) == (key, "Completed")
    assert abs((datetime.now(UTC).replace(tzinfo=None) - document["processed_at"]).total_seconds()) < 60


def test_every_attempt_is_in_the_journal(project: Folder) -> None:
    key = project.migration("one", "raise ValueError('not yet')")
    project.monarch("migrate", "dev")
    project.migration("one", "pass", stamp=key[1:13])
    project.monarch("migrate_one", "one", "dev")
    failed, completed = project.database.mongo_migration_journal.find(sort=[("started_at", 1)])
    assert failed["outcome"] == "Failed"
    assert "not yet" in failed["error"]
    assert "Traceback (most recent call last)" in failed["traceback"]
    assert completed["outcome"] == "Completed"
    for attempt in (failed, completed):
        assert attempt["key"] == key
        assert attempt["started_at"] <= attempt["finished_at"]
        assert {"host", "user", "pid", "monarch"} <= set(attempt)


def test_the_attributes_of_a_migration(project: Folder) -> None:
    assert project.server is not None
    project.migration(
        "look",
        """
        from pymongo import MongoClient
        self.database.seen.insert_one({
            'database': self.database.name,
            'environment': self.environment.name,
            'hello': self.client.admin.command('ping')['ok'],
            'uri': MongoClient(self.uri).get_default_database().name,
            'users': MongoClient(self.uri).admin.command('connectionStatus')['authInfo'],
        })
        with progressbar([1, 2]) as bar:
            for _ in bar:
                echo('tick')
        """,
    )
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.output
    assert result.out.count("tick") == 2
    seen = project.database.seen.find_one()
    assert seen is not None
    assert (seen["database"], seen["uri"]) == (project.db_name, project.db_name)
    assert seen["environment"] == "dev"
    assert seen["users"]["authenticatedUsers"][0]["user"] == project.server.user


def test_a_failure_is_one_line_with_file_and_line_and_a_hint(project: Folder) -> None:
    first = project.migration("first", INSERT)
    broken = project.migration("broken", "x = 1\nraise ValueError('no such\\nthing')")
    later = project.migration("later", INSERT)
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    error, hint = result.err.splitlines()
    assert error == (
        f"Error: {broken} failed on 'dev': ValueError: no such thing (migrations/{broken}.py, line 7)"
    )
    assert f"monarch migrate_one {broken} dev" in hint
    assert "Traceback" not in result.output
    assert project.states() == {first: "Completed", broken: "Failed"}
    assert ran_by(project) == ["FirstMigration"]
    # It blocks later migrations …
    again = project.monarch("migrate", "dev")
    assert again.code == 1
    assert f"{broken} failed on 'dev'" in again.err
    assert f"ValueError: no such thing (migrations/{broken}.py, line 7)" in again.err
    assert "monarch migrate dev --retry" in again.err
    assert later not in project.states()
    # … until it is resolved, in either of the two ways that the hint names.
    project.migration("broken", INSERT, stamp=broken[1:13])
    assert project.monarch("migrate", "dev", "--retry").code == 0
    assert project.states() == dict.fromkeys((first, broken, later), "Completed")


def test_traceback_shows_the_complete_traceback(project: Folder) -> None:
    project.migration("broken", "raise ValueError('no')")
    for arguments in (("--traceback", "migrate", "dev"), ("migrate", "dev", "--retry", "--traceback")):
        result = project.monarch(*arguments)
        assert result.code == 1
        assert "Traceback (most recent call last)" in result.err
        assert "raise ValueError('no')" in result.err


@pytest.mark.parametrize("body", ["raise SystemExit(0)", "import sys\nsys.exit()", "exit(0)"])
def test_a_migration_that_exits_is_not_a_success(project: Folder, body: str) -> None:
    key = project.migration("leaves", body)
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert "SystemExit" in result.err
    assert project.states() == {key: "Failed"}


def test_an_unchanged_template_is_refused(project: Folder) -> None:
    project.monarch("generate", "todo")
    for command in (["migrate", "dev"], ["migrate_one", "todo", "dev"]):
        result = project.monarch(*command)
        assert result.code == 2
        assert "is as `monarch generate` wrote it" in result.err
        assert "Hint: Write the migration in run(), or delete the file. Nothing has run." in result.err
    assert project.database.list_collection_names() == []


def test_a_broken_file_stops_the_run_before_it_begins(project: Folder) -> None:
    project.migration("first", INSERT)
    project.write("migrations/_209901010000_second_migration.py", "import nothing_of_the_kind")
    result = project.monarch("migrate", "dev")
    assert result.code == 2
    assert "No module named 'nothing_of_the_kind' (migrations/_209901010000_second_migration.py, line 1)" in (
        result.err
    )
    assert project.database.list_collection_names() == []


@pytest.mark.parametrize(
    "command", [["migrate", "dev"], ["migrate_one", "one", "dev"], ["list_migrations", "dev"]]
)
def test_a_file_that_looks_like_a_migration_is_reported_as_an_error(
    project: Folder, command: list[str]
) -> None:
    project.migration("one")
    project.write("migrations/201405290038_two.py", "")
    result = project.monarch(*command)
    assert result.code == 2
    assert "migrations/201405290038_two.py looks like a migration" in result.err
    assert project.database.list_collection_names() == []


def test_migrate_one_runs_a_migration_in_any_state(project: Folder) -> None:
    key = project.migration("one", INSERT)
    for wanted in (key, f"migrations/{key}.py", "one"):
        assert project.monarch("migrate_one", wanted, "dev").code == 0
    assert len(ran_by(project)) == 3
    result = project.monarch("migrate_one", "onne", "dev")
    assert result.code == 2
    assert "Did you mean 'one'?" in result.err


def test_a_project_without_migrations_is_reported(project: Folder) -> None:
    result = project.monarch("migrate", "dev")
    assert result.code == 0
    assert "there are no migrations yet" in result.out
    assert "No migrations yet" in project.monarch("list_migrations", "dev").out


def test_the_wrong_folder_is_an_error(project: Folder) -> None:
    key = project.migration("one")
    project.monarch("migrate", "dev")
    (project.path / "migrations" / f"{key}.py").unlink()
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert "There are no migrations here, but 'dev' has run 1." in result.err


def test_a_migration_that_is_only_in_the_database_is_reported(project: Folder) -> None:
    key = project.migration("one")
    project.migration("two")
    project.monarch("migrate", "dev")
    (project.path / "migrations" / f"{key}.py").unlink()
    result = project.monarch("migrate", "dev")
    assert result.code == 0
    assert f"Note: dev has run {key}, which is not in this checkout." in result.err
    assert re.search(rf"{key} +Completed, file missing", project.monarch("list_migrations", "dev").out)


def test_list_migrations(project: Folder) -> None:
    one, two = project.migration("one"), project.migration("two", "raise ValueError")
    three = project.migration("three")
    project.monarch("migrate", "dev")
    result = project.monarch("list_migrations", "dev")
    assert result.code == 0
    heading, *rows = result.out.splitlines()
    assert heading.split() == ["MIGRATION", "STATE", "PROCESSED", "AT", "(UTC)"]
    assert [row.split()[:2] for row in rows] == [[one, "Completed"], [two, "Failed"], [three, "New"]]
    assert "\x1b" not in result.out
    listed = project.monarch("list_migrations", "dev", "--json").json
    assert [row["state"] for row in listed] == ["Completed", "Failed", "New"]
    assert datetime.fromisoformat(listed[0]["processed_at"]).tzinfo is not None
    assert listed[2] == {
        "key": three,
        "state": "New",
        "processed_at": None,
        "file": f"migrations/{three}.py",
        **dict.fromkeys(("late", "edited", "gone", "changed"), False),
        "attempts": [],
    }
    (attempt,) = listed[1]["attempts"]
    assert (attempt["action"], attempt["outcome"]) == ("run", "Failed")
    assert "ValueError" in attempt["traceback"]


def test_an_upgrade_reads_the_history_of_the_original(project: Folder) -> None:
    """The history is as the original's mongoengine document wrote it, with two records if two runs raced."""
    done, failed, new = (project.migration(name, INSERT) for name in ("done", "failed", "new"))
    when = datetime(2014, 5, 29, 0, 38, 1, 123000)
    before: list[dict[str, Any]] = [
        {"key": done, "state": "Completed", "processed_at": when},
        {"key": done, "state": "Processing", "processed_at": when},
        {"key": failed, "state": "Failed", "processed_at": when},
        {"key": new, "state": "New", "processed_at": None},
    ]
    project.database.mongo_migration_history.insert_many(before)
    listed = project.monarch("list_migrations", "dev", "--json").json
    assert [row["state"] for row in listed] == ["Completed", "Failed", "New"]
    assert listed[0]["processed_at"] == "2014-05-29T00:38:01.123Z"
    assert list(project.database.mongo_migration_history.find()) == before
    assert project.monarch("migrate", "dev").code == 1
    assert project.monarch("migrate", "dev", "--retry").code == 0
    assert ran_by(project) == ["FailedMigration", "NewMigration"]
    assert set(project.states().values()) <= {"Completed", "Processing"}
    assert project.monarch("migrate", "dev").out.startswith("Nothing to do")


def test_an_unknown_state_stops_everything(project: Folder) -> None:
    key = project.migration("one", INSERT)
    project.database.mongo_migration_history.insert_one({"key": key, "state": "Squashed"})
    result = project.monarch("migrate", "dev")
    assert result.code == 5
    assert f"says 'Squashed' of {key}" in result.err
    assert ran_by(project) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_recorded_and_ends_with_130(project: Folder, number: signal.Signals) -> None:
    # Python may miss a signal that comes when a long sleep is about to begin.
    key = project.migration("slow", "echo('working')\nimport time\nwhile True: time.sleep(0.1)")
    later = project.migration("later", INSERT)
    process = project.start("migrate", "dev")
    await_line(process, "working")
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert f"Error: {key} was interrupted on 'dev', and recorded as interrupted." in err
    assert "To continue: monarch migrate dev --retry" in err
    assert "Traceback" not in err
    assert project.states() == {key: "Failed"}
    (attempt,) = project.database.mongo_migration_journal.find()
    assert attempt["outcome"] == "Interrupted"
    assert project.monarch("migrate", "dev").code == 1
    assert later not in project.states()


def test_a_killed_run_leaves_processing_and_blocks_later_migrations(project: Folder) -> None:
    key = project.migration("slow", "echo('working')\nimport time\nwhile True: time.sleep(0.1)")
    project.migration("later", INSERT)
    process = project.start("migrate", "dev")
    await_line(process, "working")
    process.kill()
    process.communicate()
    assert project.states() == {key: "Processing"}
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert (
        f"{key} is Interrupted: it was left in Processing on 'dev' by process {process.pid} of " in result.err
    )
    assert [row["state"] for row in project.monarch("list_migrations", "dev", "--json").json] == [
        "Interrupted",
        "New",
    ]
    assert f"monarch migrate_one {key} dev" in result.err
    assert ran_by(project) == []
    project.migration("slow", INSERT, stamp=key[1:13])
    assert project.monarch("migrate", "dev", "--retry").code == 0
    assert ran_by(project) == ["SlowMigration", "LaterMigration"]


def test_each_migration_runs_in_one_of_many_concurrent_runs(project: Folder) -> None:
    for number in range(5):
        project.migration(f"m{number}", INSERT + "\nimport time\ntime.sleep(0.05)")
    processes = [project.start("migrate", "dev") for _ in range(6)]
    ends = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert sorted(ran_by(project)) == [f"M{number}Migration" for number in range(5)]
    for _, err, code in ends:
        assert code in (0, 4), err
        assert "Traceback" not in err
    assert 0 in [code for _, _, code in ends]


def test_a_migration_that_drops_its_database_is_not_completed(project: Folder) -> None:
    project.migration("drops", "self.client.drop_database(self.database.name)")
    result = project.monarch("migrate", "dev")
    assert result.code == 5
    assert "monarch_lease, with which this run held 'dev', has vanished from it." in result.err


def test_a_migration_that_drops_only_the_history_is_not_completed(project: Folder) -> None:
    project.migration("drops", "self.database.mongo_migration_history.drop()")
    result = project.monarch("migrate", "dev")
    assert result.code == 5
    assert "has vanished from mongo_migration_history, or was changed" in result.err


def test_an_error_whose_text_fails_is_recorded(project: Folder) -> None:
    key = project.migration(
        "odd",
        """
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError
        raise Odd
        """,
    )
    assert project.monarch("migrate", "dev").code == 1
    assert project.states() == {key: "Failed"}


def test_the_file_is_loaded_once_and_only_if_it_runs(project: Folder) -> None:
    done = project.migration("done")
    project.monarch("migrate", "dev")
    path = project.path / "migrations" / f"{done}.py"
    path.write_text("raise RuntimeError('imported')")
    assert project.monarch("migrate", "dev").code == 0
    assert project.monarch("list_migrations", "dev").code == 0
    new = project.migration("new")
    path = project.path / "migrations" / f"{new}.py"
    path.write_text("print('imported')\n" + path.read_text())
    assert project.monarch("migrate", "dev").out.count("imported") == 1


def test_a_closed_pipe_is_not_an_error(project: Folder) -> None:
    for number in range(50):
        project.migration(f"m{number}")
    process = project.start("list_migrations", "dev")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait()


def test_a_run_whose_output_nobody_reads_stops_between_migrations(project: Folder) -> None:
    keys = [project.migration(f"m{number}", INSERT) for number in range(5)]
    # The third one ends after the pipe is closed.
    wait = "while self.database.closed.find_one() is None: time.sleep(0.02)"
    project.migration("m2", f"{INSERT}\nimport time\n{wait}", stamp=keys[2][1:13])
    process = project.start("migrate", "dev")
    await_line(process, keys[1])
    assert process.stdout is not None
    process.stdout.close()
    project.database.closed.insert_one({})
    assert process.stderr is not None
    error, hint = process.stderr.read().splitlines()
    assert process.wait() == 1
    assert "The output cannot be written (Broken pipe), so the run has stopped." in error
    assert "monarch list_migrations" in hint
    states = project.states()
    assert 2 <= len(states) < 5
    assert set(states.values()) == {"Completed"}


def test_a_traceback_that_the_database_would_refuse_is_recorded(project: Folder) -> None:
    key = project.migration("odd", "raise ValueError('\\ud800' + 'x' * 20_000_000)")
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert project.states() == {key: "Failed"}
    attempt = project.database.mongo_migration_journal.find_one()
    assert attempt is not None
    assert "\\ud800" in attempt["traceback"]
    assert attempt["outcome"] == "Failed"


def test_a_migration_of_another_run_is_not_touched(project: Folder) -> None:
    key = project.migration("slow", INSERT + "\necho('working')\nimport time\nwhile True: time.sleep(0.1)")
    process = project.start("migrate", "dev")
    await_line(process, "working")
    for command in (
        ["migrate", "dev", "--no-wait"],
        ["migrate", "dev", "--retry", "--no-wait"],
        ["migrate_one", "slow", "dev"],
        ["drop_db", "dev", "--yes"],
    ):
        result = project.monarch(*command)
        assert result.code == 4, result.output
        assert f"{key} is being run on 'dev' by process {process.pid} of " in result.err
        assert command[0] == "drop_db" or "If it hangs, end that process" in result.err
    process.terminate()
    process.communicate()
    assert ran_by(project) == ["SlowMigration"]
    # A process id that is reused by another process does not block the migration.
    project.database.mongo_migration_history.update_one({"key": key}, {"$set": {"state": "Processing"}})
    project.database.mongo_migration_journal.update_many(
        {}, {"$set": {"pid": os.getpid(), "pid_began": 1}, "$unset": {"outcome": 1}}
    )
    assert project.monarch("migrate", "dev").code == 1
    # Processes of other machines are invisible from here: the migration is reported, and retried on request.
    project.database.mongo_migration_journal.update_many({}, {"$set": {"host": "far-away", "user": "ann"}})
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert f"by process {os.getpid()} of ann on far-away" in result.err


def test_a_file_that_has_changed_since_is_named(project: Folder) -> None:
    key = project.migration("broken", "raise ValueError('no')")
    assert project.monarch("migrate", "dev").code == 1
    result = project.monarch("migrate", "dev")
    assert "line 6)" in result.err
    assert "has changed" not in result.err
    path = project.path / f"migrations/{key}.py"
    path.write_text(f"# fixed\n{path.read_text()}")
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert "line 6) (The file has changed since.)" in result.err


def test_a_class_without_run_is_detected_before_anything_runs(project: Folder) -> None:
    project.migration("first", INSERT)
    source = "from monarch import Migration\nclass A(Migration):\n    def runn(self): ..."
    project.write("migrations/_209901010000_a_migration.py", source)
    result = project.monarch("migrate", "dev")
    assert result.code == 2
    assert "class A has no run()" in result.err
    assert ran_by(project) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_migration_catches_still_ends_the_run(
    project: Folder, number: signal.Signals
) -> None:
    body = (
        "import time\necho('working')\nfor _ in range(8):\n    try:\n        time.sleep(.1)\n    except: pass"
    )
    key = project.migration("stubborn", body)
    project.migration("later", INSERT)
    process = project.start("migrate", "dev")
    await_line(process, "working")
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert project.states() == {key: "Failed"}
    assert ran_by(project) == []


def test_one_of_two_concurrent_retries_of_a_dead_run_runs(project: Folder) -> None:
    key = project.migration("slow", INSERT + "\nimport time\ntime.sleep(1)")
    project.database.mongo_migration_history.insert_one(
        {"key": key, "state": "Processing", "processed_at": datetime(2014, 5, 29)}
    )
    processes = [project.start("migrate", "dev", "--retry") for _ in range(4)]
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert ran_by(project) == ["SlowMigration"]


def test_a_migration_may_close_its_client(project: Folder) -> None:
    key = project.migration("closes", INSERT + "\nself.client.close()")
    result = project.monarch("migrate", "dev")
    assert result.code == 0
    assert project.states() == {key: "Completed"}


def test_a_migration_that_ran_but_could_not_be_recorded_is_reported_as_such(project: Folder) -> None:
    body = INSERT + "\nself.database.command('collMod', 'mongo_migration_history', validator={'no': 1})"
    key = project.migration("forbids", body)
    result = project.monarch("migrate", "dev")
    assert result.code == 5
    assert f"{key} has run to its end on 'dev', but that could not be recorded" in result.err
    assert "before you run it a second time" in result.err
