"""monarch is killed and interrupted while it takes and deletes backups.

Before and after every change that it makes to a file, and at the commands that go to the server.
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
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackupScenario]:
    with run_mongod() as (port, _), backup_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made:
        yield made


@pytest.fixture(autouse=True)
def before(here: BackupScenario) -> Iterator[Files]:
    """The contents of the store. Each test restores them, or the next ones would fail too."""
    files = here.files()
    yield files
    here.put(files)


def backup(number: int) -> tuple[str, ...]:
    return ("backup", "production", "--codec", CODECS[number % 2], "--engine", "native")


def totals_of(here: BackupScenario, before: Files, side: Side) -> list[int]:
    """How many changes a backup makes, with each codec."""
    totals = []
    for codec in range(len(CODECS)):
        totals.append(here.calls(*backup(codec), side=side))
        here.put(before)
    return totals


def numbers(here: BackupScenario, before: Files, side: Side) -> list[int]:
    """At which changes of a backup it is stopped, by turns with each codec."""
    totals = totals_of(here, before, side)
    found = [number for number in range(1, max(totals) + 1) if number <= totals[number % len(CODECS)]]
    assert len(found) > 25
    return counts.sample(found, 10)


def moments() -> Iterator[tuple[int, Side]]:
    """Before and after each change, or by turns."""
    each = counts.number(reduced=1, full=2)
    return ((number, SIDES[(number + turn) % 2]) for number in count(1) for turn in range(each))


def clear(here: BackupScenario, others: list[Backup], before: Files) -> None:
    """Delete the other backups, as a person would."""
    for other in others:
        here.run("delete_backup", other.name, "--yes")
    assert here.files() == before


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_killed(here: BackupScenario, before: Files, side: Side) -> None:
    seen = []
    totals = totals_of(here, before, side)
    for number in numbers(here, before, side):
        command = here.command(*backup(number), trap=Trap(number, side))
        command.start()
        code = command.end()
        with here.named(number, side):
            others = here.look()
            assert len(others) <= 1
            clear(here, others, before)
        if code == 0:
            # The bytes of two archives differ by some, and so may their number of writes: this one has been
            # taken before the number came.
            assert [other.state for other in others] == [BackupState.GOOD]
            assert number >= totals[number % len(CODECS)] - 3
            continue
        assert code == -signal.SIGKILL
        seen += [other.state for other in others]
    each = counts.number(reduced=1, full=3)
    for state in (BackupState.UNFINISHED, BackupState.INCOMPLETE, BackupState.GOOD):
        assert seen.count(state) >= each


def test_a_backup_is_killed_at_a_command(here: BackupScenario, before: Files) -> None:
    commands = len(here.proxy.commands)
    here.run(*backup(0))
    commands = len(here.proxy.commands) - commands
    here.put(before)
    assert commands > 40
    # The last one asks for the server's version, when the archive is finished.
    for number in (*counts.sample(range(1, commands, 2), 6), commands):
        command = here.command(*backup(number))
        here.proxy.at(number, command.kill, moment=SIDES[number % 2])
        command.start()
        assert command.end() == -signal.SIGKILL
        others = here.look()
        assert {other.state for other in others} <= {BackupState.UNFINISHED, BackupState.INCOMPLETE}
        clear(here, others, before)


def test_a_backup_loses_its_server_when_its_archive_is_finished(here: BackupScenario, before: Files) -> None:
    commands = len(here.proxy.commands)
    here.run(*backup(0))
    commands = len(here.proxy.commands) - commands
    here.put(before)
    command = here.command(*backup(0))
    here.proxy.at(commands, here.proxy.refuse)
    command.start()
    code = command.end()
    here.proxy.accept()
    assert code == 5
    assert "Error: Lost the connection to 'production'" in here.said()
    assert here.files() == before


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_interrupted(here: BackupScenario, before: Files, side: Side) -> None:
    for number in numbers(here, before, side):
        command = here.command(*backup(number), trap=Trap(number, side, SIGNALS[number % 2]))
        command.start()
        code = command.end()
        with here.named(number, side):
            assert code == 130
            assert "Error: Interrupted. Nothing was kept of the backup.\n" in here.said()
            assert here.files() == before


def test_a_backup_is_interrupted_at_a_command(here: BackupScenario, before: Files) -> None:
    for number in counts.sample(range(1, 21, 2), 4):
        command = here.command(*backup(number))
        here.proxy.at(number, partial(command.kill, SIGNALS[number % 4 // 2]), then="go on")
        command.start()
        assert command.end() == 130
        assert here.said() == "Error: Interrupted. Nothing was kept of the backup.\n"
        assert here.files() == before


@pytest.fixture
def no_folder(here: BackupScenario, before: Files) -> Iterator[None]:
    """The store has no folder yet."""
    kept = here.store.rename(here.store.with_name("kept"))
    yield
    shutil.rmtree(here.store, ignore_errors=True)
    kept.rename(here.store)


@pytest.mark.usefixtures("no_folder")
@pytest.mark.parametrize("side", counts.sample(SIDES, 1))
def test_a_backup_that_makes_its_folder_is_killed(here: BackupScenario, side: Side) -> None:
    there = set(here.folder.path.iterdir())
    for number in count(1):
        command = here.command(*backup(0), trap=Trap(number, side))
        command.start()
        assert command.end() == -signal.SIGKILL
        made = here.store.exists() and any(name.endswith(".part") for name in here.files())
        with here.named(number, side):
            here.run(*backup(0))
            assert here.store.stat().st_mode & 0o777 == 0o700
            assert here.files()[".gitignore"] == (b"*\n", 0o600)
            for other in here.catalog.list():
                here.run("delete_backup", other.name, "--yes")
            assert here.files().keys() == {".gitignore"}
            assert set(here.folder.path.iterdir()) == there | {here.store}
        shutil.rmtree(here.store)
        if made:
            break
    assert number > 8


@pytest.mark.usefixtures("no_folder")
@pytest.mark.parametrize("side", SIDES)
def test_a_backup_that_makes_its_folder_is_interrupted(here: BackupScenario, side: Side) -> None:
    there = set(here.folder.path.iterdir())
    for number in counts.sample(range(1, 12), 4):
        command = here.command(*backup(0), trap=Trap(number, side, SIGNALS[number % 2]))
        command.start()
        assert command.end() == 130
        with here.named(number, side):
            assert set(here.folder.path.iterdir()) <= there | {here.store}
            if here.store.exists():
                assert here.files() == {".gitignore": (b"*\n", 0o600)}
                here.store.joinpath(".gitignore").unlink()
                here.store.rmdir()


# What is to be deleted, and where the backup that it comes from is killed: after it has got a name, while the
# temporary one is there yet, of the manifest or of the archive.
DELETED = {"a backup": None, "both names of a manifest": 2, "both names of an archive": 1}


@pytest.mark.parametrize(
    ("what", "sent"),
    counts.sample([*((what, signal.SIGKILL) for what in DELETED), ("a backup", signal.SIGINT)], 2),
)
def test_delete_backup_is_stopped(
    here: BackupScenario, before: Files, what: str, sent: signal.Signals
) -> None:
    link = DELETED[what]
    seen: set[BackupState | None] = set()
    for number, side in moments():
        cut_off = Trap(link, "after", things=frozenset(("link",))) if link else None
        maker = here.command(*backup(0), trap=cut_off)
        maker.start()
        assert maker.end() == (-signal.SIGKILL if link else 0)
        (name,) = (found.name for found in here.catalog.list() if found.name != here.good)
        things = CHANGES if link is None else frozenset(("unlink", "fsync"))
        command = here.command("delete_backup", name, "--yes", trap=Trap(number, side, sent, things))
        command.start()
        code = command.end()
        with here.named(number, side):
            others = here.look()
            assert {other.name for other in others} <= {name}
            clear(here, others, before)
        if code == 0:
            assert not others
            break
        assert code == (130 if sent == signal.SIGINT else -sent)
        seen |= {other.state for other in others} or {None}
    assert number > (8 if link is None else 4)
    assert seen >= {None, BackupState.INCOMPLETE}
