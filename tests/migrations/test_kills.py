"""Kills of ``migrate``: at random moments, at every command, and together with the server."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from monarch.databases.history import MigrationState
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from tests.support import counts
from tests.support.runs.migrate_runs import (
    Machine,
    MigrationScenario,
    Run,
    annotate_errors,
    call_later,
    completion_writes,
    gate,
    migration_scenario,
)
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Mongod, run_mongod
from tests.support.servers.proxy import Moment

pytestmark = pytest.mark.server

# Kills for each seed.
TIMES = counts.number(reduced=5, full=25)
# The number of tests over which the kills of the server are divided.
PARTS = 2
PAUSE = "time.sleep(0.003)"
UNFINISHED = (MigrationState.FAILED, MigrationState.INTERRUPTED)

DOCUMENTS, BATCH = 40, 5
SCAN = f"""
for thing in self.each('things', batch={BATCH}):
    self.database.things.update_one({{'_id': thing['_id']}}, {{'$inc': {{'seen': 1}}}})
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with run_mongod() as (listening, _):
        yield listening


@pytest.fixture
def scenario(tmp_path: Path, port: int) -> Iterator[MigrationScenario]:
    with migration_scenario(Folder(tmp_path), port) as made:
        yield made


@pytest.fixture
def mongod() -> Iterator[Mongod]:
    with Mongod() as running:
        yield running


class Killer:
    """Kills runs at random moments between their beginning and their end."""

    def __init__(self, scenario: MigrationScenario, seed: int) -> None:
        self._place = scenario
        self._random = random.Random(seed)
        # About as long as a run takes at present, in seconds. It depends on the load of the machine.
        self._longest = 0.5

    def kill(self, reset: Callable[[], object]) -> str:
        """Kill a run; return a note of the moment. If a run ends before that, ``reset`` and try again."""
        while True:
            moment = self._random.uniform(0, self._longest)
            if self._kill_after(moment):
                self._longest *= 1.1
                return f"The run was killed after {moment:.4f} seconds."
            self._longest = moment
            self._place.require_once()
            reset()

    def _kill_after(self, seconds: float) -> bool:
        start = gate(2)
        with self._place.run("migrate", "direct", gate=start) as run:
            start.wait()
            time.sleep(seconds)
            with suppress(ProcessLookupError):
                run.kill()
            code = run.end()
            assert code in (0, -signal.SIGKILL), run.output
            return code != 0


@pytest.mark.parametrize("seed", counts.sample(range(6), 1))
def test_the_history_is_true_after_a_kill_at_any_moment(scenario: MigrationScenario, seed: int) -> None:
    scenario.add_many(6, PAUSE)
    killer, unfinished = Killer(scenario, seed), 0
    # Until one is killed in a migration: on a busy machine many may be killed before they begin one.
    for times in count(1):
        scenario.reset()
        with annotate_errors(killer.kill(scenario.reset)):
            unfinished += scenario.recover() is not None
        if times >= TIMES and unfinished > 0:
            break


@pytest.mark.parametrize("seed", counts.sample(range(6, 8), 1))
def test_a_scan_resumes_at_its_position_after_a_kill_at_any_moment(
    scenario: MigrationScenario, seed: int
) -> None:
    scenario.add("m00", PAUSE)
    scenario.add("m01", SCAN)
    scenario.add("m02", PAUSE)
    scenario.database.things.insert_many([{"_id": number, "seen": 0} for number in range(DOCUMENTS)])

    def reset() -> None:
        scenario.reset()
        scenario.database.things.update_many({}, {"$set": {"seen": 0}})

    killer, resumed = Killer(scenario, seed), 0
    # On a busy machine many runs may be killed before they reach the scan.
    for times in count(1):  # until pytest's own limit
        reset()
        with annotate_errors(killer.kill(reset)):
            resumed += check_scan(scenario)
        if times >= TIMES and resumed > 0:
            break


def check_scan(scenario: MigrationScenario) -> bool:
    """Recover from a kill and check which documents the scan has seen; return whether it was resumed."""
    scenario.await_idle_server()
    before, position = seen(scenario), stored_position(scenario)
    unfinished = scenario.states()["m01"] is not MigrationState.COMPLETED
    assert before[:position] == [1] * position
    # The position is stored after each batch, so at most one batch is finished but not stored.
    assert sum(before[position:]) <= BATCH
    scenario.recover()
    after = seen(scenario)
    assert after == [count + (unfinished and number >= position) for number, count in enumerate(before)]
    assert set(after) <= {1, 2}
    return unfinished and position > 0


def seen(scenario: MigrationScenario) -> list[int]:
    """Return how often the scan has seen each document."""
    return [thing["seen"] for thing in scenario.database.things.find(sort=[("_id", 1)])]


