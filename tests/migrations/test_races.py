"""Concurrent runs of ``migrate``: one does the work, the others wait.

A run that was stopped for too long, or whose clock is wrong, does no harm.
"""

from __future__ import annotations

import getpass
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from monarch.databases.history import MigrationState
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.errors import LockedError, MigrationError
from tests.support import counts
from tests.support.runs.migrate_runs import (
    BEGIN,
    END,
    Machine,
    MigrationScenario,
    Run,
    annotate_errors,
    completion_writes,
    gate,
    migration_scenario,
)
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

pytestmark = pytest.mark.server

MANY, MIGRATIONS, BY_SHELL = counts.number(reduced=12, full=50), counts.number(reduced=8, full=20), 4
# Instead of 30 seconds.
LEASE_LASTS = 1.0
ELSEWHERE = Machine(host="elsewhere")
LOCKED = LockedError.exit_code
# Long enough for a busy machine to renew it in time.
LONGER_LEASE = 4.0
# Waits until the run has held its lease for 5 seconds, by the server's clock; fails if the lease has expired.
WAIT_LONGER_THAN_LEASE = """
lease = self.database.monarch_lease
held = {'$expr': {'$gt': [{'$subtract': ['$$NOW', '$taken_at']}, 5000]}}
while lease.find_one(held) is None:
    time.sleep(0.02)
assert lease.find_one({'$expr': {'$gt': ['$expires_at', '$$NOW']}}) is not None
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with run_mongod() as (listening, _):
        yield listening


@pytest.fixture
def scenario(tmp_path: Path, port: int) -> Iterator[MigrationScenario]:
    with migration_scenario(Folder(tmp_path), port) as made:
        yield made


def await_waiting(process: subprocess.Popen[str], run: Run) -> None:
    """Wait until ``process`` reports that it waits for ``run``, with its process id, user and host."""
    assert process.stderr is not None
    who = re.escape(f"process {run.pid} of {getpass.getuser()} on {socket.gethostname()}")
    line = process.stderr.readline()
    assert re.fullmatch(rf"Waiting: '\w+' is held by {who} \(migrate dev, since 2.* UTC\) …\n", line), line


def start(stack: ExitStack, scenario: MigrationScenario, *arguments: str) -> subprocess.Popen[str]:
    """Start a command from a shell."""
    process = scenario.folder.start(*arguments)
    stack.callback(process.communicate)
    stack.callback(process.kill)
    return process


def run_many(scenario: MigrationScenario, *arguments: str) -> list[tuple[int, str]]:
    """Run a command in many processes at the same time; return their exit codes and output on stderr."""
    start_gate = gate(MANY)
    with ExitStack() as stack:
        shells = [start(stack, scenario, *arguments) for _ in range(BY_SHELL)]
        runs = [stack.enter_context(scenario.run(*arguments, gate=start_gate)) for _ in range(MANY)]
        ends = [(run.end(), run.err) for run in runs]
        for shell in shells:
            _, err = shell.communicate()
            ends.append((shell.returncode, err))
        return ends


def test_one_of_many_concurrent_runs_does_the_work_and_the_others_wait(scenario: MigrationScenario) -> None:
    scenario.add_many(MIGRATIONS)
    for code, err in run_many(scenario, "migrate", "direct"):
        assert code == 0, err
        assert all(line.startswith("Waiting: 'direct' is held by ") for line in err.splitlines()), err
    scenario.require_once()


def test_one_of_many_concurrent_runs_that_do_not_wait_does_the_work(scenario: MigrationScenario) -> None:
    scenario.add_many(MIGRATIONS)
    ends = run_many(scenario, "migrate", "direct", "--no-wait")
    for code, err in ends:
        assert code in (0, LOCKED), err
        assert (code == 0) == (err == ""), err
    assert 0 in [code for code, _ in ends]
    scenario.require_once()


def take_over(scenario: MigrationScenario, *, retry: bool = True) -> list[bytes]:
    """Migrate after the lease of the other run has expired; return the raw history."""
    done = scenario.project.migrate("direct", retry=retry, wait=0).done
    assert done
    return scenario.raw_history()


# Stopped in the second migration of four, and in the last.
@pytest.mark.parametrize("count", [4, 2])
def test_a_run_stopped_in_a_migration_for_too_long_records_nothing_more(
    scenario: MigrationScenario, count: int
) -> None:
    scenario.add_many(count)
    # After the first document of the second migration.
    with scenario.run("migrate", "dev", machine=Machine("elsewhere", lease=LEASE_LASTS)) as late:
        scenario.stop(late, 4, only="insert")
        late.await_stop()
        scenario.await_the_end_of_the_lease()
        with pytest.raises(MigrationError, match=rf"{scenario.keys['m01']} is Interrupted.*on elsewhere"):
            scenario.project.migrate("direct", wait=0)
        history = take_over(scenario)
        late.kill(signal.SIGCONT)
        code = late.end()
    assert scenario.raw_history() == history
    assert (
        scenario.count(BEGIN) == scenario.count(END) == {name: 1 + (name == "m01") for name in scenario.keys}
    )
    assert code == LOCKED, late.output
    assert "'dev'" in late.err


def test_the_migration_of_a_stopped_process_on_this_machine_is_not_retried(
    scenario: MigrationScenario,
) -> None:
    """The process could continue at any time. A user has to kill it before a retry."""
    scenario.add_many(2)
    with scenario.run("migrate", "dev", machine=Machine(lease=LEASE_LASTS)) as late:
        scenario.stop(late, 2, only="insert")
        late.await_stop()
        scenario.await_the_end_of_the_lease()
        history, documents = scenario.raw_history(), scenario.documents()
        with pytest.raises(
            LockedError, match=f"{scenario.keys['m00']} is being run .* process {late.pid} of"
        ):
            scenario.project.migrate("direct", retry=True, wait=0)
        assert (scenario.raw_history(), scenario.documents()) == (history, documents)
        late.kill(signal.SIGKILL)
        assert late.end() == -signal.SIGKILL
    take_over(scenario)
    assert scenario.count(BEGIN) == {"m00": 2, "m01": 1}


@pytest.mark.parametrize("host", ["elsewhere", None])
def test_a_run_stopped_between_two_migrations_does_not_begin_the_next(
    scenario: MigrationScenario, host: str | None
) -> None:
    scenario.add_many(3)
    commands = scenario.commands()
    _, state = completion_writes(commands)[0]
    # Renewals of the lease in the background are no aggregations.
    number = [command.name for command in commands[:state]].count("aggregate")
    with scenario.run("migrate", "dev", machine=Machine(host, lease=LEASE_LASTS)) as late:
        scenario.stop(late, number, moment="after", only="aggregate")
        late.await_stop()
        scenario.await_the_end_of_the_lease()
        history = take_over(scenario, retry=False)
        late.kill(signal.SIGCONT)
        assert late.end() == LOCKED, late.output
    assert scenario.raw_history() == history
    scenario.require_once()


def test_a_stopped_run_continues_if_no_other_run_took_the_lease(scenario: MigrationScenario) -> None:
    scenario.add_many(3)
    with scenario.run("migrate", "dev", machine=Machine(lease=LEASE_LASTS)) as late:
        scenario.stop(late, 4, only="insert")
        late.await_stop()
        scenario.await_the_end_of_the_lease()
        late.kill(signal.SIGCONT)
        assert late.end() == 0, late.output
    scenario.require_once()
    assert "holder" not in scenario.lease()


@pytest.mark.parametrize("half", [0, 1])
def test_a_command_that_arrives_after_a_takeover_changes_nothing(
    scenario: MigrationScenario, half: int
) -> None:
    """Each command of a run in turn is delayed until another run has done the work."""
    scenario.add_many(2)
    commands = scenario.commands(ELSEWHERE)
    names = [command.name for command in commands]
    # With the lease a run reads the history again. The commands after that belong to its migrations.
    first = names.index("insert")
    read = max(number for number in range(1, first) if commands[number - 1][::2] == ("aggregate", HISTORY))
    # After the last entry in the journal another run has nothing to do.
    last, _ = completion_writes(commands)[-1]
    for number in counts.sample(range(1 + half, last + 1, 2), 3):
        with annotate_errors(f"The other run came before command {number}, {names[number - 1]}."):
            code = overtake(scenario, number)
            assert code == (LOCKED if number > read else 0)


def overtake(scenario: MigrationScenario, number: int) -> int:
    """Let another run do the work before the command ``number`` of a run; return the run's exit code."""
    history: list[bytes] = []

    def act() -> None:
        scenario.expire_lease()
        scenario.project.migrate("direct", retry=True, wait=0)
        history.extend(scenario.raw_history())

    scenario.reset()
    scenario.proxy.at(number, act, then="go on")
    with scenario.run("migrate", "dev", machine=ELSEWHERE) as late:
        code = late.end()
    assert scenario.raw_history() == history
    assert set(scenario.states().values()) == {MigrationState.COMPLETED}
    twice = [name for name, attempts in scenario.attempts().items() if attempts > 1]
    assert len(twice) <= 1
    for count in (scenario.count(BEGIN), scenario.count(END)):
        assert all(count[name] == 1 or name in twice for name in scenario.keys)
    return code


