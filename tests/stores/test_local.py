"""The contract for folders, and failures that are specific to folders."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from monarch.errors import LockedError, StoreError
from monarch.stores.base import NameTaken, NotStored, Store, Upload
from monarch.stores.local.store import LocalStore
from tests.stores.contract import HALF, Names, StoreContract, names, read, stored, write
from tests.support.stores.folders import file_names, writing


class TestLocalStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        (tmp_path / "backups").mkdir()
        return LocalStore(tmp_path / "backups")

    @pytest.fixture
    def again(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "backups")

    @pytest.fixture
    def nowhere(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "no" / "such" / "folder")

    def die_writing(self, store: Store, names: Names) -> None:
        with writing(store, names):
            pass

    def intrude(self, store: Store, name: str, data: bytes) -> None:
        (Path(store.place) / name).write_bytes(data)


class TestWithoutLinks(TestLocalStore):
    """The contract on a file system without hard links, such as exFAT."""

    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "link", refusal(errno.EPERM))


class TestWithoutLocks(TestLocalStore):
    """The contract on a file system without locks, such as some network file systems."""

    @pytest.fixture(autouse=True)
    def no_locks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fcntl, "flock", refusal(errno.ENOLCK))


class refusal:
    """Raises an OSError in place of a system call."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, *_: object, **__: object) -> None:
        raise OSError(self.number, os.strerror(self.number))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore(folder)


@pytest.fixture(params=[0, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_only_the_owner_can_read_new_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "backups"
    store = LocalStore(folder)
    assert store.prepare() == f"the folder {folder} was created for backups"
    with store.create("a") as upload:
        assert [mode(path) for path in folder.iterdir()] == [0o600, 0o600]
        upload.finish()
    assert [mode(path) for path in (folder, folder.parent)] == [0o700, 0o700]
    assert {path.name: mode(path) for path in folder.iterdir()} == {".gitignore": 0o600, "a": 0o600}
    assert (folder / ".gitignore").read_text() == "*\n"


def test_an_existing_folder_is_not_changed(folder: Path, store: LocalStore) -> None:
    folder.chmod(0o755)
    assert store.prepare() is None
    assert mode(folder) == 0o755
    assert list(folder.iterdir()) == []


def test_one_of_many_concurrent_calls_creates_the_folder(tmp_path: Path) -> None:
    one, other = LocalStore(tmp_path / "backups"), LocalStore(tmp_path / "backups")
    assert one.prepare()
    assert other.prepare() is None
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "backups")
    assert LocalStore(link).prepare() is None


@pytest.mark.parametrize("what", ["file", "below a file", "dangling link"])
def test_a_path_that_is_not_a_folder(tmp_path: Path, what: str) -> None:
    path = tmp_path / "backups"
    if what == "dangling link":
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.write_text("PRECIOUS")
    store = LocalStore(path / "folder" if what == "below a file" else path)
    for call in (store.prepare, lambda: store.create("a"), lambda: names(store)):
        with pytest.raises(StoreError, match="backups") as raised:
            call()
        assert not isinstance(raised.value, NameTaken)
        assert raised.value.hint
    assert file_names(tmp_path) == ["backups"]
    assert what == "dangling link" or path.read_text() == "PRECIOUS"


def test_entries_that_are_not_files_are_not_listed_or_changed(folder: Path, store: LocalStore) -> None:
    write(store, "a", b"ours")
    (folder / "folder").mkdir()
    (folder / "folder.part").mkdir()
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.part")
    (folder / "dangling").symlink_to(folder / "nowhere")
    (folder / "dangling.part").symlink_to(folder / "nowhere")
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "below a file").symlink_to(folder / "a" / "b")
    (folder / "to a file").symlink_to(folder / "a")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "socket"))
    before = file_names(folder)
    assert sorted(names(store)) == ["a", "to a file"]
    for name in before:
        with pytest.raises(NameTaken):
            store.create(name.removesuffix(".part"))
    store.delete("a")
    assert sorted([*file_names(folder), "a"]) == before


def test_a_writer_does_not_follow_a_link(folder: Path, store: LocalStore) -> None:
    (folder / "a").symlink_to(folder / "elsewhere")
    (folder / "b.part").symlink_to(folder / "elsewhere")
    for name in ("a", "b"):
        with pytest.raises(NameTaken):
            store.create(name)
    assert file_names(folder) == ["a", "b.part"]


def test_a_killed_writer_leaves_its_part(folder: Path, store: LocalStore) -> None:
    with writing(store, ["a"]):
        found = stored(store, "a")
        assert (found.unfinished, found.busy, found.bytes) == (True, True, len(HALF))
        with pytest.raises(LockedError, match=r"a\.part is being written by another process"):
            store.delete("a")
        assert file_names(folder) == ["a.part"]
    found = stored(store, "a")
    assert (found.unfinished, found.busy, found.bytes) == (True, False, len(HALF))
    assert file_names(folder) == ["a.part"]
    store.delete("a")
    assert file_names(folder) == []


def test_a_writer_whose_part_was_removed_cannot_finish(folder: Path, store: LocalStore) -> None:
    with store.create("a") as upload:
        upload.write(b"data")
        (folder / "a.part").unlink()
        with pytest.raises(StoreError, match=r"a\.part was removed while it was written"):
            upload.finish()
    assert file_names(folder) == []


