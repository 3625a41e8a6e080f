"""Runs of ``migrate`` that are killed: at random moments, at every command, and with their server."""

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
    gate,
    in_a_while,
    migration_scenario,
    named,
    records,
)
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Mongod, run_mongod
from tests.support.servers.proxy import Moment

pytestmark = pytest.mark.server

# So often with each seed.
TIMES = counts.number(reduced=5, full=25)
# In so many tests the deaths of the server are told.
PIECES = 2
PAUSE = "time.sleep(0.003)"
UNDONE = (MigrationState.FAILED, MigrationState.INTERRUPTED)

DOCUMENTS, BATCH = 40, 5
WALK = f"""
for thing in self.each('things', batch={BATCH}):
    self.database.things.update_one({{'_id': thing['_id']}}, {{'$inc': {{'seen': 1}}}})
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with run_mongod() as (listening, _):
        yield listening


@pytest.fixture
def place(tmp_path: Path, port: int) -> Iterator[MigrationScenario]:
    with migration_scenario(Folder(tmp_path), port) as made:
        yield made


@pytest.fixture
def mongod() -> Iterator[Mongod]:
    with Mongod() as running:
        yield running


class Killer:
    """Kills runs at moments between their beginning and their end, as ``seed`` has it."""

    def __init__(self, place: MigrationScenario, seed: int) -> None:
        self._place = place
        self._random = random.Random(seed)
        # In seconds: about as long as a run takes at the time, which depends on what else the machine does.
        self._longest = 0.5

    def kill(self, reset: Callable[[], object]) -> str:
        """Kill a run; at which moment. Where one was quicker, ``reset`` and try again."""
        while True:
            moment = self._random.uniform(0, self._longest)
            if self._kill_after(moment):
                self._longest *= 1.1
                return f"It was killed after {moment:.4f} seconds."
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
            assert code in (0, -signal.SIGKILL), run.said
            return code != 0


@pytest.mark.parametrize("seed", counts.sample(range(6), 1))
def test_after_a_kill_at_any_moment_the_history_is_true(place: MigrationScenario, seed: int) -> None:
    place.write(6, PAUSE)
    killer, cut = Killer(place, seed), 0
    # Until one is killed in a migration: a busy machine may kill many before they begin one.
    for times in count(1):
        place.forget()
        with named(killer.kill(place.forget)):
            cut += place.mend() is not None
        if times >= TIMES and cut > 0:
            break


@pytest.mark.parametrize("seed", counts.sample(range(6, 8), 1))
def test_after_a_kill_at_any_moment_a_walk_goes_on_where_it_was(place: MigrationScenario, seed: int) -> None:
    place.add("m00", PAUSE)
    place.add("m01", WALK)
    place.add("m02", PAUSE)
    place.database.things.insert_many([{"_id": number, "seen": 0} for number in range(DOCUMENTS)])

    def reset() -> None:
        place.forget()
        place.database.things.update_many({}, {"$set": {"seen": 0}})

    killer, resumed = Killer(place, seed), 0
    # As often as it takes: a busy machine may stop many runs before they reach the scan.
    for times in count(1):  # until pytest's own limit
        reset()
        with named(killer.kill(reset)):
            resumed += look_at_the_walk(place)
        if times >= TIMES and resumed > 0:
            break


def look_at_the_walk(place: MigrationScenario) -> bool:
    """Mend what is left of a walk, and see which documents it has seen; whether it went on somewhere."""
    place.settle()
    before, behind = seen(place), remembered(place)
    walked = place.states()["m01"] is not MigrationState.COMPLETED
    assert before[:behind] == [1] * behind
    # It is remembered once it is done with a batch, and at most one is done that is not remembered.
    assert sum(before[behind:]) <= BATCH
    place.mend()
    after = seen(place)
    assert after == [count + (walked and number >= behind) for number, count in enumerate(before)]
    assert set(after) <= {1, 2}
    return walked and behind > 0


def seen(place: MigrationScenario) -> list[int]:
    """How often each document was seen."""
    return [thing["seen"] for thing in place.database.things.find(sort=[("_id", 1)])]


def remembered(place: MigrationScenario) -> int:
    """Behind how many documents the walk is, as the journal has it."""
    found: dict[str, Any] = place.database[JOURNAL].find_one({"key": place.keys["m01"]}) or {}
    (behind,) = found.get("places", {"": {"documents": 0}}).values()
    return int(behind["documents"])


@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_kill_at_every_command_the_history_is_true(place: MigrationScenario, moment: Moment) -> None:
    place.write(2)
    cut = set()
    commands = place.commands()
    # Always before anything is recorded, and while each migration runs.
    always = [1, *(journal - 1 for journal, _ in records(commands))]
    for number in sorted({*always, *counts.sample(range(1, len(commands) + 1), 5)}):
        command = commands[number - 1]
        place.forget()
        run = place.run("migrate", "dev")
        place.proxy.at(number, run.kill, moment=moment)
        with named(f"It was killed {moment} command {number}, {command.name}."), run:
            assert run.end() == -signal.SIGKILL, run.said
            cut.add(place.mend())
    assert cut == {None, "m00", "m01"}


@pytest.mark.parametrize("last", [False, True])
def test_a_run_killed_between_the_journal_and_the_state_has_completed(
    place: MigrationScenario, last: bool
) -> None:
    """The next run writes the state, also if nothing else is left to do."""
    place.write(2)
    journal, state = records(place.commands())[-1 if last else 0]
    for number in range(journal, state + 1):
        place.forget()
        run = place.run("migrate", "dev")
        place.proxy.at(number, run.kill)
        with named(f"It was killed before command {number}, of {journal} to {state}."), run:
            assert run.end() == -signal.SIGKILL, run.said
            place.settle()
            stored = place.database[HISTORY].distinct("state", {"key": place.keys["m01" if last else "m00"]})
            assert stored == ["Processing"]
            completed = place.states()["m01" if last else "m00"] is MigrationState.COMPLETED
            assert completed == (number == state)
            place.mend()
            open_ones = {"outcome": {"$exists": False}}
            assert place.database[JOURNAL].count_documents(open_ones) == 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_cut_at_every_command_the_history_is_true(place: MigrationScenario, moment: Moment) -> None:
    place.write(2)
    for number, command in counts.sample(list(enumerate(place.commands(), 1)), 5):
        place.forget()
        place.proxy.at(number, moment=moment)
        with (
            named(f"It was cut off {moment} command {number}, {command.name}."),
            place.run("migrate", "dev") as run,
        ):
            look_after_trouble(place, run)
            # What monarch itself writes is written in spite of that.
            if command.name == "aggregate":
                assert run.end() == 0, run.said


def look_after_trouble(place: MigrationScenario, run: Run) -> None:
    """See that ``run`` ends well and has done all, or tells what is wrong, and that the history is true."""
    code = run.end()
    assert code in (0, 1, 5), run.said
    assert "Traceback" not in run.said
    assert "defect" not in run.said
    if code == 0:
        place.require_once()
    else:
        assert run.err.startswith("Error: "), run.said
    place.mend(UNDONE)


def die(mongod: Mongod) -> None:
    """It is started again on the same data at once."""
    mongod.kill()
    mongod.start()


@pytest.mark.parametrize("piece", range(PIECES))
def test_after_the_server_s_death_the_history_is_true(tmp_path: Path, mongod: Mongod, piece: int) -> None:
    """At every third command, in turn before and after it."""
    with migration_scenario(Folder(tmp_path), mongod.port) as place:
        place.write(2)
        commands = place.commands()
        for number in counts.sample(range(1 + 3 * piece, len(commands) + 1, 3 * PIECES), 2):
            moment: Moment = "before" if number // 3 // PIECES % 2 else "after"
            place.forget()
            place.proxy.at(number, partial(die, mongod), moment=moment)
            with (
                named(f"The server died {moment} command {number}, {commands[number - 1].name}."),
                place.run("migrate", "dev") as run,
            ):
                look_after_trouble(place, run)


def test_what_the_server_forgets_when_it_dies_is_not_called_done(tmp_path: Path, mongod: Mongod) -> None:
    """What a migration has written and the server has not put on its disk yet is gone when it is killed."""
    with migration_scenario(Folder(tmp_path), mongod.port) as place:
        place.write(2)
        journal, _ = records(place.commands())[-1]
        place.proxy.at(journal, partial(die, mongod))
        with place.run("migrate", "dev") as run:
            look_after_trouble(place, run)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_that_is_frozen_for_some_seconds_is_waited_for(
    tmp_path: Path, mongod: Mongod, moment: Moment
) -> None:
    """It is asked again meanwhile, and then it gets everything at once."""

    def freeze() -> None:
        mongod.process.send_signal(signal.SIGSTOP)
        in_a_while(1, partial(mongod.process.send_signal, signal.SIGCONT))

    with migration_scenario(Folder(tmp_path), mongod.port) as place:
        place.write(2)
        machine = Machine(once=0.3)
        commands = list(enumerate(place.commands(machine), 1))
        for number, command in counts.sample(commands[5::6], 2):
            place.forget()
            place.proxy.at(number, freeze, moment=moment, then="go on")
            with (
                named(f"The server was frozen {moment} command {number}, {command.name}."),
                place.run("migrate", "dev", machine=machine) as run,
            ):
                assert run.end() == 0, run.said
                place.require_once()
