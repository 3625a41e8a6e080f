"""The marks of readers: those of dead ones are removed, and nothing else is."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monarch.backups.catalog import BackupCatalog
from monarch.backups.retention.readers import marked_as_read, sweep_marks
from monarch.stores.local.store import LocalStore
from tests.support.runs.shell import Folder
from tests.support.samples.backups import write_backups

MARK = ".reading.0123456789abcdef"
DAY = 24 * 3600
OLD = re.compile(f"{DAY + 600:016x}|{DAY + 601:016x}")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder with one backup, and all that dead and living readers may have left there."""
    folder = tmp_path / "store"
    (name,) = write_backups(folder, [datetime.now(UTC)])
    for archive in (f"{name}.dmp.zst", "gone__2026_01_01.dmp.zst.age"):
        for age in (0, DAY - 600, DAY + 600):
            for ending in (
                f".reading.{age:016x}",
                f".reading.{age + 1:016x}.part",
                f".protected.{age:016x}.part",
            ):
                path = folder / (archive + ending)
                path.touch()
                os.utime(path, (time.time() - age,) * 2)
    for other in ("a.reading.txt", f"{name}.dmp.zst.reading.", f"{name}.dmp.zst.protected"):
        (folder / other).touch()
        os.utime(folder / other, (0, 0))
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_those_of_the_dead_are_removed(store: Path) -> None:
    before = names(store)
    dead = {name for name in before if OLD.search(name)}
    assert len(dead) == 6
    sweep_marks(LocalStore(store))
    assert names(store) == before - dead


def test_that_of_the_living_stays(store: Path) -> None:
    """Also if it has not been renewed for long, as on a machine that slept: it is then written anew."""
    local = LocalStore(store)
    with marked_as_read(local, "a.dmp.zst"), local.create(f"b.dmp.zst{MARK}") as upload:
        held = store / f"b.dmp.zst{MARK}.part"
        os.utime(held, (0, 0))
        sweep_marks(local)
        assert held.exists()
        assert BackupCatalog(local).being_read("a") == {"a.dmp.zst"}
        upload.finish()


def test_a_store_that_cannot_be_reached_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sweep_marks(LocalStore(tmp_path / "file"))


def test_prune_backups_removes_them(folder: Folder, store: Path) -> None:
    """Also if no backup goes; not with --plan."""
    folder.settings(dev={"host": "localhost", "db_name": "dev"})
    folder.keep_backups()
    store.rename(folder.path / "backups")
    before = names(folder.path / "backups")
    assert folder.invoke("prune_backups", "--keep-last", "1", "--plan").code == 0
    assert names(folder.path / "backups") == before
    assert folder.invoke("prune_backups", "--keep-last", "1", "--yes").code == 0
    assert names(folder.path / "backups") == {name for name in before if not OLD.search(name)}


def test_they_go_with_their_backup(store: Path) -> None:
    catalog = BackupCatalog(LocalStore(store))
    (backup,) = catalog.list()
    (store / f"{backup.archive}.protected").unlink()
    (backup,) = catalog.list()
    catalog.delete(backup)
    assert not [name for name in names(store) if name.startswith(backup.archive) and not name.endswith(".")]
