"""Backups of monarch 0.1 in the commands: listed, shown, verified, restored, deleted, and refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import bson
import pytest

from tests.commands.backups.test_backups import flat, today
from tests.commands.console.test_questions import end
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.samples.zips import ID, NAME, make_zip

pytestmark = pytest.mark.server

BACKUP = NAME.removesuffix(".dmp.zip")
WRITTEN = 1_401_323_880  # 2014-05-29 00:38


def legacy(two: TwoEnvironments) -> dict[str, bytes | str]:
    """Return the files that mongodump 3.4 would have written for the full database."""
    files: dict[str, bytes | str] = {
        "users.metadata.json": '{"options":{},"indexes":[' + ID + ',{"v":1,"key":{"name":1},"name":"name_1",'
        '"unique":true,"ns":"app.users","background":null,"safe":null}]}',
        "young.metadata.json": '{"options":{"viewOn":"users","pipeline":[{"$match":{"_id":{"$lt":10}}}]}}',
        "mongo_migration_history.metadata.json": '{"options":{},"indexes":[' + ID + "]}",
    }
    for name in ("users", "mongo_migration_history"):
        files[f"{name}.bson"] = b"".join(map(bson.encode, two.source[name].find()))
    return files


@pytest.fixture
def store_folder(two: TwoEnvironments) -> Path:
    """The folder of the backups, with one zip in it."""
    folder = two.folder.keep_backups()
    folder.mkdir()
    (folder / NAME).write_bytes(make_zip(legacy(two)))
    os.utime(folder / NAME, (WRITTEN, WRITTEN))
    return folder


def test_it_is_listed(two: TwoEnvironments, store_folder: Path) -> None:
    (store_folder / "notes.zip").write_bytes(b"mine")
    result = two.folder.invoke("list_backups")
    assert (result.code, result.err) == (0, "")
    row = flat(result.out)[-1]
    assert re.fullmatch(rf"{BACKUP} - 2014-05-29 00:38 \d\.\d kB - legacy", row), row
    size = (store_folder / NAME).stat().st_size
    assert two.folder.invoke("list_backups", "--json").json == [
        {
            "name": BACKUP,
            "archive": NAME,
            "state": "legacy",
            "environment": None,
            "database": None,
            "taken_at": "2014-05-29T00:38:00Z",
            "bytes": size,
            "documents": None,
            "query_set": None,
            "private": False,
            "masked": False,
            "protected": None,
            "encrypted": False,
            "why": None,
        }
    ]


def test_it_is_shown(two: TwoEnvironments, store_folder: Path) -> None:
    result = two.folder.invoke("show_backup", BACKUP)
    assert (result.code, result.err) == (0, "")
    name, state, archive, written = flat(result.out)
    assert (name, state) == (f"Name {BACKUP}", "State legacy")
    assert re.fullmatch(rf"Archive {re.escape(NAME)}, \d\.\d kB", archive)
    assert written == "Written 2014-05-29 00:38 UTC"
    shown = two.folder.invoke("show_backup", NAME, "--json").json
    assert (shown["state"], shown["collections"]) == ("legacy", None)


def test_it_is_verified(two: TwoEnvironments, store_folder: Path) -> None:
    result = two.folder.invoke("verify_backup", BACKUP)
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(rf"good {BACKUP}: 2 collections, 201 documents, \d+\.\d kB, read in .*\n", result.out)
    assert two.folder.invoke("verify_backup", "--all", "--json").json == [
        {"name": BACKUP, "archive": NAME, "good": True, "why": None, "contents_checked": True}
    ]


@pytest.mark.parametrize("name", [BACKUP, NAME])
def test_it_is_restored(two: TwoEnvironments, store_folder: Path, tmp_path: Path, name: str) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = two.folder.files()
    result = two.folder.invoke(
        *("restore", f"{name}:dev", "--yes", "--engine", "native"), variables={"TMPDIR": str(temporary)}
    )
    assert (result.code, result.err) == (0, "")
    assert flat(result.out)[-1].startswith(f"Restored {BACKUP} to dev: 2 collections, 201 documents, ")
    two.assert_copied()
    assert two.folder.files() == before
    assert list(temporary.iterdir()) == []


def test_restore_asks_in_a_terminal(two: TwoEnvironments, store_folder: Path) -> None:
    asked = f"by {BACKUP}, taken 2014-05-29 00:38 UTC: are you SURE"
    result = two.folder.invoke("restore", f"{BACKUP}:dev")
    assert result.code == 2
    assert asked in result.err
    terminal = two.folder.terminal("restore", f"{BACKUP}:dev", columns=300)
    terminal.expect_exact(asked)
    terminal.sendline("n")
    assert end(terminal)[0] == 1
    two.assert_unchanged()
    terminal = two.folder.terminal("restore", f"{BACKUP}:dev", columns=300)
    terminal.expect_exact(asked)
    terminal.sendline("y")
    assert end(terminal)[0] == 0
    two.assert_copied()


def test_its_environment_is_unknown(two: TwoEnvironments, store_folder: Path) -> None:
    """So it is never the newest backup of an environment."""
    result = two.folder.invoke("restore", "production:dev", "--yes")
    assert_error(result, 2, "There is no good backup of 'production'", "monarch backup production")
    two.assert_unchanged()


def test_it_is_deleted(two: TwoEnvironments, store_folder: Path) -> None:
    result = two.folder.invoke("delete_backup", BACKUP)
    assert result.code == 2
    assert re.fullmatch(rf" {re.escape(NAME)}: 2014-05-29 00:38 UTC, \d\.\d kB", " " + flat(result.err)[0])
    assert (store_folder / NAME).exists()
    result = two.folder.invoke("delete_backup", BACKUP, "--yes")
    assert (result.code, result.out) == (0, f"Deleted {NAME}.\n")
    (line,) = store_folder.iterdir()
    assert line.suffix == ".journal"


def test_a_damaged_backup_is_reported_and_changes_nothing(two: TwoEnvironments, store_folder: Path) -> None:
    data = bytearray((store_folder / NAME).read_bytes())
    data[data.index(b"users.bson") + 500] ^= 1
    (store_folder / NAME).write_bytes(data)
    why = f"Backup '{BACKUP}' is broken: The file 'users.bson' in its zip is damaged"
    result = two.folder.invoke("restore", f"{BACKUP}:dev", "--yes")
    assert_error(
        result,
        1,
        f"{why} .* 'dev' is as it was\\.$",
        "Its environment is unknown. Run `monarch list_backups`",
    )
    two.assert_unchanged()
    result = two.folder.invoke("verify_backup", BACKUP)
    message = f"1 of 1 backup cannot be restored: {BACKUP}\\.$"
    assert_error(result, 1, message, "None of these is good")
    assert result.out.startswith(f"BROKEN {BACKUP}: {why}")
    assert len(result.out.splitlines()) == 1
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    result = two.folder.invoke("restore", f"{BACKUP}:dev", "--yes")
    assert_error(result, 1, why, "Its environment is unknown")
    assert today("app") not in result.err
    two.assert_unchanged()
    assert two.folder.invoke("delete_backup", BACKUP, "--yes").code == 0


def test_dangerous_contents_are_refused(two: TwoEnvironments, store_folder: Path) -> None:
    outside = two.folder.path.parent / "outside.bson"
    for name in ("../../outside.bson", str(outside)):
        (store_folder / NAME).write_bytes(make_zip({**legacy(two), name: b""}))
        message = (
            f"monarch refuses it: {re.escape(repr(name))} in its zip has a name that leads out of the zip"
        )
        assert_error(
            two.folder.invoke("restore", f"{BACKUP}:dev", "--yes"), 1, message, "Its environment is unknown"
        )
        two.assert_unchanged()
        assert not outside.exists()


def test_contents_that_the_server_refuses_change_nothing(two: TwoEnvironments, store_folder: Path) -> None:
    twice = b"".join(map(bson.encode, [*two.source.users.find(), {"_id": "another", "name": "user 7"}]))
    (store_folder / NAME).write_bytes(make_zip({**legacy(two), "users.bson": twice}))
    result = two.folder.invoke("restore", f"{BACKUP}:dev", "--yes", "--engine", "native")
    assert_error(result, 5, "refused a document of 'users': E11000 duplicate key", "")
    two.assert_unchanged()
