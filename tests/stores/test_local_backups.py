"""Backups in a folder through the real commands, and every problem with the folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monarch import Project
from monarch.errors import StoreError
from monarch.stores.local.store import LocalStore
from tests.stores.contract import write
from tests.support.runs.shell import CommandResult, Folder
from tests.support.stores.folders import file_names, writing

NO_UMASK = ["sh", "-c", 'umask 0; exec "$@"', "sh"]
ARCHIVE = "app__2014_05_29.dmp.zst"
PAGE = 4096


@pytest.fixture
def backups(project: Folder) -> Path:
    """The folder for the backups of a project whose database compresses to about 200 kB."""
    project.database.users.insert_many({"_id": n, "pad": os.urandom(2_000)} for n in range(100))
    return project.keep_backups()


@contextmanager
def rights(folder: Path, mode: int) -> Iterator[None]:
    """Give ``folder`` only these permissions while the context lasts."""
    folder.chmod(mode)
    try:
        yield
    finally:
        folder.chmod(0o700)


def states(project: Folder) -> dict[str, str]:
    result = project.invoke("list_backups", "--json")
    assert result.code == 0, result.err
    return {row["archive"]: row["state"] for row in result.json}


def assert_refused(result: CommandResult, *fragments: str) -> None:
    """Check exit code 5, an error that contains the ``fragments``, and a hint."""
    assert result.code == 5, result.output
    for text in fragments:
        assert text in result.err
    assert "Traceback" not in result.err
    assert "Hint: " in result.err


def test_a_missing_folder_is_created_and_reported(project: Folder, backups: Path) -> None:
    result = project.invoke("list_backups")
    assert (result.code, result.out) == (0, "There are no backups in backups.\n")
    assert not backups.exists()
    result = project.monarch("backup", "dev", prefix=NO_UMASK)
    assert result.code == 0, result.err
    assert "the folder backups was created for backups" in result.err
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in backups.iterdir()}
    # A database without a history gets no journal: the line of the backup lies beside it.
    endings = sorted(name.partition(".")[2] for name in modes)
    assert endings == ["dmp.zst", "dmp.zst.json", "gitignore", "journal"]
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(backups.stat().st_mode) == 0o700
    result = project.invoke("backup", "dev")
    assert result.code == 0, result.err
    assert "was created" not in result.output
    assert list(states(project).values()) == ["good", "good"]


def test_a_folder_that_is_a_file(project: Folder, backups: Path) -> None:
    backups.write_text("PRECIOUS")
    for command in (["backup", "dev"], ["list_backups"], ["verify_backup", "--all"], ["show_backup", "x"]):
        assert_refused(project.invoke(*command), f"{backups} is not a folder.", "backup_dir")
    assert backups.read_text() == "PRECIOUS"


def test_a_read_only_folder(project: Folder, backups: Path, plain_rights: list[str]) -> None:
    created = project.invoke("backup", "dev", "--json").json["name"]
    before = project.files()
    with rights(backups, 0o500):
        result = project.monarch("backup", "dev", prefix=plain_rights)
        assert_refused(result, f"{backups} cannot be written to: Permission denied.")
        result = project.monarch("delete_backup", created, "--yes", prefix=plain_rights)
        assert_refused(result, f"{created}.dmp.zst.json cannot be deleted: Permission denied.")
        for command in (["list_backups"], ["verify_backup", created], ["restore", f"{created}:dev", "--yes"]):
            result = project.monarch(*command, prefix=plain_rights)
            assert result.code == 0, result.err
    assert project.files() == before


def test_an_unreadable_folder(project: Folder, backups: Path, plain_rights: list[str]) -> None:
    backups.mkdir()
    write(LocalStore(backups), ARCHIVE, b"data")
    for mode in (0o300, 0o400, 0):
        with rights(backups, mode):
            result = project.monarch("list_backups", prefix=plain_rights)
            assert_refused(result, f"{backups} cannot be read: Permission denied.")
            result = project.monarch("backup", "dev", prefix=plain_rights)
            assert_refused(result, f"{backups} cannot be ", ": Permission denied.")
        assert file_names(backups) == [ARCHIVE]


def test_a_folder_that_cannot_be_created(project: Folder, backups: Path, plain_rights: list[str]) -> None:
    with rights(project.path, 0o500):
        result = project.monarch("backup", "dev", prefix=plain_rights)
    assert_refused(result, f"{backups} cannot be created: Permission denied.")
    assert not backups.exists()


def test_an_unreadable_backup(project: Folder, backups: Path, plain_rights: list[str]) -> None:
    created = [project.invoke("backup", "dev", "--json").json["name"] for _ in range(2)]
    (backups / f"{created[0]}.dmp.zst.json").chmod(0)
    (backups / f"{created[1]}.dmp.zst").chmod(0)
    result = project.monarch("list_backups", "--json", prefix=plain_rights)
    assert result.code == 0, result.err
    found = {row["name"]: row for row in result.json}
    assert found[created[0]]["state"] == "unreadable"
    assert "cannot be read: Permission denied" in found[created[0]]["why"]
    result = project.monarch("verify_backup", created[1], prefix=plain_rights)
    assert_refused(result, f"{created[1]}.dmp.zst cannot be read: Permission denied.")


def test_files_of_other_programs_are_not_listed_or_changed(project: Folder, backups: Path) -> None:
    backups.mkdir()
    for name in ("notes.txt", ".hidden", "movie.part", "x.json", ".dmp.zst", "dump.zst", "x.dmp.zst.bak"):
        (backups / name).write_text("theirs")
    (backups / "folder" / "x.dmp.zst").mkdir(parents=True)
    (backups / "a_folder.dmp.zst").mkdir()
    (backups / "nowhere.dmp.zst").symlink_to(backups / "nothing")
    (backups / "itself.dmp.zst").symlink_to(backups / "itself.dmp.zst")
    (backups / "itself").symlink_to(backups / "itself")
    os.mkfifo(backups / "pipe.dmp.zst")
    before = sorted(backups.rglob("*"))
    assert states(project) == {}
    created = project.invoke("backup", "dev", "--json").json
    assert states(project) == {created["archive"]: "good"}
    assert "1 backup, all of them good." in project.invoke("verify_backup", "--all").out
    assert project.invoke("delete_backup", created["name"], "--yes").code == 0
    assert [path for path in sorted(backups.rglob("*")) if path.suffix != ".journal"] == before
    assert (backups / "notes.txt").read_text() == (backups / "movie.part").read_text() == "theirs"


def test_a_full_disk_is_an_error(project: Folder, backups: Path, small_disk: Path) -> None:
    project.database.users.insert_many({"pad": os.urandom(2_000)} for _ in range(500))
    backups.symlink_to(small_disk / "backups")
    (small_disk / "backups").mkdir()
    for codec in ("zst", "gz"):
        result = project.invoke("backup", "dev", "--codec", codec)
        assert_refused(result, "There is no room left in", "None of it was kept. Make room")
        assert file_names(backups) == []
    project.database.users.delete_many({"_id": {"$type": "objectId"}})
    assert project.invoke("backup", "dev").code == 0
    assert list(states(project).values()) == ["good"]


def test_a_disk_that_is_full_at_any_page_keeps_all_or_nothing(
    project: Folder, backups: Path, small_disk: Path
) -> None:
    """The last page is for the manifest."""
    project.database.users.delete_many({"_id": {"$gt": 20}})
    backups.symlink_to(small_disk / "backups")
    (small_disk / "backups").mkdir()
    python, kept = Project(project.path), []
    for pages in range(20):
        leave_room(small_disk, pages)
        try:
            kept.append(python.backup("dev", engine="native").name)
        except StoreError:
            assert not kept
            assert file_names(backups) == []
        else:
            assert [(backup.name, backup.state.value) for backup in python.backups.list()] == [
                (kept[-1], "good")
            ]
            python.backups.delete(python.find_backup(kept[-1]))
    assert 0 < len(kept) < 15


def leave_room(disk: Path, pages: int) -> None:
    """Fill ``disk`` except for this number of ``pages``."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bfree
    filler.write_bytes(bytes((free - pages) * PAGE))
    assert os.statvfs(disk).f_bfree == pages


