"""Kills and interrupts of monarch while it restores: as it reads the backup, and at commands to the server.

The swap is the same as that of a copy, which `tests.copies.test_kills` kills at more moments.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest

from monarch import Project
from monarch.databases.mongo.catalog.model import BUCKETS
from tests.support import counts
from tests.support.runs.backup_kills import READS, Command, Restore, Side, Trap
from tests.support.runs.copy_kills import SOURCES, CopyScenario, Moment, NextCommand, Run, copy_scenario
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

pytestmark = pytest.mark.server

CHUNKS = counts.number(reduced=1, full=2)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
NEXT_COMMANDS: tuple[NextCommand, ...] = (
    "list_migrations",
    "migrate",
    "restore",
    "list_migrations",
    "migrate",
    "copy_db",
)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    """A target, and a backup of each source in the store."""
    with run_mongod() as (port, _), copy_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made:
        made.folder.keep_backups()
        made.process_class = Restore
        for side in SOURCES:
            Project(made.folder.path).backup(side)
        for _ in SOURCES:
            side = made.other
            made.runs[side] = made.copy()
        yield made


def moments(run: Run) -> list[tuple[int, Moment]]:
    """Return when to kill restores: half of the moments are in the swap."""
    numbers = [
        *range(1, run.begins, run.begins // 14),
        *range(run.begins, run.ends, (run.ends - run.begins) // 20),
        *range(run.ends, len(run.commands) + 1),
    ]
    return [(number, MOMENTS[index % 3]) for index, number in enumerate(numbers)]


def kills(run: Run) -> list[tuple[int, Moment]]:
    """Return the moments to test in ``run``, spread over all of it."""
    return counts.sample(moments(run), 6)


def test_there_are_many_moments(scenario: CopyScenario) -> None:
    run = scenario.runs["first"]
    found = moments(run)
    assert len(found) >= 36
    stages = [run.stage(*moment) for moment in found]
    assert stages.count("old") >= 14
    assert stages.count("between") >= 18
    assert "new" in stages


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_next_command_recovers_from_a_kill(scenario: CopyScenario, chunk: int) -> None:
    for index, (number, moment) in enumerate(kills(scenario.runs["first"])[chunk::CHUNKS]):
        scenario.kill(number, moment, NEXT_COMMANDS[(index + chunk) % len(NEXT_COMMANDS)])


def restore(scenario: CopyScenario, source: str, trap: Trap | None = None) -> Command:
    output_path = scenario.folder.path / "output"
    return Command(
        scenario.folder.path,
        "restore",
        f"{source}:target",
        "--yes",
        "--engine",
        "native",
        output_path=output_path,
        trap=trap,
    )


def output(scenario: CopyScenario) -> str:
    return (scenario.folder.path / "output").read_text()


@pytest.mark.parametrize("side", counts.sample(["before", "after"], 1))
def test_a_restore_is_killed_while_it_reads(scenario: CopyScenario, side: Side) -> None:
    for number in count(1):
        source = scenario.other
        command = restore(scenario, source, Trap(number, side, functions=READS))
        command.start()
        code = command.end()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        scenario.require_stage("old", source)
        scenario.recover("old", source, "migrate")
    scenario.current = source
    scenario.require_settled()
    assert number > 8


def test_a_restore_is_interrupted_while_it_reads(scenario: CopyScenario) -> None:
    for number in count(1):
        source = scenario.other
        command = restore(scenario, source, Trap(number, "after", SIGNALS[number % 2], READS))
        command.start()
        if command.end() == 0:
            break
        assert "Interrupted." in output(scenario)
        scenario.require_stage("old", source)
        scenario.require_settled()
    scenario.current = source
    scenario.require_settled()


@pytest.mark.parametrize("signal_number", counts.sample(SIGNALS, 1))
def test_a_restore_is_interrupted(scenario: CopyScenario, signal_number: signal.Signals) -> None:
    """monarch cleans up, or finishes the swap if it has begun."""
    run = scenario.runs["first"]
    middle = (run.begins + run.ends) // 2
    early = counts.sample(range(3, run.begins - 12, run.begins // 5), 2)
    for number in (*early, run.begins - 12, run.begins, middle):
        source = scenario.other
        command = restore(scenario, source)
        scenario.proxy.at(number, partial(command.kill, signal_number), then="go on")
        command.start()
        code = command.end()
        (error,) = [line for line in output(scenario).splitlines() if line.startswith("Error: ")]
        assert code == 130, error
        swapped = "the swap was finished" in error
        assert swapped or "'target' is as it was" in error
        # Near the beginning of the swap both are possible; the message must be true.
        assert swapped or number <= run.begins + 12
        assert not swapped or number > run.begins - 12
        if swapped:
            scenario.current = source
        if leftovers := {name.removeprefix(BUCKETS) for name in scenario.leftovers()}:
            # The command that was in transit has arrived after the cleanup, and begins nothing.
            assert run.commands[number - 1].name in ("create", "update")
            assert len(leftovers) == 1
            scenario.recover("old", source, "list_migrations")
        scenario.require_settled()
