"""Kills and interrupts of monarch while it creates and deletes backups.

They come before and after every change of a file, and at commands to the server.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest

from monarch.backups.state import Backup, BackupState
from tests.support import counts
from tests.support.runs.backup_kills import CHANGES, BackupScenario, Files, Side, Trap, backup_scenario
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

pytestmark = pytest.mark.server

SIDES: tuple[Side, ...] = ("before", "after")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
CODECS = ("zst", "gz")


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackupScenario]:
    with run_mongod() as (port, _), backup_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made:
        yield made


@pytest.fixture(autouse=True)
def before(scenario: BackupScenario) -> Iterator[Files]:
    """The files of the store, restored after each test so that a failure does not affect the next tests."""
    files = scenario.files()
    yield files
    scenario.set_files(files)


def backup(number: int) -> tuple[str, ...]:
    return ("backup", "production", "--codec", CODECS[number % 2], "--engine", "native")


def totals_of(scenario: BackupScenario, before: Files, side: Side) -> list[int]:
    """Return how many changes a backup makes with each codec."""
    totals = []
    for codec in range(len(CODECS)):
        totals.append(scenario.count_calls(*backup(codec), side=side))
        scenario.set_files(before)
    return totals


def numbers(totals: list[int]) -> list[int]:
    """Return the changes at which to stop a backup, alternating between the codecs."""
    found = [number for number in range(1, max(totals) + 1) if number <= totals[number % len(CODECS)]]
    assert len(found) > 25
    return counts.sample(found, 10)


def moments() -> Iterator[tuple[int, Side]]:
    """Before and after each change, or alternately."""
    each = counts.number(reduced=1, full=2)
    return ((number, SIDES[(number + turn) % 2]) for number in count(1) for turn in range(each))


def clear(scenario: BackupScenario, others: list[Backup], before: Files) -> None:
    """Delete the other backups, as a person would."""
    for other in others:
        scenario.run("delete_backup", other.name, "--yes")
    assert scenario.files() == before


def require_complete(scenario: BackupScenario, others: list[Backup], number: int, total: int) -> None:
    """The backup was complete before it reached change ``number``, of about ``total``.

    Archives differ by some bytes, and so may the number of writes.
    """
    assert [other.state for other in others] == [BackupState.GOOD]
    assert not scenario.output().startswith(SIDES), "the signal was sent"
    assert number >= total - 3


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_killed(scenario: BackupScenario, before: Files, side: Side) -> None:
    seen = []
    totals = totals_of(scenario, before, side)
    for number in numbers(totals):
        command = scenario.command(*backup(number), trap=Trap(number, side))
        command.start()
        code = command.end()
        with scenario.annotate_errors(number, side):
            others = scenario.check_backups()
            assert len(others) <= 1
            clear(scenario, others, before)
        if code == 0:
            require_complete(scenario, others, number, totals[number % len(CODECS)])
            continue
        assert code == -signal.SIGKILL
        seen += [other.state for other in others]
    each = counts.number(reduced=1, full=3)
    for state in (BackupState.UNFINISHED, BackupState.INCOMPLETE, BackupState.GOOD):
        assert seen.count(state) >= each


def commands_to_the_end(scenario: BackupScenario, before: Files) -> int:
    """How many commands a backup sends up to that which asks for the server's version, after the archive.

    What follows writes the line of the journal: the backup is complete then.
    """
    first = len(scenario.proxy.commands)
    scenario.run(*backup(0))
    scenario.set_files(before)
    names = scenario.proxy.names[first:]
    return len(names) - names[::-1].index("buildInfo")


def test_a_backup_is_killed_at_a_command(scenario: BackupScenario, before: Files) -> None:
    commands = commands_to_the_end(scenario, before)
    assert commands > 40
    # The last one asks for the server's version, when the archive is finished.
    for number in (*counts.sample(range(1, commands, 2), 6), commands):
        command = scenario.command(*backup(number))
        scenario.proxy.at(number, command.kill, moment=SIDES[number % 2])
        command.start()
        assert command.end() == -signal.SIGKILL
        others = scenario.check_backups()
        assert {other.state for other in others} <= {BackupState.UNFINISHED, BackupState.INCOMPLETE}
        clear(scenario, others, before)


def test_a_backup_that_loses_its_server_after_the_archive_keeps_nothing(
    scenario: BackupScenario, before: Files
) -> None:
    commands = commands_to_the_end(scenario, before)
    command = scenario.command(*backup(0))
    scenario.proxy.at(commands, scenario.proxy.refuse)
    command.start()
    code = command.end()
    scenario.proxy.accept()
    assert code == 5
    assert "Error: Lost the connection to 'production'" in scenario.output()
    assert scenario.files() == before


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_interrupted(scenario: BackupScenario, before: Files, side: Side) -> None:
    totals = totals_of(scenario, before, side)
    for number in numbers(totals):
        command = scenario.command(*backup(number), trap=Trap(number, side, SIGNALS[number % 2]))
        command.start()
        code = command.end()
        with scenario.annotate_errors(number, side):
            if code == 0:
                others = scenario.check_backups()
                require_complete(scenario, others, number, totals[number % len(CODECS)])
                clear(scenario, others, before)
                continue
            assert code == 130
            assert "Error: Interrupted. Nothing was kept of the backup.\n" in scenario.output()
            assert scenario.files() == before


def test_a_backup_is_interrupted_at_a_command(scenario: BackupScenario, before: Files) -> None:
    for number in counts.sample(range(1, 21, 2), 4):
        command = scenario.command(*backup(number))
        scenario.proxy.at(number, partial(command.kill, SIGNALS[number % 4 // 2]), then="go on")
        command.start()
        assert command.end() == 130
        assert scenario.output() == "Error: Interrupted. Nothing was kept of the backup.\n"
        assert scenario.files() == before


@pytest.fixture
def no_folder(scenario: BackupScenario, before: Files) -> Iterator[None]:
    """A store whose folder does not exist."""
    moved = scenario.store.rename(scenario.store.with_name("moved"))
    yield
    shutil.rmtree(scenario.store, ignore_errors=True)
    moved.rename(scenario.store)


@pytest.mark.usefixtures("no_folder")
@pytest.mark.parametrize("side", counts.sample(SIDES, 1))
def test_a_backup_that_creates_its_folder_is_killed(scenario: BackupScenario, side: Side) -> None:
    existing = set(scenario.folder.path.iterdir())
    for number in count(1):
        command = scenario.command(*backup(0), trap=Trap(number, side))
        command.start()
        assert command.end() == -signal.SIGKILL
        made = scenario.store.exists() and any(name.endswith(".part") for name in scenario.files())
        with scenario.annotate_errors(number, side):
            scenario.run(*backup(0))
            assert scenario.store.stat().st_mode & 0o777 == 0o700
            assert scenario.files()[".gitignore"] == (b"*\n", 0o600)
            for other in scenario.catalog.list():
                scenario.run("delete_backup", other.name, "--yes")
            assert scenario.files().keys() == {".gitignore"}
            assert set(scenario.folder.path.iterdir()) == existing | {scenario.store}
        shutil.rmtree(scenario.store)
        if made:
            break
    assert number > 8


@pytest.mark.usefixtures("no_folder")
@pytest.mark.parametrize("side", SIDES)
def test_a_backup_that_creates_its_folder_is_interrupted(scenario: BackupScenario, side: Side) -> None:
    existing = set(scenario.folder.path.iterdir())
    for number in counts.sample(range(1, 12), 4):
        command = scenario.command(*backup(0), trap=Trap(number, side, SIGNALS[number % 2]))
        command.start()
        assert command.end() == 130
        with scenario.annotate_errors(number, side):
            assert set(scenario.folder.path.iterdir()) <= existing | {scenario.store}
            if scenario.store.exists():
                assert scenario.files() == {".gitignore": (b"*\n", 0o600)}
                scenario.store.joinpath(".gitignore").unlink()
                scenario.store.rmdir()


# What to delete, and at which link call its backup is killed: the archive or the manifest then has its final
# name, and still its temporary one.
DELETED = {"a backup": None, "both names of a manifest": 2, "both names of an archive": 1}


@pytest.mark.parametrize(
    ("what", "signal_number"),
    counts.sample([*((what, signal.SIGKILL) for what in DELETED), ("a backup", signal.SIGINT)], 2),
)
def test_delete_backup_is_stopped(
    scenario: BackupScenario, before: Files, what: str, signal_number: signal.Signals
) -> None:
    link = DELETED[what]
    seen: set[BackupState | None] = set()
    for number, side in moments():
        trap = Trap(link, "after", functions=frozenset(("link",))) if link else None
        maker = scenario.command(*backup(0), trap=trap)
        maker.start()
        assert maker.end() == (-signal.SIGKILL if link else 0)
        (name,) = (found.name for found in scenario.catalog.list() if found.name != scenario.good)
        functions = CHANGES if link is None else frozenset(("unlink", "fsync"))
        command = scenario.command(
            "delete_backup", name, "--yes", trap=Trap(number, side, signal_number, functions)
        )
        command.start()
        code = command.end()
        with scenario.annotate_errors(number, side):
            others = scenario.check_backups()
            assert {other.name for other in others} <= {name}
            clear(scenario, others, before)
        if code == 0:
            assert not others
            break
        assert code == (130 if signal_number == signal.SIGINT else -signal_number)
        seen |= {other.state for other in others} or {None}
    assert number > (8 if link is None else 4)
    assert seen >= {None, BackupState.INCOMPLETE}
