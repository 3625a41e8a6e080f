"""Kills and interrupts while a dump is taken over: nothing half counts, and the next run works."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import bson
import pytest

from monarch import Project
from monarch.backups.reader import verify
from monarch.backups.state import BackupState
from tests.backups.foreign.test_adoption import NOWHERE, zip_of
from tests.support import counts
from tests.support.runs.backup_kills import Command, Side, Trap
from tests.support.runs.shell import Folder

pytestmark = pytest.mark.server  # it starts processes, as those do
SIDES: tuple[Side, ...] = ("before", "after")
DOCUMENTS = 300


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.settings(production={"uri": NOWHERE, "db_name": "app"})
    folder.keep_backups()
    # Random bytes do not compress, so the archive is written in several calls.
    chance = random.Random(7)
    documents = [bson.encode({"_id": n, "data": chance.randbytes(10_000)}) for n in range(DOCUMENTS)]
    (tmp_path / "dump.zip").write_bytes(zip_of({"dump/app/users.bson": b"".join(documents)}))
    return folder


def command(project: Folder, trap: Trap) -> Command:
    return Command(project.path, "adopt_backup", "dump.zip", output_path=project.path / "output", trap=trap)


def run(project: Folder, trap: Trap) -> int | None:
    started = command(project, trap)
    started.start()
    return started.end()


def check(project: Folder) -> list[BackupState]:
    """Check that what is good is whole, that the next run works, and that the rest can be deleted."""
    catalog = Project(project.path).backups
    found = catalog.list()
    for backup in found:
        if backup.state is BackupState.GOOD:
            assert [one.documents for one in verify(catalog, backup)] == [DOCUMENTS]
        else:
            assert backup.state in (BackupState.UNFINISHED, BackupState.INCOMPLETE)
            assert project.invoke("restore", f"{backup.name}:production", "--yes").code == 1
    taken = project.invoke("adopt_backup", "dump.zip", "--json").json
    assert taken["name"] not in {backup.name for backup in found}
    assert project.invoke("verify_backup", taken["name"]).code == 0
    names = [backup.name for backup in catalog.list()]
    assert project.invoke("delete_backup", *names, "--yes").code == 0
    left = {path.name for path in (project.path / "backups").iterdir() if not path.name.startswith(".")}
    assert not {name for name in left if ".dmp." in name}
    assert (project.path / "dump.zip").exists()
    return [backup.state for backup in found]


def total(project: Folder, side: Side) -> int:
    assert run(project, Trap(0, side)) == 0
    number = int((project.path / "output").read_text().splitlines()[-1].removesuffix(" calls"))
    check(project)
    return number


@pytest.mark.parametrize("side", SIDES)
def test_it_is_killed(project: Folder, side: Side) -> None:
    changes = range(1, total(project, side) + 1)
    assert len(changes) > 20
    seen = []
    for number in counts.sample(changes, 3):
        code = run(project, Trap(number, side))
        assert code in (0, -signal.SIGKILL)
        seen += check(project)
    assert seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_it_is_interrupted(project: Folder, number: signal.Signals) -> None:
    """Nothing is left, or all of it, and the command says which."""
    for change in counts.sample(range(1, total(project, "before") + 1), 3):
        code = run(project, Trap(change, "before", number))
        states = check_interrupted(project, code)
        assert states == check(project)


def check_interrupted(project: Folder, code: int | None) -> list[BackupState]:
    states = [backup.state for backup in Project(project.path).backups.list()]
    output = (project.path / "output").read_text()
    if code == 0:
        assert states == [BackupState.GOOD]
    else:
        assert code == 130, output
        assert ("Nothing was kept of the backup" in output) == (not states), output
        assert ("the backup was complete" in output) == bool(states), output
        assert set(states) <= {BackupState.GOOD}
    return states
