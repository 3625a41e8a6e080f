"""monarch is killed and interrupted while it restores: as it reads the backup, and at commands to the server.

The swap is the same as that of a copy, of which `tests.copies.test_kills` kills more.
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
from tests.support.runs.copy_kills import SOURCES, CopyScenario, Moment, Run, Then, copy_scenario
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

pytestmark = pytest.mark.server

CHUNKS = counts.number(reduced=1, full=2)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
THEN: tuple[Then, ...] = ("list_migrations", "migrate", "restore", "list_migrations", "migrate", "copy_db")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    """One with a backup of each source in its store."""
    with run_mongod() as (port, _), copy_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made:
        made.folder.keep_backups()
        made.begin = Restore
        for side in SOURCES:
            Project(made.folder.path).backup(side)
        for _ in SOURCES:
            side = made.other
            made.runs[side] = made.copy()
        yield made


def moments(run: Run) -> list[tuple[int, Moment]]:
    """When restores are killed: now and then, and in the swap half of the time."""
    numbers = [
        *range(1, run.begins, run.begins // 14),
        *range(run.begins, run.ends, (run.ends - run.begins) // 20),
        *range(run.ends, len(run.commands) + 1),
    ]
    return [(number, MOMENTS[place % 3]) for place, number in enumerate(numbers)]


def kills(run: Run) -> list[tuple[int, Moment]]:
    """The moments of this run, spread over all of it."""
    return counts.sample(moments(run), 6)


def test_the_moments_are_many(target: CopyScenario) -> None:
    run = target.runs["first"]
    found = moments(run)
    assert len(found) >= 36
    stages = [run.stage(*moment) for moment in found]
    assert stages.count("old") >= 14
    assert stages.count("between") >= 18
    assert "new" in stages


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_next_command_mends_what_a_kill_leaves(target: CopyScenario, chunk: int) -> None:
    for place, (number, moment) in enumerate(kills(target.runs["first"])[chunk::CHUNKS]):
        target.kill(number, moment, THEN[(place + chunk) % len(THEN)])


def restore(target: CopyScenario, source: str, trap: Trap | None = None) -> Command:
    told = target.folder.path / "told"
    return Command(
        target.folder.path, "restore", f"{source}:target", "--yes", "--engine", "native", told=told, trap=trap
    )


def said(target: CopyScenario) -> str:
    return (target.folder.path / "told").read_text()


@pytest.mark.parametrize("side", counts.sample(["before", "after"], 1))
def test_a_restore_is_killed_while_it_reads(target: CopyScenario, side: Side) -> None:
    for number in count(1):
        source = target.other
        command = restore(target, source, Trap(number, side, things=READS))
        command.start()
        code = command.end()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        target.look("old", source)
        target.mend("old", source, "migrate")
    target.holds = source
    target.see()
    assert number > 8


def test_a_restore_is_interrupted_while_it_reads(target: CopyScenario) -> None:
    for number in count(1):
        source = target.other
        command = restore(target, source, Trap(number, "after", SIGNALS[number % 2], READS))
        command.start()
        if command.end() == 0:
            break
        assert "Interrupted." in said(target)
        target.look("old", source)
        target.see()
    target.holds = source
    target.see()


@pytest.mark.parametrize("sent", counts.sample(SIGNALS, 1))
def test_a_restore_is_interrupted(target: CopyScenario, sent: signal.Signals) -> None:
    """It cleans up by itself, or finishes where there is no way back."""
    run = target.runs["first"]
    middle = (run.begins + run.ends) // 2
    early = counts.sample(range(3, run.begins - 12, run.begins // 5), 2)
    for number in (*early, run.begins - 12, run.begins, middle):
        source = target.other
        command = restore(target, source)
        target.proxy.at(number, partial(command.kill, sent), then="go on")
        command.start()
        code = command.end()
        (error,) = [line for line in said(target).splitlines() if line.startswith("Error: ")]
        assert code == 130, error
        swapped = "the swap was finished" in error
        assert swapped or "'target' is as it was" in error
        # Near the beginning of the swap it may be one or the other; but what is told is so.
        assert swapped or number <= run.begins + 12
        assert not swapped or number > run.begins - 12
        if swapped:
            target.holds = source
        if left := {name.removeprefix(BUCKETS) for name in target.leavings()}:
            # The command that was on its way then has arrived after all was cleaned up, and begins nothing.
            assert run.commands[number - 1].name in ("create", "update")
            assert len(left) == 1
            target.mend("old", source, "list_migrations")
        target.see()
