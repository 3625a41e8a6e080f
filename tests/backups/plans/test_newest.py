"""The newest good backup of an environment, looked for in the background and for some seconds at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monarch.backups.catalog import BackupCatalog
from monarch.backups.plans.newest import NewestBackup, NewestSearch, WayBack
from monarch.databases.environment import Environment
from monarch.errors import StoreError
from monarch.stores import open_store
from monarch.stores.local.store import LocalStore
from monarch.system.secrets import MASK, Secret
from tests.backups.test_many import fill
from tests.commands.backups.test_freshness import NAMES, change
from tests.support.stores.faulty import Faulty

PRODUCTION = Environment("production", "mongo", "app", "db:27017")
LONG_AGO, NOW = timedelta(days=2), timedelta(minutes=61)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of two backups of production, of two days and of an hour ago."""
    kept = tmp_path / "backups"
    fill(kept, 2)
    for name, old in zip(NAMES, (LONG_AGO, NOW), strict=True):
        change(manifest(kept, name), taken_at=datetime.now(UTC) - old)
    return kept


def manifest(folder: Path, name: str) -> Path:
    return folder / f"{name}.dmp.zst.json"


def opening(folder: Path) -> Callable[[], BackupCatalog]:
    return lambda: BackupCatalog(LocalStore(folder))


def find(folder: Path) -> NewestBackup:
    return NewestSearch(opening(folder), PRODUCTION).result()


def test_it_is_the_newest_good_one_and_its_age(folder: Path) -> None:
    newest = find(folder)
    assert newest.found is WayBack.BACKUP
    assert newest.backup is not None
    assert newest.age is not None
    assert (newest.backup.name, newest.why) == (NAMES[1], None)
    assert NOW <= newest.age < NOW + timedelta(minutes=5)


@pytest.mark.parametrize("members", [{"masked": True}, {"query_set": "FewQuerySet"}, {"environment": "qa"}])
def test_what_cannot_bring_the_database_back_does_not_count(folder: Path, members: dict[str, Any]) -> None:
    change(manifest(folder, NAMES[1]), **members)
    newest = find(folder)
    assert newest.backup is not None
    assert (newest.backup.name, newest.why) == (NAMES[0], None)
    change(manifest(folder, NAMES[0]), **members)
    assert find(folder) == NewestBackup(PRODUCTION, WayBack.NONE)


def test_a_newer_one_that_is_broken_or_unreadable_is_a_doubt(folder: Path) -> None:
    archive = folder / f"{NAMES[1]}.dmp.zst"
    archive.unlink()  # it may be linked to the others
    archive.write_bytes(b"cut")
    newest = find(folder)
    assert newest.backup is not None
    assert newest.why is not None
    assert newest.backup.name == NAMES[0]
    assert f"the newest, {NAMES[1]}, is broken" in newest.why
    for name in NAMES:
        manifest(folder, name).write_bytes(b"{}")
    newest = find(folder)
    assert (newest.found, newest.backup) == (WayBack.NONE, None)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    newest = find(tmp_path / "gone")
    assert newest == NewestBackup(
        PRODUCTION, WayBack.NONE, why=f"the folder {tmp_path / 'gone'} does not exist"
    )


def test_without_a_store_there_is_none() -> None:
    newest = NewestSearch(lambda: BackupCatalog(open_store(None, Path())), PRODUCTION).result()
    assert newest.found is WayBack.NO_STORE


def test_a_store_that_fails_is_no_error(folder: Path) -> None:
    store = Faulty(LocalStore(folder))
    store.fail("list")
    newest = NewestSearch(lambda: BackupCatalog(store), PRODUCTION).result()
    assert (newest.found, newest.backup) == (WayBack.UNKNOWN, None)
    assert newest.why

    def tell() -> BackupCatalog:
        raise StoreError(f"{Secret('very-hush').reveal()} is refused.")

    assert NewestSearch(tell, PRODUCTION).result().why == f"{MASK} is refused"

    def fail() -> BackupCatalog:
        raise RuntimeError("a library")

    newest = NewestSearch(fail, PRODUCTION).result()
    assert newest == NewestBackup(PRODUCTION, WayBack.UNKNOWN, why="BACKUPS cannot be read: RuntimeError")


def test_a_store_that_does_not_answer_is_given_up(folder: Path) -> None:
    store = Faulty(LocalStore(folder))
    stall = store.stall("list")
    began = time.monotonic()
    search = NewestSearch(lambda: BackupCatalog(store), PRODUCTION, seconds=0.1)
    newest = search.result()
    assert time.monotonic() - began < 30
    assert newest == NewestBackup(PRODUCTION, WayBack.UNKNOWN, why="BACKUPS could not be read within 0.1 s")
    stall.go_on()
