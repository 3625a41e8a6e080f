"""Deletions one after another: other runs at the same time, and kills at every call of the store."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monarch.backups.catalog import BackupCatalog
from monarch.backups.retention.protection import Protection, protect
from monarch.backups.retention.prune import prune
from monarch.backups.retention.readers import marked_as_read
from monarch.backups.state import Backup, BackupState
from monarch.errors import StoreError
from monarch.stores.local.store import LocalStore
from tests.support import counts
from tests.support.runs.backup_kills import Side, Trap
from tests.support.samples.backups import write_backups

TODAY = datetime.now(UTC).replace(microsecond=0)
GOING = 2


def catalog_in(folder: Path, backups: int = GOING + 1) -> BackupCatalog:
    """A store in ``folder`` with so many backups."""
    write_backups(folder, [TODAY - timedelta(days=age) for age in range(backups)])
    return BackupCatalog(LocalStore(folder))


def states(catalog: BackupCatalog) -> list[BackupState]:
    """The states of all backups, the newest first, which is the order of their names."""
    return [backup.state for backup in sorted(catalog.list(), key=lambda backup: backup.archive)]


def test_what_another_run_deleted_or_protected_meanwhile_is_passed_over(tmp_path: Path) -> None:
    """Two runs at once, of two machines for example: neither stops at what the other did."""
    catalog = catalog_in(tmp_path, 5)
    *going, kept = catalog.list()
    catalog.delete(going[0])
    protect(catalog.store, going[1].archive, Protection())
    with marked_as_read(catalog.store, going[2].archive):
        pruned = prune(catalog, going, lambda backup: None)
    assert [backup.name for backup in pruned.deleted] == [going[3].name]
    assert [(backup.name, error.message) for backup, error in pruned.refused] == [
        (going[0].name, f"{going[0].name!r} was deleted or changed by another run."),
        (going[1].name, f"{going[1].name!r} is protected for good. It was not deleted."),
        (going[2].name, f"{going[2].name!r} is being read."),
    ]
    assert {backup.name for backup in catalog.list()} == {going[1].name, going[2].name, kept.name}


@pytest.fixture
def set_attribute() -> Iterator[Callable[[str, Path], None]]:
    """Return a function that sets an attribute of a file (chattr); in the end they are removed."""
    changed = []

    def change(attribute: str, path: Path) -> None:
        done = subprocess.run(["chattr", attribute, path], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no attributes here: {done.stderr}")
        changed.append((attribute.replace("+", "-"), path))

    yield change
    for attribute, path in changed:
        subprocess.run(["chattr", attribute, path], check=True)


@pytest.mark.skipif(shutil.which("chattr") is None, reason="needs chattr")
@pytest.mark.parametrize("attribute", ["+i", "+a"])
@pytest.mark.parametrize("end", ["", ".json"])
def test_what_may_not_be_deleted_is_whole_and_the_others_go(
    tmp_path: Path, set_attribute: Callable[[str, Path], None], attribute: str, end: str
) -> None:
    catalog = catalog_in(tmp_path, 4)
    *going, kept = catalog.list()
    set_attribute(attribute, tmp_path / f"{going[1].archive}{end}")
    pruned = prune(catalog, going, lambda backup: None)
    assert [backup.name for backup in pruned.deleted] == [going[0].name, going[2].name]
    ((backup, error),) = pruned.refused
    assert backup.name == going[1].name
    assert error.message == f"{tmp_path / going[1].archive}{end} cannot be deleted: Operation not permitted."
    assert {one.name: one.state for one in catalog.list()} == {
        going[1].name: BackupState.GOOD,
        kept.name: BackupState.GOOD,
    }


def test_a_store_that_fails_ends_it(tmp_path: Path) -> None:
    catalog = catalog_in(tmp_path / "store")
    going = catalog.list()[:GOING]
    (tmp_path / "store").rename(tmp_path / "moved")
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(StoreError):
        prune(catalog, going, lambda backup: None)


def prune_until(catalog: BackupCatalog, going: Sequence[Backup], trap: Trap) -> int:
    """Prune in a child, which ``trap`` kills; return how it ended."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.setprofile(trap)
        prune(catalog, going, lambda backup: None)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("side", counts.sample(("before", "after"), 1))
def test_a_kill_leaves_whole_backups(tmp_path: Path, side: Side) -> None:
    """At every change: the kept one is good, and of those that go one is incomplete at most, none broken."""
    seen = set()
    for number in range(1, 100):
        catalog = catalog_in(tmp_path / str(number))
        going = catalog.list()[:GOING]
        protect(catalog.store, going[0].archive, Protection(datetime.now(UTC)))
        going = catalog.list()[:GOING]
        code = prune_until(catalog, going, Trap(number, side))
        found = states(catalog)
        seen.add(tuple(found))
        assert found[0] is BackupState.GOOD
        # The oldest goes first, so only the oldest that is left can be half gone.
        assert found[-1] in (BackupState.GOOD, BackupState.INCOMPLETE), (number, side)
        assert set(found[:-1]) <= {BackupState.GOOD}, (number, side)
        again = prune(catalog, going, lambda backup: None)
        assert set(states(catalog)[1:]) <= {BackupState.INCOMPLETE}, again
        half = [backup for backup in catalog.list() if backup.state is BackupState.INCOMPLETE]
        for backup in half:
            catalog.delete(backup)
        assert states(catalog) == [BackupState.GOOD]
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert code == 0
    assert seen >= {
        (BackupState.GOOD,) * 3,
        (BackupState.GOOD,) * 2,
        (BackupState.GOOD,),
        (BackupState.GOOD, BackupState.GOOD, BackupState.INCOMPLETE),
        (BackupState.GOOD, BackupState.INCOMPLETE),
    }
