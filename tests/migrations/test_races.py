"""Runs of ``migrate`` at the same time: one does the work, the others wait.

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
    gate,
    migration_scenario,
    named,
    records,
)
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

pytestmark = pytest.mark.server

MANY, MIGRATIONS, BY_SHELL = counts.number(reduced=12, full=50), counts.number(reduced=8, full=20), 4
# In place of 30 seconds.
LEASE_LASTS = 1.0
ELSEWHERE = Machine(host="elsewhere")
LOCKED = LockedError.exit_code
# Not so quickly lost by a machine that is busy.
LONGER_LEASE = 4.0
# Ends when the lease has been held for longer than that, by the server's clock, and fails where it is over.
OUTLAST = """
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
def place(tmp_path: Path, port: int) -> Iterator[MigrationScenario]:
    with migration_scenario(Folder(tmp_path), port) as made:
        yield made


def await_waiting(process: subprocess.Popen[str], run: Run) -> None:
    """Wait until ``process`` says that it waits for ``run``, by its number, its user and its host."""
    assert process.stderr is not None
    who = re.escape(f"process {run.pid} of {getpass.getuser()} on {socket.gethostname()}")
    line = process.stderr.readline()
    assert re.fullmatch(rf"Waiting: '\w+' is held by {who} \(migrate dev, since 2.* UTC\) …\n", line), line


def start(stack: ExitStack, place: MigrationScenario, *arguments: str) -> subprocess.Popen[str]:
    """Start a command as a person does."""
    process = place.folder.start(*arguments)
    stack.callback(process.communicate)
    stack.callback(process.kill)
    return process


def run_many(place: MigrationScenario, *arguments: str) -> list[tuple[int, str]]:
    """Run one command in many processes at the same moment; how each ended, and what it said on stderr."""
    start_gate = gate(MANY)
    with ExitStack() as stack:
        shells = [start(stack, place, *arguments) for _ in range(BY_SHELL)]
        runs = [stack.enter_context(place.run(*arguments, gate=start_gate)) for _ in range(MANY)]
        ends = [(run.end(), run.err) for run in runs]
        for shell in shells:
            _, err = shell.communicate()
            ends.append((shell.returncode, err))
        return ends


def test_of_many_at_once_one_does_the_work_and_the_others_wait(place: MigrationScenario) -> None:
    place.write(MIGRATIONS)
    for code, err in run_many(place, "migrate", "direct"):
        assert code == 0, err
        assert all(line.startswith("Waiting: 'direct' is held by ") for line in err.splitlines()), err
    place.require_once()


def test_of_many_at_once_that_do_not_wait_one_does_the_work(place: MigrationScenario) -> None:
    place.write(MIGRATIONS)
    ends = run_many(place, "migrate", "direct", "--no-wait")
    for code, err in ends:
        assert code in (0, LOCKED), err
        assert (code == 0) == (err == ""), err
    assert 0 in [code for code, _ in ends]
    place.require_once()


def take_over(place: MigrationScenario, *, retry: bool = True) -> list[bytes]:
    """Migrate from here once the lease of the other run is over; what is kept then."""
    done = place.project.migrate("direct", retry=retry, wait=0).done
    assert done
    return place.kept()


# The second of four, and the last.
@pytest.mark.parametrize("count", [4, 2])
def test_who_was_stopped_in_a_migration_for_too_long_records_nothing_more(
    place: MigrationScenario, count: int
) -> None:
    place.write(count)
    # Behind the first document of the second.
    with place.run("migrate", "dev", machine=Machine("elsewhere", lease=LEASE_LASTS)) as late:
        place.stop(late, 4, only="insert")
        late.await_stop()
        place.await_the_end_of_the_lease()
        with pytest.raises(MigrationError, match=rf"{place.keys['m01']} is Interrupted.*on elsewhere"):
            place.project.migrate("direct", wait=0)
        kept = take_over(place)
        late.kill(signal.SIGCONT)
        code = late.end()
    assert place.kept() == kept
    assert place.count(BEGIN) == place.count(END) == {name: 1 + (name == "m01") for name in place.keys}
    assert code == LOCKED, late.said
    assert "'dev'" in late.err


def test_what_a_stopped_process_of_this_machine_is_at_is_left_alone(place: MigrationScenario) -> None:
    """It could go on at any moment: whoever wants to retry has to end it first."""
    place.write(2)
    with place.run("migrate", "dev", machine=Machine(lease=LEASE_LASTS)) as late:
        place.stop(late, 2, only="insert")
        late.await_stop()
        place.await_the_end_of_the_lease()
        kept, documents = place.kept(), place.documents()
        with pytest.raises(LockedError, match=f"{place.keys['m00']} is being run .* process {late.pid} of"):
            place.project.migrate("direct", retry=True, wait=0)
        assert (place.kept(), place.documents()) == (kept, documents)
        late.kill(signal.SIGKILL)
        assert late.end() == -signal.SIGKILL
    take_over(place)
    assert place.count(BEGIN) == {"m00": 2, "m01": 1}