CLOCKS = [-5.0, 0.0, 5.0]


def require_server_times(scenario: MigrationScenario, began: datetime) -> None:
    """Check that all recorded times are between ``began`` and now, by the server's clock."""
    ended = scenario.database.client.admin.command("hello")["localTime"]
    times = [row["processed_at"] for row in scenario.database[HISTORY].find()]
    for row in scenario.database[JOURNAL].find():
        assert row["started_at"] <= row["finished_at"]
        times += [row["started_at"], row["finished_at"]]
    assert times
    assert all(began <= when <= ended for when in times), (began, times, ended)


def test_runs_with_wrong_clocks_do_the_work_once(scenario: MigrationScenario) -> None:
    scenario.add_many(6, "time.sleep(0.01)")
    began = scenario.database.client.admin.command("hello")["localTime"]
    start_gate = gate(2 * len(CLOCKS))
    with ExitStack() as stack:
        machines = [Machine(hours=hours) for hours in CLOCKS for _ in range(2)]
        runs = [
            stack.enter_context(scenario.run("migrate", "direct", machine=machine, gate=start_gate))
            for machine in machines
        ]
        assert [run.end() for run in runs] == [0] * len(runs), [run.output for run in runs]
    scenario.require_once()
    require_server_times(scenario, began)


@pytest.mark.parametrize("hours", counts.sample([-5.0, 5.0], 1))
def test_a_run_with_a_wrong_clock_takes_only_an_expired_lease(
    scenario: MigrationScenario, hours: float
) -> None:
    scenario.add_many(2)
    began = scenario.database.client.admin.command("hello")["localTime"]
    with scenario.run("migrate", "dev", machine=ELSEWHERE) as holder:
        scenario.stop(holder, 1, only="insert")
        holder.await_stop()
        wrong = Machine(hours=hours)
        with scenario.run("migrate", "direct", "--no-wait", machine=wrong) as refused:
            assert refused.end() == LOCKED, refused.output
        assert scenario.lease()["holder"]["host"] == "elsewhere"
        scenario.expire_lease()
        with scenario.run("migrate", "direct", "--retry", "--no-wait", machine=wrong) as taker:
            assert taker.end() == 0, taker.output
        history = scenario.raw_history()
        holder.kill(signal.SIGCONT)
        assert holder.end() == LOCKED
    assert scenario.raw_history() == history
    require_server_times(scenario, began)