def stored_position(scenario: MigrationScenario) -> int:
    """Return the number of documents before the scan's position in the journal."""
    found: dict[str, Any] = scenario.database[JOURNAL].find_one({"key": scenario.keys["m01"]}) or {}
    (position,) = found.get("places", {"": {"documents": 0}}).values()
    return int(position["documents"])


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_history_is_true_after_a_kill_at_every_command(
    scenario: MigrationScenario, moment: Moment
) -> None:
    scenario.add_many(2)
    unfinished = set()
    commands = scenario.commands()
    # Always before anything is recorded, and while each migration runs.
    always = [1, *(journal - 1 for journal, _ in completion_writes(commands))]
    for number in sorted({*always, *counts.sample(range(1, len(commands) + 1), 5)}):
        command = commands[number - 1]
        scenario.reset()
        run = scenario.run("migrate", "dev")
        scenario.proxy.at(number, run.kill, moment=moment)
        with annotate_errors(f"The run was killed {moment} command {number}, {command.name}."), run:
            assert run.end() == -signal.SIGKILL, run.output
            unfinished.add(scenario.recover())
    assert unfinished == {None, "m00", "m01"}


@pytest.mark.parametrize("last", [False, True])
def test_a_run_killed_between_the_journal_and_the_state_has_completed(
    scenario: MigrationScenario, last: bool
) -> None:
    """The next run writes the state, even if it has nothing else to do."""
    scenario.add_many(2)
    journal, state = completion_writes(scenario.commands())[-1 if last else 0]
    for number in range(journal, state + 1):
        scenario.reset()
        run = scenario.run("migrate", "dev")
        scenario.proxy.at(number, run.kill)
        with annotate_errors(f"The run was killed before command {number}, of {journal} to {state}."), run:
            assert run.end() == -signal.SIGKILL, run.output
            scenario.await_idle_server()
            stored = scenario.database[HISTORY].distinct(
                "state", {"key": scenario.keys["m01" if last else "m00"]}
            )
            assert stored == ["Processing"]
            completed = scenario.states()["m01" if last else "m00"] is MigrationState.COMPLETED
            assert completed == (number == state)
            scenario.recover()
            open_attempts = {"outcome": {"$exists": False}}
            assert scenario.database[JOURNAL].count_documents(open_attempts) == 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_history_is_true_after_a_cut_connection_at_every_command(
    scenario: MigrationScenario, moment: Moment
) -> None:
    scenario.add_many(2)
    for number, command in counts.sample(list(enumerate(scenario.commands(), 1)), 5):
        scenario.reset()
        scenario.proxy.at(number, moment=moment)
        with (
            annotate_errors(f"The connection was cut {moment} command {number}, {command.name}."),
            scenario.run("migrate", "dev") as run,
        ):
            check_run(scenario, run)
            # monarch repeats its own writes.
            if command.name == "aggregate":
                assert run.end() == 0, run.output


def check_run(scenario: MigrationScenario, run: Run) -> None:
    """Check that ``run`` succeeds or reports an error, and that the history is true."""
    code = run.end()
    assert code in (0, 1, 5), run.output
    assert "Traceback" not in run.output
    assert "defect" not in run.output
    if code == 0:
        scenario.require_once()
    else:
        assert run.err.startswith("Error: "), run.output
    scenario.recover(UNFINISHED)


def restart(mongod: Mongod) -> None:
    """Kill the server and start it again on the same data."""
    mongod.kill()
    mongod.start()


@pytest.mark.parametrize("part", range(PARTS))
def test_the_history_is_true_after_the_server_was_killed(tmp_path: Path, mongod: Mongod, part: int) -> None:
    """The server is killed at every third command, alternately before and after it."""
    with migration_scenario(Folder(tmp_path), mongod.port) as scenario:
        scenario.add_many(2)
        commands = scenario.commands()
        for number in counts.sample(range(1 + 3 * part, len(commands) + 1, 3 * PARTS), 2):
            moment: Moment = "before" if number // 3 // PARTS % 2 else "after"
            scenario.reset()
            scenario.proxy.at(number, partial(restart, mongod), moment=moment)
            with (
                annotate_errors(
                    f"The server was killed {moment} command {number}, {commands[number - 1].name}."
                ),
                scenario.run("migrate", "dev") as run,
            ):
                check_run(scenario, run)


def test_a_migration_whose_writes_the_server_lost_is_not_completed(tmp_path: Path, mongod: Mongod) -> None:
    """A killed server loses the writes of a migration that are not on its disk yet."""
    with migration_scenario(Folder(tmp_path), mongod.port) as scenario:
        scenario.add_many(2)
        journal, _ = completion_writes(scenario.commands())[-1]
        scenario.proxy.at(journal, partial(restart, mongod))
        with scenario.run("migrate", "dev") as run:
            check_run(scenario, run)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_waits_for_a_server_that_is_frozen_for_some_seconds(
    tmp_path: Path, mongod: Mongod, moment: Moment
) -> None:
    """monarch repeats its command meanwhile, and then the server receives all repetitions at once."""

    def freeze() -> None:
        mongod.process.send_signal(signal.SIGSTOP)
        call_later(1, partial(mongod.process.send_signal, signal.SIGCONT))

    with migration_scenario(Folder(tmp_path), mongod.port) as scenario:
        scenario.add_many(2)
        machine = Machine(once=0.3)
        commands = list(enumerate(scenario.commands(machine), 1))
        for number, command in counts.sample(commands[5::6], 2):
            scenario.reset()
            scenario.proxy.at(number, freeze, moment=moment, then="go on")
            with (
                annotate_errors(f"The server was frozen {moment} command {number}, {command.name}."),
                scenario.run("migrate", "dev", machine=machine) as run,
            ):
                assert run.end() == 0, run.output
                scenario.require_once()
