"""The backup that a name or an environment selects is the one that is restored or deleted."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest

from monarch import Project
from monarch.backups.manifest import Manifest
from tests.commands.backups.test_backups import today
from tests.commands.console.test_questions import end
from tests.support.runs.two_environments import TwoEnvironments, assert_error, entry

pytestmark = pytest.mark.server


@pytest.fixture
def store_folder(two: TwoEnvironments) -> Path:
    """The folder of the store with one backup of today, called ``app``."""
    folder = two.folder.keep_backups()
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    return folder


def test_the_newest_backup_is_of_the_database_in_the_settings(
    two: TwoEnvironments, store_folder: Path
) -> None:
    """Projects with the same names of environments may share a folder."""
    two.folder.settings(production=entry(two.server, two.target.name))
    two.folder.keep_backups()
    assert two.folder.invoke("backup", "production", "--name", "other").code == 0
    both = {"production": entry(two.server, two.source.name), "dev": entry(two.server, two.target.name)}
    two.folder.settings(**both)
    two.folder.keep_backups()
    result = two.folder.invoke("restore", "production:dev", "--yes")
    assert (result.code, result.err) == (0, f"The newest good backup of production is {today('app')}.\n")
    two.assert_copied()
    two.folder.settings(**{**both, "production": entry(two.server, "another")})
    two.folder.keep_backups()
    result = two.folder.invoke("restore", "production:dev", "--yes")
    assert_error(
        result, 2, r"There is no good backup of 'production' \(another\)", "`monarch backup production`"
    )


@pytest.mark.parametrize("how", ["a newer monarch", "no right to read"])
def test_a_backup_with_an_unknown_state_may_be_the_newest(
    two: TwoEnvironments, store_folder: Path, plain_rights: list[str], how: str
) -> None:
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    newest = today("app") + "_2"
    manifest = store_folder / f"{newest}.dmp.zst.json"
    if how == "a newer monarch":
        members = {**json.loads(manifest.read_text()), "monarch_backup": 3}
        manifest.write_text(json.dumps(members))
    else:
        manifest.chmod(0)
    listed = two.folder.monarch("list_backups", prefix=plain_rights)
    assert f"Note: {newest} is unreadable: " in listed.err
    assert "delete_backup" not in listed.err
    result = two.folder.monarch("restore", "production:dev", "--yes", prefix=plain_rights)
    hint = f"use the name of the newest good backup of production: '{today('app')}'"
    assert_error(result, 1, f"'{newest}' may be the newest backup of 'production'", hint)
    two.assert_unchanged()
    assert two.folder.invoke("restore", f"{today('app')}:dev", "--yes", prefix=plain_rights).code == 0


def test_without_a_good_one_no_name_is_suggested(two: TwoEnvironments, store_folder: Path) -> None:
    manifest = store_folder / f"{today('app')}.dmp.zst.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "monarch_backup": 3}))
    assert two.folder.invoke("backup", "dev", "--name", "other").code == 0
    result = two.folder.invoke("restore", "production:dev", "--yes")
    assert_error(result, 1, f"'{today('app')}' may be the newest backup of 'production'", "Fix that.")
    assert result.err.endswith("Fix that.\n")


def test_one_from_the_future_is_not_the_newest(two: TwoEnvironments, store_folder: Path) -> None:
    future = datetime(2199, 1, 31, tzinfo=UTC)
    archive = store_folder / f"{today('app')}.dmp.zst"
    manifest = store_folder / f"{archive.name}.json"
    ahead = replace(Manifest.from_bytes(manifest.read_bytes()), taken_at=future)
    manifest.write_bytes(ahead.to_bytes())
    for path in (archive, manifest):
        os.utime(path, (future.timestamp(),) * 2)
    message = (
        f"'{today('app')}' may not be the newest backup of 'production': its time is in the future, 2199-"
    )
    for command in (["restore", "production:dev", "--yes"], ["drill", "production"], ["drill"]):
        result = two.folder.invoke(*command)
        assert_error(result, 1, message, "use the name of the backup that you need.")
    checked = two.folder.invoke("check_backups", "production")
    assert checked.code == 10
    assert checked.out.startswith("production: none, it has no good backup")
    assert f"; the time of {today('app')} is in the future, so it does not count\n" in checked.out
    with (two.folder.path / "migrations/settings.py").open("a") as settings:
        settings.write("BACKUPS['keep'] = {'last': 1}\n")
    taken = two.folder.invoke("backup", "production", "--name", "app", "--prune")
    assert taken.code == 0, taken.output
    assert taken.out.endswith("Pruned 0 backups; 2 are left.\n")
    result = two.folder.invoke("restore", "production:dev", "--yes")
    assert_error(result, 1, message, f"The newest of the others is '{today('app')}_2'.")
    two.assert_unchanged()
    assert two.folder.invoke("restore", f"{today('app')}:dev", "--yes").code == 0


def test_the_suggested_backup_is_of_the_same_environment(two: TwoEnvironments, store_folder: Path) -> None:
    archive = store_folder / f"{today('app')}.dmp.zst"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    broken = f"Backup '{today('app')}' is broken"
    assert two.folder.invoke("backup", "dev", "--name", "other").code == 0
    result = two.folder.invoke("restore", f"{today('app')}:dev", "--yes")
    assert_error(result, 1, broken, "There is no other good backup of production")
    assert two.folder.invoke("backup", "production", "--name", "good").code == 0
    assert two.folder.invoke("backup", "dev", "--name", "other").code == 0
    result = two.folder.invoke("restore", f"{today('app')}:dev", "--yes")
    assert_error(
        result, 1, broken, f"The newest other good backup is '{today('good')}' of production, taken "
    )
    # Without its manifest its environment is unknown.
    Path(f"{archive}.json").unlink()
    result = two.folder.invoke("restore", f"{today('app')}:dev", "--yes")
    assert_error(result, 1, f"Backup '{today('app')}' is incomplete", "Its environment is unknown")
    assert today("good") not in result.err
    assert today("other") not in result.err
    two.assert_unchanged()


def test_only_the_confirmed_backup_is_deleted(two: TwoEnvironments, store_folder: Path) -> None:
    part = store_folder / f"{today('app')}_2.dmp.zst.part"
    part.write_bytes(b"left")
    terminal = two.folder.terminal("delete_backup", f"{today('app')}_2")
    terminal.expect("are you SURE")
    part.unlink()
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    terminal.sendline("y")
    code, output = end(terminal)
    assert code == 1
    assert "is another backup by now: good" in " ".join(output.split())
    assert two.folder.invoke("verify_backup", f"{today('app')}_2").code == 0


def test_only_the_confirmed_backup_is_restored(two: TwoEnvironments, store_folder: Path) -> None:
    """The backup is deleted and its name reused while the question waits for an answer."""
    project = Project(two.folder.path)
    found = project.find_backup(today("app"))
    for file in store_folder.glob("app*"):
        file.unlink()
    assert two.folder.invoke("backup", "dev", "--name", "app").code == 0
    with pytest.raises(
        Exception, match=r"Another backup has replaced it in the meantime\. 'dev' is as it was"
    ):
        project.restore(found, "dev")
    two.assert_unchanged()


def test_a_renamed_backup_has_its_new_name(two: TwoEnvironments, store_folder: Path) -> None:
    for path in sorted(store_folder.glob("app*")):
        path.rename(store_folder / path.name.replace(today("app"), "kept for good"))
    shown = two.folder.invoke("show_backup", "kept for good", "--json").json
    assert (shown["name"], shown["archive"]) == ("kept for good", "kept for good.dmp.zst")
    assert two.folder.invoke("verify_backup", "--all").code == 0


@pytest.mark.parametrize("name", ["$(id)", "`id`", "a;b", "it's", "a b"])
def test_names_can_be_pasted_into_a_shell(two: TwoEnvironments, store_folder: Path, name: str) -> None:
    result = two.folder.invoke("backup", "production", "--name", name)
    assert result.code == 0
    quoted = today(name).replace("'", "'\"'\"'")
    assert f"monarch restore '{quoted}':ENVIRONMENT" in result.out
    (store_folder / f"{today(name)}.dmp.zst").unlink()
    assert f"monarch delete_backup '{quoted}'" in two.folder.invoke("list_backups").err


def test_a_file_with_an_extreme_time(two: TwoEnvironments, store_folder: Path) -> None:
    for seconds in (-(10**10), 10**11):
        os.utime(store_folder / f"{today('app')}.dmp.zst", (seconds, seconds))
        assert two.folder.invoke("list_backups", "--json").json[0]["state"] == "good"


def test_an_unknown_home_folder(two: TwoEnvironments) -> None:
    two.folder.keep_backups("~nosuchuser/b")
    result = two.folder.invoke("list_backups")
    assert_error(result, 2, "The home folder in 'backup_dir' (.~nosuchuser/b.) is not known", "whole path")


def test_a_folder_without_a_name(two: TwoEnvironments) -> None:
    two.folder.keep_backups("")
    result = two.folder.invoke("list_backups")
    assert_error(result, 2, "has no 'backup_dir'", "Set 'backup_dir'")


def test_a_zip_has_no_manifest_whatever_other_files_exist(two: TwoEnvironments, store_folder: Path) -> None:
    manifest = store_folder / f"{today('app')}.dmp.zst.json"
    assert Manifest.from_bytes(manifest.read_bytes()).environment == "production"
    (store_folder / f"{today('app')}.dmp.zst").rename(store_folder / "old.dmp.zip")
    manifest.rename(store_folder / "old.dmp.zip.json")
    (listed,) = two.folder.invoke("list_backups", "--json").json
    assert listed["state"] == "legacy"
    assert_error(two.folder.invoke("restore", "old:dev", "--yes"), 1, "It is not a zip file", "")


def test_a_duplicate_document(two: TwoEnvironments, store_folder: Path) -> None:
    """A backup from a server without snapshots may contain one."""
    with zipfile.ZipFile(store_folder / "twice.dmp.zip", "w") as archive:
        archive.writestr("users.bson", bson.encode({"_id": 1}) * 2)
        archive.writestr("users.metadata.json", '{"indexes":[{"v":2,"key":{"_id":1},"name":"_id_"}]}')
    result = two.folder.invoke("restore", "twice:dev", "--yes", "--engine", "native")
    assert_error(result, 5, "E11000", "Recovering by hand")
    two.assert_unchanged()


def test_a_unique_index_that_the_documents_violate(two: TwoEnvironments, store_folder: Path) -> None:
    """The error does not mention duplicate documents, because there are none."""
    with zipfile.ZipFile(store_folder / "two.dmp.zip", "w") as archive:
        archive.writestr(
            "users.bson", b"".join(bson.encode({"_id": n, "email": "somebody@example.com"}) for n in range(2))
        )
        index = '{"v":2,"unique":true,"key":{"email":1},"name":"email_1"}'
        archive.writestr("users.metadata.json", f'{{"indexes":[{index}]}}')
    result = two.folder.invoke("restore", "two:dev", "--yes", "--engine", "native")
    assert_error(result, 5, "E11000.* index: email_1", "--exclude-index COLLECTION.email_1")
    assert "twice" not in result.err
    assert "somebody" not in result.err
    two.assert_unchanged()
    two.folder.invoke("restore", "two:dev", "--yes", "--engine", "native", "--exclude-index", "users.email_1")
    assert two.target.users.count_documents({}) == 2