@pytest.mark.parametrize("hours", counts.sample([-5.0, 5.0], 1))
def test_a_run_with_a_wrong_clock_renews_its_lease(scenario: MigrationScenario, hours: float) -> None:
    scenario.add_many(2, WAIT_LONGER_THAN_LEASE)
    with (
        ExitStack() as stack,
        scenario.run("migrate", "dev", machine=Machine(hours=hours, lease=LONGER_LEASE)) as holder,
    ):
        scenario.await_document("ran", {})
        waiting = start(stack, scenario, "migrate", "direct", "--wait", "60")
        await_waiting(waiting, holder)
        assert holder.end() == 0, holder.output
        assert waiting.wait() == 0
    scenario.require_once()


def hold(scenario: MigrationScenario, stack: ExitStack, count: int = 2) -> Run:
    """Return a run that is stopped in its first migration, and whose lease has not expired."""
    scenario.add_many(count)
    run = scenario.run("migrate", "dev")
    scenario.stop(run, 2, only="insert")
    stack.enter_context(run)
    run.await_stop()
    return run


def test_a_second_run_waits_and_names_the_holder(scenario: MigrationScenario) -> None:
    with ExitStack() as stack:
        first = hold(scenario, stack)
        second = start(stack, scenario, "migrate", "direct")
        await_waiting(second, first)
        assert len(scenario.documents()) == 2
        first.kill(signal.SIGCONT)
        assert first.end() == 0
        out, err = second.communicate()
        assert (second.returncode, err) == (0, "")
        assert out == "Nothing to do: direct has run everything (2 migrations).\n"
    scenario.require_once()