def test_a_backup_cannot_be_deleted_while_its_writer_is_alive(project: Folder, backups: Path) -> None:
    backups.mkdir()
    with writing(LocalStore(backups), [ARCHIVE]):
        assert states(project) == {ARCHIVE: "running"}
        result = project.invoke("delete_backup", ARCHIVE, "--yes")
        assert result.code == 4
        assert "is being written by another process" in result.err
        assert project.invoke("restore", f"{ARCHIVE}:dev", "--yes").code == 4
    assert states(project) == {ARCHIVE: "unfinished"}
    result = project.invoke("list_backups")
    assert "it was cut off while it was written. To remove it: monarch delete_backup" in result.err
    assert project.invoke("restore", f"{ARCHIVE}:dev", "--yes").code == 1
    assert project.invoke("delete_backup", ARCHIVE.partition(".")[0], "--yes").code == 0
    assert [name for name in file_names(backups) if not name.endswith(".journal")] == []


def test_backups_at_one_time_get_different_names(project: Folder, backups: Path) -> None:
    runs = [project.start("backup", "dev", "--json", "--codec", codec) for codec in ("zst", "zst", "gz")]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert run.returncode == 0, out + err
    assert list(states(project).values()) == ["good"] * 3
    assert len({name.partition(".")[0] for name in states(project)}) == 3
    assert "3 backups, all of them good." in project.invoke("verify_backup", "--all").out
    # An archive, a manifest and a line of the journal for each, and .gitignore.
    assert len(list(backups.iterdir())) == 10


@pytest.mark.parametrize("folder", ["s3://our-backups/app", "file:///var/b", "$HOME/b", "C:\\b"])
def test_an_address_or_a_variable_is_not_a_folder(project: Folder, folder: str) -> None:
    project.database.users.insert_one({})
    project.keep_backups(folder)
    before = sorted(project.path.rglob("*"))
    for command in (["backup", "dev"], ["list_backups"], ["verify_backup", "--all"]):
        result = project.invoke(*command)
        assert result.code == 2, result.output
        assert "'backup_dir'" in result.err
        assert "Hint: Use " in result.err
        assert sorted(path for path in project.path.rglob("*") if "__pycache__" not in path.parts) == before


@pytest.mark.parametrize("link", [".gitignore", "lock"])
def test_a_folder_that_somebody_has_prepared_is_not_written_through(project: Folder, link: str) -> None:
    """The name under which the folder was created before it got its own could be known beforehand."""
    project.database.users.insert_one({})
    store = project.keep_backups()
    precious = project.write("precious", "PRECIOUS")
    prepared = project.path / ".backups.part"
    prepared.mkdir(mode=0o777)
    (prepared / link).symlink_to(precious)
    result = project.monarch("backup", "dev", "--engine", "native")
    assert result.code == 0, result.err
    assert precious.read_text() == "PRECIOUS"
    assert prepared.is_dir()
    assert not any(path.is_symlink() for path in store.iterdir())
    assert store.stat().st_mode & 0o777 == 0o700
