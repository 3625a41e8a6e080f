"""Protections that change: the backup is protected at any moment, whoever does it and whatever is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monarch.backups.catalog import BackupCatalog
from monarch.backups.names import PROTECTED, split_note_name
from monarch.backups.retention.protecting import protect_backup, unprotect_backup
from monarch.backups.retention.protection import Protection, longest, protect
from monarch.backups.state import BackupState
from monarch.errors import LockedError
from monarch.stores.local.store import LocalStore
from tests.backups.test_kills import SIDES
from tests.support.runs.backup_kills import Side, Trap
from tests.support.samples.backups import ARCHIVE, write_backups

TODAY = datetime.now(UTC).replace(microsecond=0)
SOON, LATER = (Protection(TODAY + timedelta(days=days), "ann", TODAY) for days in (2, 9))
FOR_GOOD = Protection(None, "ann", TODAY)


@pytest.fixture
def catalog(tmp_path: Path) -> BackupCatalog:
    """A store with one backup."""
    write_backups(tmp_path / "store", [TODAY])
    return BackupCatalog(LocalStore(tmp_path / "store"))


def notes(catalog: BackupCatalog) -> set[str]:
    """The finished files that protect; an unfinished one is left by a kill, and does not protect."""
    return {one.name for one in catalog.store.list() if PROTECTED in one.name and not one.unfinished}


def test_the_longest_holds() -> None:
    assert longest([LATER, FOR_GOOD, SOON]) == FOR_GOOD
    assert longest([SOON, LATER]) == LATER
    newer = Protection(LATER.until, "bob", TODAY + timedelta(hours=1))
    assert longest([newer, LATER]) == longest([LATER, newer]) == newer


def test_the_names_of_its_files() -> None:
    archive = "a.dmp.zst.age"
    for ending in (".protected", ".protected.0123456789abcdef"):
        assert split_note_name(archive + ending) == (archive, PROTECTED)
    for other in (".protected.", ".protected.x", ".protected.0123456789abcdef0", ".protected.dmp.zst"):
        assert split_note_name(archive + other) is None


def test_it_changes_again_and_again(catalog: BackupCatalog) -> None:
    (backup,) = catalog.list()
    for protection in (SOON, LATER, FOR_GOOD, SOON):
        assert protect_backup(catalog, backup.name, protection).name == backup.name
        (backup,) = catalog.list()
        assert backup.protection == protection
        assert len(notes(catalog)) == 1
    assert unprotect_backup(catalog, backup.name) == (backup, True)
    assert notes(catalog) == set()
    protect_backup(catalog, backup.name, SOON)
    protect(catalog.store, backup.archive, LATER)
    (backup,) = catalog.list()
    unprotect_backup(catalog, backup.name)
    catalog.delete(catalog.get(backup.name))
    assert {one.name for one in catalog.store.list()} == set()


def test_of_several_the_longest_holds(catalog: BackupCatalog) -> None:
    (backup,) = catalog.list()
    with catalog.store.create(f"{backup.archive}.protected.0123456789abcdef") as upload:
        upload.write(LATER.to_bytes())
        upload.finish()
    with catalog.store.create(f"{backup.archive}.protected") as upload:
        upload.write(SOON.to_bytes())
        upload.finish()
    (backup,) = catalog.list()
    assert backup.protection == LATER
    with pytest.raises(LockedError):
        catalog.delete(backup)
    unprotect_backup(catalog, backup.name)
    assert notes(catalog) == set()


@pytest.mark.parametrize("side", SIDES)
def test_a_kill_never_leaves_it_unprotected(tmp_path: Path, side: Side) -> None:
    found: set[Protection | None] = set()
    for number in range(1, 100):
        folder = tmp_path / str(number)
        write_backups(folder, [TODAY])
        catalog = BackupCatalog(LocalStore(folder))
        (backup,) = catalog.list()
        protect(catalog.store, backup.archive, FOR_GOOD)
        code = protect_until(catalog, backup.archive, SOON, Trap(number, side))
        (backup,) = catalog.list()
        assert backup.protection in (FOR_GOOD, SOON), number
        found.add(backup.protection)
        # The next one removes what is left.
        protect_backup(catalog, backup.name, LATER)
        (backup,) = catalog.list()
        assert backup.protection == LATER
        assert len(notes(catalog)) == 1
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert code == 0
    assert found == {FOR_GOOD, SOON}


def protect_until(catalog: BackupCatalog, archive: str, protection: Protection, trap: Trap) -> int:
    """Protect in a child, which ``trap`` kills; return how it ended."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.setprofile(trap)
        protect(catalog.store, archive, protection)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_several_at_once(catalog: BackupCatalog) -> None:
    (backup,) = catalog.list()
    protect(catalog.store, backup.archive, FOR_GOOD)
    for _ in range(30):
        threads = [
            threading.Thread(target=protect, args=(catalog.store, backup.archive, one))
            for one in (SOON, LATER, FOR_GOOD)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert _protected(catalog)
        assert _protected(catalog)


def _protected(catalog: BackupCatalog) -> bool:
    # A listing that is read while one replaces another may see neither: it is read again.
    return any(catalog.list()[0].protection is not None for _ in range(3))


def test_all_archives_of_a_backup_are_protected(catalog: BackupCatalog) -> None:
    (backup,) = catalog.list()
    archive = f"{backup.archive}.age"
    manifest = replace(catalog.manifest(backup), archive=archive, recipients=("age1x",))
    folder = Path(catalog.store.place)
    (folder / archive).write_bytes(ARCHIVE)
    (folder / f"{archive}.json").write_bytes(manifest.to_bytes())
    assert [one.state for one in catalog.list()] == [BackupState.GOOD] * 2
    protect_backup(catalog, backup.name, LATER)
    assert [one.protection for one in catalog.list()] == [LATER, LATER]
    unprotect_backup(catalog, backup.name)
    assert [one.protection for one in catalog.list()] == [None, None]