@pytest.mark.parametrize("host", ["elsewhere", None])
def test_who_was_stopped_between_two_migrations_does_not_begin_the_next(
    place: MigrationScenario, host: str | None
) -> None:
    place.write(3)
    commands = place.commands()
    _, state = records(commands)[0]
    # Renewing the lease now and then, in the background, is no aggregation.
    number = [command.name for command in commands[:state]].count("aggregate")
    with place.run("migrate", "dev", machine=Machine(host, lease=LEASE_LASTS)) as late:
        place.stop(late, number, moment="after", only="aggregate")
        late.await_stop()
        place.await_the_end_of_the_lease()
        kept = take_over(place, retry=False)
        late.kill(signal.SIGCONT)
        assert late.end() == LOCKED, late.said
    assert place.kept() == kept
    place.require_once()


def test_who_was_stopped_and_is_missed_by_nobody_goes_on(place: MigrationScenario) -> None:
    place.write(3)
    with place.run("migrate", "dev", machine=Machine(lease=LEASE_LASTS)) as late:
        place.stop(late, 4, only="insert")
        late.await_stop()
        place.await_the_end_of_the_lease()
        late.kill(signal.SIGCONT)
        assert late.end() == 0, late.said
    place.require_once()
    assert "holder" not in place.lease()


@pytest.mark.parametrize("half", [0, 1])
def test_what_arrives_after_somebody_has_taken_over_changes_nothing(
    place: MigrationScenario, half: int
) -> None:
    """Every command of a run in turn is on its way for so long that another run has done the work."""
    place.write(2)
    commands = place.commands(ELSEWHERE)
    names = [command.name for command in commands]
    # Once it has the lease it reads the history again; what comes behind that is for its migrations.
    first = names.index("insert")
    read = max(number for number in range(1, first) if commands[number - 1][::2] == ("aggregate", HISTORY))
    # After the last entry of the journal there is nothing left to take over.
    last, _ = records(commands)[-1]
    for number in counts.sample(range(1 + half, last + 1, 2), 3):
        with named(f"The others came before command {number}, {names[number - 1]}."):
            code = overtake(place, number)
            assert code == (LOCKED if number > read else 0)


def overtake(place: MigrationScenario, number: int) -> int:
    """Have a run overtaken before the command that is ``number``; its exit code."""
    kept: list[bytes] = []

    def act() -> None:
        place.expire()
        place.project.migrate("direct", retry=True, wait=0)
        kept.extend(place.kept())

    place.forget()
    place.proxy.at(number, act, then="go on")
    with place.run("migrate", "dev", machine=ELSEWHERE) as late:
        code = late.end()
    assert place.kept() == kept
    assert set(place.states().values()) == {MigrationState.COMPLETED}
    twice = [name for name, attempts in place.attempts().items() if attempts > 1]
    assert len(twice) <= 1
    for count in (place.count(BEGIN), place.count(END)):
        assert all(count[name] == 1 or name in twice for name in place.keys)
    return code


CLOCKS = [-5.0, 0.0, 5.0]


def require_times_of_the_server(place: MigrationScenario, began: datetime) -> None:
    """See that all times that were recorded lie between ``began`` and now, by the server's clock."""
    ended = place.database.client.admin.command("hello")["localTime"]
    times = [row["processed_at"] for row in place.database[HISTORY].find()]
    for row in place.database[JOURNAL].find():
        assert row["started_at"] <= row["finished_at"]
        times += [row["started_at"], row["finished_at"]]
    assert times
    assert all(began <= when <= ended for when in times), (began, times, ended)


def test_runs_with_wrong_clocks_do_the_work_once(place: MigrationScenario) -> None:
    place.write(6, "time.sleep(0.01)")
    began = place.database.client.admin.command("hello")["localTime"]
    start_gate = gate(2 * len(CLOCKS))
    with ExitStack() as stack:
        machines = [Machine(hours=hours) for hours in CLOCKS for _ in range(2)]
        runs = [
            stack.enter_context(place.run("migrate", "direct", machine=machine, gate=start_gate))
            for machine in machines
        ]
        assert [run.end() for run in runs] == [0] * len(runs), [run.said for run in runs]
    place.require_once()
    require_times_of_the_server(place, began)