def test_a_second_run_waits_as_long_as_allowed(scenario: MigrationScenario) -> None:
    with ExitStack() as stack:
        first = hold(scenario, stack)
        lease = scenario.lease()
        began = time.monotonic()
        with scenario.run("migrate", "direct", "--wait", "1") as second:
            assert second.end() == LOCKED
            assert time.monotonic() - began >= 1
            waiting, error, _ = second.err.splitlines()
        assert waiting.startswith("Waiting: 'direct' is held by process ")
        assert error.startswith(f"Error: 'direct' is held by process {first.pid} of ")
        assert scenario.lease() == lease
        first.kill(signal.SIGCONT)
        assert first.end() == 0
    scenario.require_once()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_interrupted_while_it_waits_does_not_change_the_lease(
    scenario: MigrationScenario, number: signal.Signals
) -> None:
    with ExitStack() as stack:
        first = hold(scenario, stack)
        second = start(stack, scenario, "migrate", "direct")
        await_waiting(second, first)
        lease, history = scenario.lease(), scenario.raw_history()
        second.send_signal(number)
        _, err = second.communicate()
        assert second.returncode == 130
        assert "Error: Interrupted." in err.splitlines()
        assert (scenario.lease(), scenario.raw_history()) == (lease, history)
        first.kill(signal.SIGCONT)
        assert first.end() == 0
    scenario.require_once()


def test_the_next_run_begins_at_once_after_the_holder_is_killed(scenario: MigrationScenario) -> None:
    with ExitStack() as stack:
        first = hold(scenario, stack)
        second = start(stack, scenario, "migrate", "direct", "--retry")
        await_waiting(second, first)
        until: Any = scenario.lease()["expires_at"]
        first.kill(signal.SIGKILL)
        _, err = second.communicate()
        assert (second.returncode, err) == (0, "")
    # The killed holder's lease had not expired.
    assert scenario.lease()["taken_at"] < until
    assert scenario.count(BEGIN) == {"m00": 2, "m01": 1}
    scenario.require_ended()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_holder_releases_the_lease(
    scenario: MigrationScenario, number: signal.Signals
) -> None:
    scenario.add("m00", "for _ in range(600): time.sleep(0.1)")
    with scenario.run("migrate", "dev", machine=ELSEWHERE) as first:
        scenario.await_document("ran", {})
        assert "holder" in scenario.lease()
        first.kill(number)
        assert first.end() == 130, first.output
    assert "holder" not in scenario.lease()
    scenario.add("m00", "pass")
    assert [done.key for done in scenario.project.migrate("direct", retry=True, wait=0).done] == [
        scenario.keys["m00"]
    ]
