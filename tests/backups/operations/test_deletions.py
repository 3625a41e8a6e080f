"""What a store remembers of backups that were deleted, also if that failed, was cut off or killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monarch.backups.catalog import BackupCatalog
from monarch.backups.names import JOURNAL
from monarch.backups.operations import in_store
from monarch.backups.operations.deletions import delete_all
from monarch.backups.operations.lines import read_lines
from monarch.backups.retention.policy import KeepPolicy, KeepSettings
from monarch.backups.retention.protection import Protection, protect
from monarch.backups.retention.prune import PruneRequest
from monarch.backups.state import Backup
from monarch.databases.history import JournalEntry, MigrationState
from monarch.errors import StoreError
from monarch.progress import SILENT, Progress
from monarch.stores.base import Store
from monarch.stores.local.store import LocalStore
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.stores.s3.test_store import store_in
from tests.support.runs.backup_kills import Trap
from tests.support.samples.backups import manifest_of, write_backups
from tests.support.stores.faulty import Faulty

NOW = datetime.now(UTC).replace(microsecond=0)
POLICY = KeepPolicy(last=1)


class Notes(Progress):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, what: str) -> None:
        self.messages.append(what)


def filled(folder: Path, number: int = 3, environment: str = "dev") -> BackupCatalog:
    """A folder with so many backups of ``environment``, the oldest of them first in its listing."""
    write_backups(folder, [NOW - timedelta(days=age) for age in range(number)], environment)
    return BackupCatalog(LocalStore(folder))


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store with three backups of ``dev``, and the line of the first beside it."""
    folder = tmp_path / "store"
    filled(folder)
    name = next(iter(folder.glob("dev002*.zst"))).name.removesuffix(".dmp.zst")
    line = {"key": "backup dev", "action": "backup", "outcome": "Completed", "environment": "dev"}
    line |= {"backup": name, "user": "ann", "host": "h", "commit": "c"}
    line |= {"started_at": "2020-01-01T00:00:00+00:00", "finished_at": "2020-01-01T00:00:01+00:00"}
    (folder / (name + JOURNAL)).write_text(json.dumps({"format": 1, "entries": [line]}))
    if request.param == "folder":
        yield LocalStore(folder)
        return
    s3, bucket = request.getfixturevalue("s3"), request.getfixturevalue("bucket")
    for path in folder.iterdir():
        s3.client().upload_file(str(path), bucket, path.name)
    yield store_in(s3, bucket)


def pruning(catalog: BackupCatalog, root: Path, policy: KeepPolicy | None = POLICY) -> PruneRequest:
    settings = KeepSettings(KeepPolicy(daily=7), minimum=2) if policy is None else KeepSettings()
    return PruneRequest(root, catalog, (), (), settings, policy)


def told(store: Store, environment: str = "dev") -> list[JournalEntry]:
    return sorted(read_lines(store, environment, None), key=lambda one: str(one.started_at))


def ignore(_: Backup) -> None:
    pass


@pytest.mark.server
def test_what_was_deleted_is_described_and_who_took_it_stays(store: Store, tmp_path: Path) -> None:
    catalog = BackupCatalog(store)
    first, second, _ = catalog.list()
    delete_all(tmp_path, catalog, [first.name], ignore, SILENT)
    pruning(catalog, tmp_path).run([second], ignore, SILENT)
    taken, deleted, pruned = told(store)
    assert (taken.key, taken.user, taken.backup) == ("backup dev", "ann", first.name)
    assert (deleted.key, deleted.action.value, deleted.backup) == (
        "delete_backup of dev",
        "delete",
        first.name,
    )
    assert (pruned.key, pruned.action.value) == ("prune_backups dev --keep-last 1", "prune")
    for entry, backup in ((deleted, first), (pruned, second)):
        assert entry.outcome is MigrationState.COMPLETED
        assert (entry.environment, entry.bytes) == ("dev", backup.bytes)
        (item,) = entry.backups
        assert (item.name, item.archive, item.deleted, item.why) == (backup.name, backup.archive, True, None)
        assert item.taken_at == backup.taken_at.isoformat()
        assert item.sha256 == manifest_of(backup.archive, NOW, "dev").sha256
    assert not [one.name for one in store.list() if ".begun" in one.name]


def test_rules_of_the_settings_and_what_was_refused_stand_in_the_entry(tmp_path: Path) -> None:
    catalog = filled(tmp_path / "store")
    first, second, _ = catalog.list()
    protect(catalog.store, first.archive, Protection())
    pruning(catalog, tmp_path, None).run([first, second], ignore, SILENT)
    (entry,) = told(catalog.store)
    assert entry.key == "prune_backups dev (settings: daily 7, minimum 2)"
    assert entry.outcome is MigrationState.COMPLETED
    assert entry.backup == second.name
    assert [(one.name, one.deleted, one.why) for one in entry.backups] == [
        (first.name, False, f"{first.name!r} is protected for good. It was not deleted."),
        (second.name, True, None),
    ]