@pytest.mark.parametrize("hours", counts.sample([-5.0, 5.0], 1))
def test_a_wrong_clock_neither_takes_what_is_held_nor_fears_what_is_over(
    place: MigrationScenario, hours: float
) -> None:
    place.write(2)
    began = place.database.client.admin.command("hello")["localTime"]
    with place.run("migrate", "dev", machine=ELSEWHERE) as holder:
        place.stop(holder, 1, only="insert")
        holder.await_stop()
        wrong = Machine(hours=hours)
        with place.run("migrate", "direct", "--no-wait", machine=wrong) as refused:
            assert refused.end() == LOCKED, refused.said
        assert place.lease()["holder"]["host"] == "elsewhere"
        place.expire()
        with place.run("migrate", "direct", "--retry", "--no-wait", machine=wrong) as taker:
            assert taker.end() == 0, taker.said
        kept = place.kept()
        holder.kill(signal.SIGCONT)
        assert holder.end() == LOCKED
    assert place.kept() == kept
    require_times_of_the_server(place, began)


@pytest.mark.parametrize("hours", counts.sample([-5.0, 5.0], 1))
def test_a_lease_is_renewed_by_a_wrong_clock_too(place: MigrationScenario, hours: float) -> None:
    place.write(2, OUTLAST)
    with (
        ExitStack() as stack,
        place.run("migrate", "dev", machine=Machine(hours=hours, lease=LONGER_LEASE)) as holder,
    ):
        place.await_document("ran", {})
        waiting = start(stack, place, "migrate", "direct", "--wait", "60")
        await_waiting(waiting, holder)
        assert holder.end() == 0, holder.said
        assert waiting.wait() == 0
    place.require_once()


def hold(place: MigrationScenario, stack: ExitStack, count: int = 2) -> Run:
    """A run that is stopped in its first migration, while nobody else may take its lease."""
    place.write(count)
    run = place.run("migrate", "dev")
    place.stop(run, 2, only="insert")
    stack.enter_context(run)
    run.await_stop()
    return run


def test_a_second_run_waits_and_says_for_whom(place: MigrationScenario) -> None:
    with ExitStack() as stack:
        first = hold(place, stack)
        second = start(stack, place, "migrate", "direct")
        await_waiting(second, first)
        assert len(place.documents()) == 2
        first.kill(signal.SIGCONT)
        assert first.end() == 0
        out, err = second.communicate()
        assert (second.returncode, err) == (0, "")
        assert out == "Nothing to do: direct has run everything (2 migrations).\n"
    place.require_once()


def test_a_second_run_waits_so_long_and_no_longer(place: MigrationScenario) -> None:
    with ExitStack() as stack:
        first = hold(place, stack)
        lease = place.lease()
        began = time.monotonic()
        with place.run("migrate", "direct", "--wait", "1") as second:
            assert second.end() == LOCKED
            assert time.monotonic() - began >= 1
            waiting, error, _ = second.err.splitlines()
        assert waiting.startswith("Waiting: 'direct' is held by process ")
        assert error.startswith(f"Error: 'direct' is held by process {first.pid} of ")
        assert place.lease() == lease
        first.kill(signal.SIGCONT)
        assert first.end() == 0
    place.require_once()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_while_it_waits_leaves_the_lease_alone(
    place: MigrationScenario, number: signal.Signals
) -> None:
    with ExitStack() as stack:
        first = hold(place, stack)
        second = start(stack, place, "migrate", "direct")
        await_waiting(second, first)
        lease, kept = place.lease(), place.kept()
        second.send_signal(number)
        _, err = second.communicate()
        assert second.returncode == 130
        assert "Error: Interrupted." in err.splitlines()
        assert (place.lease(), place.kept()) == (lease, kept)
        first.kill(signal.SIGCONT)
        assert first.end() == 0
    place.require_once()


def test_a_holder_that_is_killed_is_followed_at_once(place: MigrationScenario) -> None:
    with ExitStack() as stack:
        first = hold(place, stack)
        second = start(stack, place, "migrate", "direct", "--retry")
        await_waiting(second, first)
        until: Any = place.lease()["expires_at"]
        first.kill(signal.SIGKILL)
        _, err = second.communicate()
        assert (second.returncode, err) == (0, "")
    # By its own time the lease would have lasted for longer.
    assert place.lease()["taken_at"] < until
    assert place.count(BEGIN) == {"m00": 2, "m01": 1}
    place.require_ended()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_holder_that_is_interrupted_gives_the_lease_back(
    place: MigrationScenario, number: signal.Signals
) -> None:
    place.add("m00", "time.sleep(60)")
    with place.run("migrate", "dev", machine=ELSEWHERE) as first:
        place.await_document("ran", {})
        assert "holder" in place.lease()
        first.kill(number)
        assert first.end() == 130, first.said
    assert "holder" not in place.lease()
    place.add("m00", "pass")
    assert [done.key for done in place.project.migrate("direct", retry=True, wait=0).done] == [
        place.keys["m00"]
    ]
