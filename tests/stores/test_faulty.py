"""The faulty store, and backups into it: a failed backup is not kept, or is not listed as good."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from monarch import Project
from monarch.backups.catalog import BackupCatalog
from monarch.backups.codecs import CODECS
from monarch.backups.create import BackupCreation, BackupResult
from monarch.backups.reader import verify
from monarch.backups.state import BackupState
from monarch.backups.store_sink import StoreSink
from monarch.copies.transfer import report_interruption
from monarch.databases.transfer import TransferDatabase, as_transfer_database
from monarch.errors import MonarchError, RunInterrupted, StoreError
from monarch.progress import SILENT
from monarch.stores.base import Store
from monarch.stores.local.store import LocalStore
from tests.stores.contract import Names, StoreContract, names, read, write
from tests.stores.test_memory import die_writing
from tests.support.runs.shell import Folder
from tests.support.stores.faulty import Faulty
from tests.support.stores.memory import Memory, MemoryStore

DOCUMENTS, BYTES = 300, 10_000


class TestWithoutFaults(StoreContract):
    @pytest.fixture
    def memory(self) -> Memory:
        return Memory(exists=True)

    @pytest.fixture
    def store(self, memory: Memory) -> Store:
        return Faulty(MemoryStore(memory))

    @pytest.fixture
    def again(self, memory: Memory) -> Store:
        return Faulty(MemoryStore(memory))

    @pytest.fixture
    def nowhere(self) -> Store:
        return Faulty(MemoryStore())

    def die_writing(self, store: Store, names: Names) -> None:
        die_writing(memory_of(store), names)

    def intrude(self, store: Store, name: str, data: bytes) -> None:
        memory_of(store).memory.files[name] = (data, datetime.now(UTC))


def memory_of(store: Store) -> MemoryStore:
    assert isinstance(store, Faulty)
    assert isinstance(store.store, MemoryStore)
    return store.store


@pytest.fixture
def faulty() -> Faulty:
    made = Faulty(MemoryStore())
    made.prepare()
    return made


def test_a_call_fails_by_its_number(faulty: Faulty) -> None:
    faulty.fail("write", at=2)
    with faulty.create("a") as upload:
        upload.write(b"one")
        with pytest.raises(StoreError, match="has failed in write"):
            upload.write(b"two")
        upload.write(b"three")
        upload.finish()
    assert read(faulty, "a") == b"onethree"
    assert faulty.failed == ["write"]


def test_permanent_faults_last_until_they_are_cleared(faulty: Faulty) -> None:
    faulty.fail("list", at=2, permanent=True)
    assert names(faulty) == []
    for _ in range(2):
        with pytest.raises(StoreError):
            names(faulty)
    faulty.clear_faults()
    assert names(faulty) == []


def test_all_calls_fail_from_a_number_on(faulty: Faulty) -> None:
    write(faulty, "a", b"data")
    faulty.fail_all(at=3)
    with pytest.raises(StoreError):
        write(faulty, "b", b"data")
    for call in (
        faulty.prepare,
        lambda: faulty.delete("a"),
        lambda: names(faulty),
        lambda: read(faulty, "a"),
    ):
        with pytest.raises(StoreError):
            call()
    faulty.clear_faults()
    assert {found.name: found.unfinished for found in faulty.list()} == {"a": False, "b": True}


def test_writes_are_cut(faulty: Faulty) -> None:
    faulty.cut("write", after=5)
    with faulty.create("a") as upload:
        upload.write(b"012")
        for data in (b"3456", b"7"):
            with pytest.raises(StoreError):
                upload.write(data)
        upload.finish()
    assert read(faulty, "a") == b"01234"


def test_reads_and_lists_are_cut(faulty: Faulty) -> None:
    write(faulty, "a", b"0123456789")
    write(faulty, "b")
    faulty.cut("read", after=5)
    with faulty.open("a") as stream:
        assert stream.read(3) + stream.read(3) == b"01234"
        with pytest.raises(StoreError):
            stream.read(3)
    faulty.cut("list", after=1)
    found = faulty.list()
    next(found)
    with pytest.raises(StoreError):
        next(found)


def test_an_answer_is_lost(faulty: Faulty) -> None:
    write(faulty, "a", b"data")
    faulty.fail("delete", lost=True)
    with pytest.raises(StoreError):
        faulty.delete("a")
    assert names(faulty) == []
    faulty.fail("finish", lost=True)
    with pytest.raises(StoreError):
        write(faulty, "a", b"data")
    assert names(faulty) == []
    faulty.fail("finish", lost=True)
    faulty.fail("give_up")
    with pytest.raises(StoreError):
        write(faulty, "a", b"data")
    assert read(faulty, "a") == b"data"


def test_a_call_stalls(faulty: Faulty) -> None:
    stall = faulty.stall("finish")
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write, faulty, "a", b"data")
        assert stall.reached.wait(20)
        assert [found.unfinished for found in faulty.list()] == [True]
        stall.go_on()
        writing.result(20)
    assert [found.unfinished for found in faulty.list()] == [False]


@pytest.fixture(params=["in memory", "in a folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Faulty:
    made: Store = MemoryStore() if request.param == "in memory" else LocalStore(tmp_path / "backups")
    made.prepare()
    (tmp_path / "backups" / ".gitignore").unlink(missing_ok=True)
    return Faulty(made)


@pytest.fixture
def take_backups(project: Folder, store: Faulty) -> Iterator[Callable[[], BackupResult]]:
    """Backs up a database of enough random bytes that the archive needs several writes."""
    source = random.Random(3)
    project.database.users.insert_many({"_id": n, "pad": source.randbytes(BYTES)} for n in range(DOCUMENTS))
    with Project(project.path).open("dev") as database:
        yield lambda: take_backup(as_transfer_database(database), store)


def take_backup(database: TransferDatabase, store: Store) -> BackupResult:
    native = database.choose_engine("native")
    with report_interruption("Nothing was kept of the backup.") as interruption:
        sink = StoreSink(store, "app", CODECS["gz"], 1, "dev", "app", None)
        creation = BackupCreation(database, sink, native, interruption)
        return creation.result(creation.transfer().run(SILENT))


def states(store: Faulty) -> set[BackupState]:
    return {backup.state for backup in BackupCatalog(store.store).list()}


# The calls of a backup, each with its minimum number.
LEAST = {"prepare": 1, "list": 2, "create": 2, "write": 5, "finish": 2}


@pytest.mark.parametrize("kind", LEAST)
@pytest.mark.parametrize(
    ("error", "raises"),
    [(StoreError("it fails"), StoreError), (KeyboardInterrupt(), RunInterrupted)],
    ids=["it fails", "Ctrl-C"],
)
def test_a_backup_with_a_failed_call_is_not_kept(
    store: Faulty,
    take_backups: Callable[[], BackupResult],
    kind: str,
    error: BaseException,
    raises: type[MonarchError],
) -> None:
    for number in count(1):
        store.fail(kind, at=number, error=error)
        try:
            take_backups()
        except raises:
            assert store.failed == [kind]
        except KeyboardInterrupt:  # there was nothing to undo yet
            assert kind == "prepare"
        else:  # there are no more calls of this kind
            break
        store.clear_faults()
        store.failed.clear()
        assert names(store.store) == [], f"after {kind} number {number}"
    assert number > LEAST[kind]
    assert states(store) == {BackupState.GOOD}


@pytest.mark.parametrize("number", [1, 2])
def test_a_backup_whose_last_answer_is_lost_is_not_kept(
    store: Faulty, take_backups: Callable[[], BackupResult], number: int
) -> None:
    store.fail("finish", at=number, lost=True)
    with pytest.raises(StoreError):
        take_backups()
    assert names(store.store) == []


@pytest.mark.parametrize("kind", ["write", "finish"])
def test_an_archive_that_cannot_be_removed_is_incomplete(
    store: Faulty, take_backups: Callable[[], BackupResult], kind: str
) -> None:
    """Writing the manifest fails, and then deleting the archive fails, too."""
    take_backups()
    last = store.calls.count(kind)
    store.fail(kind, at=last)
    store.fail("delete", permanent=True)
    with pytest.raises(StoreError, match=kind):
        take_backups()
    assert sorted(backup.state.value for backup in BackupCatalog(store.store).list()) == [
        "good",
        "incomplete",
    ]


def test_a_backup_is_not_good_if_all_calls_fail_from_any_call_on(
    store: Faulty, take_backups: Callable[[], BackupResult]
) -> None:
    for number in count(1):
        store.fail_all(at=number)
        try:
            created = take_backups()
        except MonarchError:
            assert store.failed
        else:
            break
        store.clear_faults()
        store.failed.clear()
        assert states(store) <= {BackupState.RUNNING, BackupState.UNFINISHED, BackupState.INCOMPLETE}
    assert number > 10
    store.clear_faults()
    assert {backup.name for backup in BackupCatalog(store).list() if backup.restorable} == {created.name}
    # The leftovers do not affect the next backup.
    assert take_backups().name != created.name


def test_a_store_that_becomes_full_at_any_byte_keeps_nothing(
    store: Faulty, take_backups: Callable[[], BackupResult]
) -> None:
    size = take_backups().manifest.size
    (good,) = BackupCatalog(store.store).list()
    (manifest,) = (found.bytes for found in store.list() if found.name.endswith(".json"))
    source = random.Random(4)
    inside = [source.randrange(size) for _ in range(5)]
    for room in (0, 1, *inside, size - 1, size, size + 1, size + manifest - 1):
        store.cut("write", after=room)
        with pytest.raises(StoreError):
            take_backups()
        assert BackupCatalog(store.store).list() == (good,)
        assert len(names(store.store)) == 2


@pytest.mark.parametrize("kind", ["write", "finish"])
def test_two_backups_at_one_time_get_two_names(
    store: Faulty, take_backups: Callable[[], BackupResult], kind: str
) -> None:
    """One waits at its first call of a kind; it has checked which names are free before it creates files."""
    stall = store.stall(kind)
    first_is = {BackupState.RUNNING} if kind != "create" else set()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(take_backups)
        assert stall.reached.wait(20)
        assert states(store) == first_is
        second = take_backups()
        assert states(store) == {BackupState.GOOD} | first_is
        stall.go_on()
        created = [first.result(20), second]
    one, two = created if first_is else reversed(created)
    assert two.name == one.name + "_2"
    catalog = BackupCatalog(store.store)
    assert {backup.name for backup in catalog.list()} == {one.name for one in created}
    for backup in catalog.list():
        verify(catalog, backup)


def test_a_truncated_read_of_a_backup_is_an_error(
    store: Faulty, take_backups: Callable[[], BackupResult]
) -> None:
    take_backups()
    catalog = BackupCatalog(store)
    (backup,) = catalog.list()
    (manifest,) = (found.bytes for found in store.list() if found.name.endswith(".json"))
    for room in (0, manifest, manifest + 1, manifest + backup.bytes // 2, manifest + backup.bytes - 1):
        store.cut("read", after=room)
        with pytest.raises(StoreError):
            verify(catalog, backup)
    store.clear_faults()
    for kind in ("open", "read"):
        store.fail(kind, at=2)
        with pytest.raises(StoreError):
            verify(catalog, backup)
    store.clear_faults()
    verify(catalog, backup)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_a_deletion_that_fails_leaves_a_whole_backup_or_none(
    store: Faulty, take_backups: Callable[[], BackupResult], number: int, lost: bool
) -> None:
    """The first is the manifest, which is written again; the second the archive."""
    taken = take_backups()
    catalog = BackupCatalog(store)
    store.fail("delete", at=number, lost=lost)
    gone = (number, lost) == (2, True)
    with (
        nullcontext()
        if gone
        else pytest.raises(StoreError, match=f"'{taken.manifest.archive}' was not deleted")
    ):
        catalog.delete(catalog.list()[0])
    assert states(store) == (set() if gone else {BackupState.GOOD})
    assert gone or catalog.manifest(catalog.list()[0]) == taken.manifest
    for backup in catalog.list():
        catalog.delete(backup)
    assert names(store.store) == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_half_deleted_backup_is_incomplete(
    store: Faulty, take_backups: Callable[[], BackupResult], number: int
) -> None:
    taken = take_backups()
    catalog = BackupCatalog(store)
    store.fail("delete", at=number, lost=number == 1)
    store.fail("create")
    with pytest.raises(StoreError, match=f"'{taken.manifest.archive}' may be deleted in part"):
        catalog.delete(catalog.list()[0])
    store.clear_faults()
    assert states(store) == {BackupState.INCOMPLETE}
    for backup in catalog.list():
        catalog.delete(backup)
    assert names(store.store) == []