@pytest.mark.parametrize("how", ["failed", "interrupted"])
def test_a_prune_that_does_not_end_is_not_completed(tmp_path: Path, how: str) -> None:
    """The archive of the second one: by then the first is gone, and the manifest of the second."""
    folder = tmp_path / "store"
    filled(folder, 4)
    store = Faulty(LocalStore(folder))
    catalog = BackupCatalog(store)
    going = catalog.list()[:3]
    error = StoreError("no") if how == "failed" else KeyboardInterrupt()
    store.fail("delete", 4, error=error)
    with pytest.raises(type(error)) as raised:
        pruning(catalog, tmp_path).run(going, ignore, SILENT)
    why = str(raised.value.message) if isinstance(raised.value, StoreError) else None
    (entry,) = told(store)
    assert entry.outcome.value.lower() == how
    assert entry.error == why
    assert entry.backup == going[0].name
    assert [(one.name, one.deleted, one.why) for one in entry.backups] == [
        (going[0].name, True, None),
        (going[1].name, False, why or "interrupted"),
    ]
    assert all(one.sha256 for one in entry.backups)


def test_of_two_environments_only_one_has_failed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    filled(folder, 1, "dev"), filled(folder, 2, "live"), filled(folder, 1, "other")
    store = Faulty(LocalStore(folder))
    catalog = BackupCatalog(store)
    going = sorted(catalog.list(), key=lambda one: one.name)
    store.fail("delete", 5)  # the manifest and the archive of each
    with pytest.raises(StoreError):
        delete_all(tmp_path, catalog, going, ignore, SILENT)
    assert [one.outcome.value for one in told(store, "dev")] == ["Completed"]
    assert [one.outcome.value for one in told(store, "live")] == ["Failed"]
    assert told(store, "other") == []


def test_a_killed_run_leaves_what_it_was_about_to_delete(tmp_path: Path) -> None:
    """Killed after each of its changes: what is gone stands in an entry that says how that came."""
    outcomes = set()
    for number in range(1, 100):
        catalog = filled(tmp_path / str(number))
        first, second, _ = catalog.list()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            sys.setprofile(Trap(number, "after"))
            pruning(catalog, tmp_path).run([first, second], ignore, SILENT)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        gone = {first.name, second.name} - {one.name for one in catalog.list() if one.state.value == "good"}
        entries = told(catalog.store)
        if gone:
            (entry,) = entries
            assert gone <= {*(entry.backup or "").split(", ")}, number
            outcomes.add(entry.outcome.value)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert outcomes == {"Interrupted", "Completed"}


def test_whose_a_broken_backup_was_nobody_knows(tmp_path: Path) -> None:
    """So every environment is told who has deleted it."""
    catalog = filled(tmp_path / "store")
    manifest = next(iter((tmp_path / "store").glob("*.json")))
    manifest.write_bytes(b"{")
    broken = next(one for one in catalog.list() if one.environment is None)
    delete_all(tmp_path, catalog, [broken], ignore, SILENT)
    for environment in ("dev", "live"):
        (entry,) = told(catalog.store, environment)
        assert (entry.key, entry.environment, entry.backup) == ("delete_backup", None, broken.name)
        assert entry.backups[0].sha256 is None


def test_many_backups_are_described_in_several_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the journal is small enough to be read."""
    monkeypatch.setattr(in_store, "_MOST_DESCRIBED", 2)
    catalog = filled(tmp_path / "store", 5)
    going = catalog.list()
    delete_all(tmp_path, catalog, going, ignore, SILENT)
    entries = told(catalog.store)
    assert sorted(len(one.backups) for one in entries) == [1, 2, 2]
    assert {item.name for one in entries for item in one.backups} == {one.name for one in going}
    assert {name for one in entries for name in (one.backup or "").split(", ")} == {one.name for one in going}


def test_what_cannot_be_recorded_is_deleted_and_reported_once(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    store = Faulty(LocalStore(tmp_path / "store"))
    store.fail("create", permanent=True)
    catalog, notes = BackupCatalog(store), Notes()
    going = catalog.list()[:2]
    delete_all(tmp_path, catalog, going, ignore, notes)
    assert len(catalog.list()) == 1
    (note,) = notes.messages
    assert note.startswith("delete_backup of dev could not be recorded: ")
    assert told(store) == []