def test_a_writer_whose_part_was_replaced_does_not_remove_the_new_one(
    folder: Path, store: LocalStore
) -> None:
    with store.create("a") as first:
        first.write(b"the first")
        (folder / "a.part").unlink()
        with store.create("a") as second:
            second.write(b"the second")
            with pytest.raises(StoreError, match="was removed"):
                first.finish()
            first.give_up()
            assert stored(store, "a").busy
            second.finish()
    assert read(store, "a") == b"the second"


def test_a_part_that_already_has_its_final_name_is_the_file(folder: Path, store: LocalStore) -> None:
    """A kill while the upload finishes leaves this state."""
    with writing(store, ["a"]):
        pass
    os.link(folder / "a.part", folder / "a")
    found = stored(store, "a")
    assert (found.unfinished, found.busy) == (False, False)
    assert read(store, "a") == HALF
    with pytest.raises(NameTaken):
        store.create("a")
    store.delete("a")
    assert file_names(folder) == []


def test_delete_does_not_affect_a_writer_that_begins_meanwhile(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, "a", b"old")
    begun: list[Upload] = []
    unlink = os.unlink

    def and_begin(path: Path) -> None:
        unlink(path)
        if not begun:
            begun.append(store.create("a"))

    monkeypatch.setattr(os, "unlink", and_begin)
    store.delete("a")
    monkeypatch.undo()
    begun[0].write(b"new")
    begun[0].finish()
    assert read(store, "a") == b"new"


def test_bytes_are_synced_before_the_name_and_the_name_before_finish_returns(
    folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def watched_fsync(handle: int) -> None:
        fsync(handle)
        done.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")

    def watched_link(part: Path, path: Path) -> None:
        link(part, path)
        done.append(f"link {path.name}")

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "link", watched_link)
    write(store, "a", b"data")
    assert done == ["fsync a.part", "link a", "fsync backups"]
    done.clear()
    store.delete("a")
    LocalStore(folder / "one" / "two").prepare()
    assert [what for what in done if "gitignore" not in what] == [
        "fsync backups",
        "fsync backups",
        "fsync one",
    ]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("where", ["file", "folder"])
@pytest.mark.parametrize(
    ("number", "says"), [(errno.EIO, "Input/output error"), (errno.ENOSPC, "There is no room left")]
)
def test_a_file_that_cannot_be_synced_is_not_kept(
    folder: Path,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    links: bool,
    where: str,
    number: int,
    says: str,
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", refusal(errno.EPERM))
    monkeypatch.setattr(os, "fsync", fsync_that_fails(where, number))
    with pytest.raises(StoreError, match=says):
        write(store, "a", b"data")
    assert file_names(folder) == []


def test_a_file_system_that_cannot_sync_folders_is_accepted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems cannot; nothing more can be guaranteed there."""
    monkeypatch.setattr(os, "fsync", fsync_that_fails("folder", errno.EINVAL))
    store = LocalStore(folder / "new")
    assert store.prepare()
    write(store, "a", b"data")
    assert read(store, "a") == b"data"
    store.delete("a")
    assert names(store) == [".gitignore"]


class fsync_that_fails:
    """Raises an OSError for files, or for folders."""

    def __init__(self, where: str, number: int) -> None:
        self.folders = where == "folder"
        self.number = number

    def __call__(self, handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) == self.folders:
            raise OSError(self.number, os.strerror(self.number))


def test_a_file_that_does_not_fit_on_the_disk_is_not_kept(small_disk: Path) -> None:
    store = LocalStore(small_disk / "backups")
    store.prepare()
    write(store, "fits", bytes(100_000))
    with pytest.raises(StoreError, match=r"There is no room left in .*backups") as raised:
        write(store, "a", *[bytes(100_000)] * 10)
    assert "Make room" in str(raised.value.hint)
    assert sorted(names(store)) == [".gitignore", "fits"]
    write(store, "a", bytes(400_000))


def test_a_folder_without_space_for_its_gitignore_is_not_created(small_disk: Path) -> None:
    """A folder without its .gitignore would stay incomplete, because existing folders are not changed."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes(os.statvfs(small_disk).f_bfree * 4096))
    store = LocalStore(small_disk / "new" / "backups")
    with pytest.raises(StoreError, match="There is no room left"):
        store.prepare()
    assert file_names(small_disk) == ["filler"]
    filler.unlink()
    assert store.prepare()
    assert (small_disk / "new" / "backups" / ".gitignore").read_text() == "*\n"


def test_a_pipe_never_hangs(folder: Path, store: LocalStore) -> None:
    write(store, "a", b"ours")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "b.part")
    with pytest.raises(NotStored), store.open("pipe"):
        pass
    store.discard("b")
    assert file_names(folder) == ["a", "pipe"]


@pytest.mark.parametrize("name", [".backups.part", ".backups..part"])
def test_a_folder_prepared_by_another_user_is_not_used(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / name
    theirs.mkdir(mode=0o777)
    (tmp_path / "precious").write_text("PRECIOUS")
    (theirs / ".gitignore").symlink_to(tmp_path / "precious")
    store = LocalStore(tmp_path / "backups")
    assert store.prepare()
    assert (tmp_path / "precious").read_text() == "PRECIOUS"
    assert (tmp_path / "backups" / ".gitignore").read_text() == "*\n"
    assert not (tmp_path / "backups" / ".gitignore").is_symlink()
    assert theirs.is_dir()
    assert stat.S_IMODE((tmp_path / "backups").stat().st_mode) == 0o700
