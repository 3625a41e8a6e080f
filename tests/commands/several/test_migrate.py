"""``migrate``, ``check`` and ``list_migrations`` of several environments, each with its own history."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pexpect
import psutil
import pytest

from tests.support.runs.billing import make_billing
from tests.support.runs.shell import MONARCH, CommandResult, Folder
from tests.support.servers.mongod import Server
from tests.support.servers.postgres import PostgresServer

RUN = """
    import time
    print("hello from", self.database.name)
    self.database.ran.insert_one({"_id": 1})
    if self.database.wait.find_one() is not None:
        for _ in range(600): time.sleep(0.1)
    if self.database.fail.find_one() is not None:
        raise ValueError("no luck here")
    """


class Fleet:
    """A project with the environments eu-1 to eu-4 and us-1, each with a database of its own."""

    names = ("eu-1", "eu-2", "eu-3", "eu-4", "us-1")

    def __init__(self, folder: Folder, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.client = server.client()
        self.entries: dict[str, dict[str, Any]] = {
            name: {"uri": server.uri, "db_name": self.database(name)} for name in self.names
        }
        folder.settings(**self.entries)
        folder.migration("one", RUN)

    def database(self, name: str) -> str:
        return f"{self.folder.db_name}_{name}"

    def flag(self, name: str, what: str) -> None:
        """Let the migration ``fail`` or ``wait`` on the environment ``name``."""
        self.client[self.database(name)][what].insert_one({})

    def states(self) -> dict[str, str]:
        """The state of the migration on each environment that has one."""
        found = {}
        for name in self.names:
            for row in self.client[self.database(name)].mongo_migration_history.find():
                found[name] = row["state"]
        return found

    def run(self, *arguments: str) -> CommandResult:
        return self.folder.monarch(*arguments)

    def await_start(self, name: str) -> None:
        """Wait until the migration runs on the environment ``name``."""
        end = time.monotonic() + 60
        while self.client[self.database(name)].ran.find_one() is None:
            assert time.monotonic() < end
            time.sleep(0.05)

    def await_state(self, name: str, state: str) -> None:
        end = time.monotonic() + 60
        while self.states().get(name) != state:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture
def fleet(folder: Folder, server: Server) -> Iterator[Fleet]:
    made = Fleet(folder, server)
    yield made
    with made.client:
        for name in made.client.list_database_names():
            if name.startswith(folder.db_name):
                made.client.drop_database(name)


def rows(result: CommandResult) -> dict[str, str]:
    """What the table at the end says of each environment."""
    found = re.findall(r"^(\S+) +(migrated|nothing to do|FAILED|not begun|interrupted)\b", result.out, re.M)
    return dict(found)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_pattern_means_all_of_them(fleet: Fleet, jobs: str) -> None:
    done = fleet.run("migrate", "eu-*", "--jobs", jobs)
    assert done.code == 0, done
    assert rows(done) == dict.fromkeys(fleet.names[:4], "migrated")
    assert list(rows(done)) == list(fleet.names[:4])
    assert "4 migrations done on 4 databases." in done.out
    assert fleet.states() == dict.fromkeys(fleet.names[:4], "Completed")
    again = fleet.run("migrate", "eu-*", "us-1", "eu-1", "--jobs", jobs)
    assert rows(again) == {**dict.fromkeys(fleet.names[:4], "nothing to do"), "us-1": "migrated"}
    assert f"hello from {fleet.database('us-1')}" in again.output
    nothing = fleet.run("migrate", "*", "--jobs", jobs)
    assert (nothing.code, nothing.out.splitlines()[-1]) == (
        0,
        "Nothing to do: 5 databases have run everything.",
    )


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_it_stops_at_the_first_failure(fleet: Fleet, jobs: str) -> None:
    fleet.flag("eu-1", "fail")
    if jobs == "2":
        fleet.flag("eu-2", "fail")
    done = fleet.run("migrate", "eu-*", "us-1", "--jobs", jobs)
    assert done.code == 1
    failed = ["eu-1", "eu-2"][: int(jobs)]
    assert [name for name, what in rows(done).items() if what == "not begun"] == list(
        fleet.names[int(jobs) :]
    )
    assert set(fleet.states()) == set(failed)
    assert "FAILED eu-1 (" in done.err
    assert "ValueError: no luck here" in done.err
    error, hint = done.err.splitlines()[-2:]
    assert error == f"Error: {jobs} of 5 databases failed: {', '.join(failed)}."
    assert "--keep-going" in hint


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_it_keeps_going_if_asked(fleet: Fleet, jobs: str) -> None:
    fleet.flag("eu-2", "fail")
    done = fleet.run("migrate", "eu-*", "us-1", "--keep-going", "--jobs", jobs)
    assert done.code == 1
    assert rows(done) == {**dict.fromkeys(fleet.names, "migrated"), "eu-2": "FAILED"}
    assert fleet.states() == {**dict.fromkeys(fleet.names, "Completed"), "eu-2": "Failed"}
    assert done.err.splitlines()[-2] == "Error: 1 of 5 databases failed: eu-2."
    fleet.client[fleet.database("eu-2")].fail.drop()
    fleet.client[fleet.database("eu-2")].ran.drop()
    again = fleet.run("migrate", "*", "--retry", "--jobs", jobs)
    assert (again.code, rows(again)["eu-2"]) == (0, "migrated")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_events_name_their_environment(fleet: Fleet, jobs: str) -> None:
    fleet.flag("eu-2", "fail")
    done = fleet.run("migrate", "eu-1", "eu-2", "--json", "--junit", "report.xml", "--jobs", jobs)
    assert done.code == 1
    events = [event for line in done.out.splitlines() if (event := json.loads(line))]
    assert {event["environment"] for event in events[:-1]} == {"eu-1", "eu-2"}
    summaries = {event["environment"]: event for event in events if event["event"] == "summary"}
    assert len([event for event in events if event["event"] == "summary"]) == 2
    assert summaries["eu-1"]["ok"]
    assert "no luck here" in summaries["eu-2"]["error"]
    assert summaries["eu-2"]["file"].endswith("_one_migration.py")
    assert len([event for event in events if event["event"] == "failed"]) == 1
    total = events[-1]
    assert (total["event"], total["ok"], total["exit_code"]) == ("total", False, 1)
    assert [row["outcome"] for row in total["environments"]] == ["migrated", "failed"]
    suites = ElementTree.parse(fleet.folder.path / "report.xml").getroot().findall("testsuite")
    assert {suite.get("name"): suite.get("failures") for suite in suites} == {
        "monarch migrate eu-1": "0",
        "monarch migrate eu-2": "1",
    }


def test_the_plan_of_several(fleet: Fleet) -> None:
    fleet.run("migrate", "eu-1")
    before = fleet.states()
    planned = fleet.run("migrate", "eu-*", "--plan")
    assert planned.code == 0
    assert "3 migrations would run on 3 of 4 databases." in planned.out
    listed = fleet.run("migrate", "eu-*", "--plan", "--json").json
    assert {row["environment"]: len(row["migrations"]) for row in listed} == {
        "eu-1": 0,
        "eu-2": 1,
        "eu-3": 1,
        "eu-4": 1,
    }
    assert fleet.states() == before


def test_one_question_for_all(fleet: Fleet) -> None:
    fleet.entries["eu-2"]["protected"] = True
    fleet.folder.settings(**fleet.entries)
    refused = fleet.run("migrate", "eu-*")
    assert (refused.code, refused.out) == (2, "")
    assert "1 of 4 databases are hazardous (eu-2: it is protected in the settings)" in refused.err
    assert "add --yes" in refused.err
    for right in (False, True):
        terminal = fleet.folder.terminal("migrate", "eu-*")
        terminal.expect("PENDING")
        terminal.expect(r"what is (\d) \+ (\d)")
        assert isinstance(terminal.match, re.Match)
        first, second = map(int, terminal.match.groups())
        terminal.sendline(str(first + second if right else 0))
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert "what is" not in str(terminal.before)
        assert terminal.exitstatus == (0 if right else 1)
        assert len(fleet.states()) == (4 if right else 0)
    assert fleet.run("migrate", "eu-*").code == 2
    assert fleet.run("migrate", "eu-*", "--yes").code == 0


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_each_honestly(fleet: Fleet, jobs: str) -> None:
    for name in ("eu-1", "eu-2"):
        fleet.flag(name, "wait")
    started = fleet.folder.start("migrate", "eu-*", "--jobs", jobs)
    running = ["eu-1", "eu-2"][: int(jobs)]
    for name in running:
        fleet.await_start(name)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=100)
    assert started.returncode == 130, err
    assert fleet.states() == dict.fromkeys(running, "Failed")
    outcomes = rows(CommandResult(130, out, err))
    assert [name for name in fleet.names if outcomes.get(name) == "interrupted"] == running
    assert outcomes["eu-4"] == "not begun"


def test_a_process_that_is_killed_is_one_failure(fleet: Fleet) -> None:
    fleet.flag("eu-1", "wait")
    started = fleet.folder.start("migrate", "eu-*", "--jobs", "2", "--keep-going")
    fleet.await_state("eu-1", "Processing")
    for name in ("eu-2", "eu-3", "eu-4"):
        fleet.await_state(name, "Completed")
    while len(busy := psutil.Process(started.pid).children()) > 1:  # the other one has nothing more to do
        time.sleep(0.05)
    busy[0].kill()
    out, err = started.communicate(timeout=100)
    assert started.returncode == 5, err
    assert "The process that worked on 'eu-1' has ended (SIGKILL)." in err
    assert rows(CommandResult(5, out, err)) == {
        **dict.fromkeys(fleet.names[1:4], "migrated"),
        "eu-1": "FAILED",
    }


def test_no_process_outlives_a_killed_command(fleet: Fleet) -> None:
    fleet.flag("eu-1", "wait")
    started = fleet.folder.start("migrate", "eu-*", "--jobs", "2")
    fleet.await_state("eu-1", "Processing")
    children = psutil.Process(started.pid).children()
    os.kill(started.pid, signal.SIGKILL)
    started.communicate(timeout=60)
    fleet.client[fleet.database("eu-1")].wait.drop()
    # What is begun is finished and recorded; what was not begun is not.
    for child in children:
        if child.is_running():
            child.terminate()
    assert not psutil.wait_procs(children, timeout=60)[1]
    listed = fleet.run("list_migrations", "eu-*")
    assert "Processing" not in listed.out
    assert "Failed" in listed.out or "Interrupted" in listed.out


def test_a_deadline_holds_for_all(fleet: Fleet) -> None:
    done = fleet.run("migrate", "eu-*", "--deadline", "0.0001s", "--keep-going")
    assert done.code == 9
    assert rows(done) == dict.fromkeys(fleet.names[:4], "FAILED")
    assert fleet.states() == {}


def test_an_unreachable_one_among_many(fleet: Fleet) -> None:
    fleet.entries["eu-2"] = {"host": "localhost:1", "db_name": "gone"}
    fleet.folder.settings(**fleet.entries)
    done = fleet.run("migrate", "eu-*", "--keep-going", "--jobs", "4")
    assert done.code == 5
    assert rows(done) == {**dict.fromkeys(fleet.names[:4], "migrated"), "eu-2": "FAILED"}
    checked = fleet.run("check", "eu-*")
    assert checked.code == 5
    assert "eu-2 could not be read: " in checked.out
    assert "Up to date: 3 of 4 databases." in checked.out
    listed = fleet.run("list_migrations", "eu-*")
    assert listed.code == 5
    assert listed.out.splitlines()[1].split()[1:] == ["Completed", "?", "Completed", "Completed"]


def test_an_incomplete_one_stops_all_before_anything_runs(fleet: Fleet) -> None:
    fleet.entries["eu-3"] = {"uri": None, "db_name": "x"}
    fleet.folder.settings(**fleet.entries)
    refused = fleet.run("migrate", "eu-*")
    assert refused.code == 2
    assert "'eu-3' has no 'uri'" in refused.err
    assert fleet.states() == {}
    done = fleet.run("migrate", "eu-*", "--keep-going")
    assert (done.code, rows(done)["eu-3"], rows(done)["eu-4"]) == (2, "FAILED", "migrated")


def test_an_incomplete_one_that_is_named_does_not_hide_the_others(fleet: Fleet) -> None:
    fleet.entries["eu-3"] = {"uri": None, "db_name": "x"}
    fleet.folder.settings(**fleet.entries)
    checked = fleet.run("check", "eu-3", "eu-1", "--json")
    assert checked.code == 3
    assert [row["exit_code"] for row in checked.json] == [2, 3]
    said = fleet.run("check", "eu-3", "eu-1").out
    assert "eu-3 could not be read: Environment 'eu-3' has no 'uri': its value is empty. Set " in said
    assert "eu-1" in fleet.run("list_migrations", "eu-3", "eu-1").out
    refused = fleet.run("migrate", "eu-1", "eu-3")
    assert (refused.code, fleet.states()) == (2, {})


def test_check_has_the_exit_code_of_the_worst(fleet: Fleet) -> None:
    assert fleet.run("check", "eu-*").code == 3
    fleet.flag("eu-2", "fail")
    fleet.run("migrate", "eu-*", "--keep-going")
    checked = fleet.run("check", "*")
    assert checked.code == 6
    assert "Failed or interrupted on eu-2" in checked.out
    assert "Pending on us-1" in checked.out
    assert checked.out.splitlines()[-1] == "Up to date: 3 of 5 databases."
    listed = fleet.run("check", "*", "--json").json
    assert {row["environment"]: row["exit_code"] for row in listed} == {
        **dict.fromkeys(fleet.names, 0),
        "eu-2": 6,
        "us-1": 3,
    }
    assert fleet.run("check", "eu-1", "eu-3").out == "Up to date: 2 of 2 databases.\n"


def test_many_have_a_line_each(fleet: Fleet) -> None:
    prefix = fleet.folder.db_name
    names = [f"{prefix}_t{number}" for number in range(10)]
    fleet.folder.settings(tenants={"uri": fleet.server.uri, "db_name": names})
    assert fleet.run("migrate", f"tenants/{prefix}_t[0-2]", "--jobs", "2").code == 0
    listed = fleet.run("list_migrations", "tenants")
    lines = dict(line.split(maxsplit=1) for line in listed.out.splitlines())
    assert lines["ENVIRONMENT"].split() == ["NEW", "COMPLETED"]
    assert lines[f"tenants/{names[0]}"].split() == ["-", "1"]
    assert lines[f"tenants/{names[9]}"].split() == ["1", "-"]
    assert fleet.run("check", "tenants").out.splitlines()[-1] == "Up to date: 3 of 10 databases."


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["migrate", "xx-*"], "No environment matches 'xx-*'.", "eu-1, eu-2, eu-3, eu-4, us-1"),
        (["check", "eu-1/*"], "No environment matches 'eu-1/*' and has several databases.", "eu-1, eu-2"),
        (["migrate", "eu-1", "eu-9"], "There is no environment 'eu-9'", "eu-"),
        (["migrate", "eu-*", "--jobs", "0"], "'0' is not a whole number from 1.", "--help"),
        (["migrate", "eu-1", "one"], "'one': there is no such environment.", "--only one"),
    ],
)
def test_wrong_names(fleet: Fleet, arguments: list[str], message: str, hint: str) -> None:
    refused = fleet.run(*arguments)
    assert (refused.code, refused.out) == (2, "")
    error, hinted = refused.err.splitlines()
    assert message in error
    assert hint in hinted
    assert fleet.states() == {}


def test_a_migration_cannot_read_the_orders_of_its_process(fleet: Fleet) -> None:
    fleet.folder.migration("two", "import sys; assert sys.stdin.read() == ''")
    done = fleet.run("migrate", "eu-*", "--jobs", "2")
    assert done.code == 0, done
    assert "8 migrations done on 4 databases." in done.out


def test_both_kinds_at_once(fleet: Fleet, postgres: PostgresServer, tmp_path: Path) -> None:
    with make_billing(tmp_path / "other", postgres) as billing:
        fleet.entries["pg"] = {"uri": postgres.uri(billing.db_name)}
        fleet.folder.settings(**fleet.entries)
        key = billing.migration("dogs", 'self.connection.execute("CREATE TABLE cats (id int)")')
        path = billing.folder.path / "migrations" / f"{key}.py"
        fleet.folder.write(f"migrations/{key}.py", path.read_text())
        done = fleet.run("migrate", "eu-1", "pg", "--jobs", "2")
        assert done.code == 0, done
        assert rows(done) == {"eu-1": "migrated", "pg": "migrated"}
        assert billing.states() == {key: "Completed"}
        assert fleet.run("check", "eu-1", "pg").code == 0


def test_modules_of_the_project_do_not_hide_those_of_its_processes(fleet: Fleet) -> None:
    for name in ("json.py", "queue.py", "monarch/__init__.py"):
        fleet.folder.write(name, "raise SystemExit('the wrong one')\n")
    prefix = [sys.executable, "-P", "-c", "from monarch.commands import main; main()"]
    done = subprocess.run(
        [*prefix, "migrate", "eu-*", "--jobs", "2"],
        cwd=fleet.folder.path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_migration_that_changes_the_folder(fleet: Fleet, jobs: str) -> None:
    fleet.folder.migration("move", "import os; assert os.path.exists('migrations'); os.chdir('/')")
    done = fleet.run("migrate", "*", "--jobs", jobs)
    assert done.code == 0, done
    assert rows(done) == dict.fromkeys(fleet.names, "migrated")


def test_output_that_nobody_reads_ends_all_without_a_traceback(fleet: Fleet) -> None:
    command = [*MONARCH, "migrate", "*", "--jobs", "2", "--json"]
    started = subprocess.Popen(
        command, cwd=fleet.folder.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.readline()
    started.stdout.close()
    err = started.stderr.read()
    started.stderr.close()
    assert started.wait(timeout=100) == 1
    assert "Traceback" not in err
    assert "Processing" not in fleet.states().values()


def test_what_is_printed_has_the_name_of_its_database(fleet: Fleet) -> None:
    fleet.folder.migration("talk", "for n in range(300): print(self.database.name, n)")
    done = fleet.run("migrate", "*", "--jobs", "2")
    assert done.code == 0, done
    said = re.findall(r"^\[(\S+)\] \S+_(\S+) \d+$", done.err, re.M)
    assert len(said) == 300 * len(fleet.names)
    assert all(label == name for label, name in said)


def test_what_was_begun_is_not_called_not_begun(fleet: Fleet) -> None:
    fleet.folder.migration("slow", "import time; time.sleep(1)")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*MONARCH, "migrate", "eu-*", "--jobs", "2"],
            cwd=fleet.folder.path,
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode != 0  # Python's own code, if it cannot flush standard error either
    outcomes = rows(CommandResult(1, done.stdout, ""))
    assert "not begun" in outcomes.values()
    assert all((outcomes[name] == "not begun") == (name not in fleet.states()) for name in outcomes)


def test_lines_of_a_migration_are_never_taken_for_lines_of_the_log(fleet: Fleet) -> None:
    fleet.folder.migration("talk", "print('database: 7 users were deleted')")
    done = fleet.run("migrate", "eu-1", "eu-2", "--jobs", "2")
    assert done.err.count("] database: 7 users were deleted") == 2
