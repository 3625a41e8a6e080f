"""``adopt_backup``: what mongodump wrote becomes a normal backup, and nothing else does."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest

from tests.commands.backups.test_foreign import Dumps
from tests.commands.backups.test_foreign import dumps as dumps  # a fixture
from tests.databases.mongo.sources.foreign.test_archive import INDEXED
from tests.databases.mongo.sources.foreign.test_archive import archive as archive_of
from tests.support.runs.shell import CommandResult
from tests.support.runs.two_environments import TwoEnvironments, assert_error

pytestmark = pytest.mark.server
MOMENT = datetime(2020, 2, 29, 4, 5, tzinfo=UTC)


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    os.utime(path, (MOMENT.timestamp(),) * 2)
    return path


def adopt(two: TwoEnvironments, *arguments: str) -> dict[str, Any]:
    result = two.folder.invoke("adopt_backup", *arguments, "--json")
    assert result.code == 0, result.output
    found: dict[str, Any] = result.json
    return found


def nothing_kept(two: TwoEnvironments) -> bool:
    return not two.folder.invoke("list_backups", "--json").json


@pytest.fixture(autouse=True)
def store_folder(two: TwoEnvironments) -> Path:
    return two.folder.keep_backups()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_an_archive_becomes_a_normal_backup(
    two: TwoEnvironments, dumps: Dumps, tmp_path: Path, packed: bool
) -> None:
    path = write(tmp_path, "nightly", gzip.compress(dumps.one) if packed else dumps.one)
    result = two.folder.invoke("adopt_backup", str(path))
    assert result.code == 0, result.output
    name = f"{two.source.name}__2020_02_29"
    assert f"Took over a backup of production as {name}: 2 collections, 201 documents" in result.out
    assert "by adopted (mongodump 100." in result.out
    (row,) = two.folder.invoke("list_backups", "--json").json
    assert (row["name"], row["state"], row["environment"]) == (name, "good", "production")
    assert row["documents"] == 201
    assert row["taken_at"].startswith("2020-02-29T04:05")
    shown = two.folder.invoke("show_backup", name, "--json").json
    assert shown["database"] == two.source.name
    assert shown["server"].startswith("MongoDB 6.")
    assert two.folder.invoke("verify_backup", name).code == 0
    restored = two.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert restored.code == 0, restored.output
    two.assert_copied()
    assert path.exists()
    (line,) = two.folder.invoke("history", "production", "--everything", "--json").json[-1:]
    assert (line["action"], line["backup"]) == ("backup", name)


def test_a_drill_proves_it(two: TwoEnvironments, dumps: Dumps, tmp_path: Path) -> None:
    name = adopt(two, str(write(tmp_path, "x.archive", dumps.one)))["name"]
    result = two.folder.monarch("drill", name)
    assert result.code == 0, result.output
    assert "counts, indexes and hashes are equal" in result.out


def test_old_tools_read_it(two: TwoEnvironments, dumps: Dumps, tmp_path: Path, tools: Path) -> None:
    folder = tmp_path / "folder"
    (dumps.folder / two.source.name).rename(folder)
    name = adopt(two, str(folder), "--environment", "production", "--database", "folder")["name"]
    path = {"PATH": f"{tools}:{os.environ['PATH']}"}
    result = two.folder.monarch("restore", f"{name}:dev", "--yes", "--engine", "tools", variables=path)
    assert result.code == 0, result.output
    two.assert_copied()


def test_one_database_of_a_whole_server(two: TwoEnvironments, dumps: Dumps, tmp_path: Path) -> None:
    path = str(write(tmp_path, "server.archive", dumps.whole))
    error = two.folder.invoke("adopt_backup", path)
    assert_error(error, 2, r"'server\.archive' holds \d+ databases", "--database")
    assert_error(
        two.folder.invoke("adopt_backup", path, "--database", "admin"),
        2,
        "of the server itself",
        "--database",
    )
    assert_error(
        two.folder.invoke("adopt_backup", path, "--database", "unheard"), 2, "no database 'unheard'", "--data"
    )
    assert nothing_kept(two)
    name = adopt(two, path, "--database", two.source.name)["name"]
    two.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native")
    two.assert_copied()


@pytest.mark.parametrize("how", ["folder", "whole folder", "zip", "mac"])
def test_folders_and_zips(two: TwoEnvironments, dumps: Dumps, tmp_path: Path, how: str) -> None:
    path = dumps.folder / two.source.name if how == "folder" else dumps.folder
    if how == "mac":
        (dumps.folder / "__MACOSX" / two.source.name).mkdir(parents=True)
        (dumps.folder / "__MACOSX" / two.source.name / "._users.bson").write_bytes(b"\0\5\26\7")
        (dumps.folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    if how in ("zip", "mac"):
        path = write(tmp_path, "dump.zip", dumps.zipped())
    name = adopt(two, str(path), "--database", two.source.name)["name"]
    result = two.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    two.assert_copied()


def test_standard_input(two: TwoEnvironments, dumps: Dumps) -> None:
    arguments = ("adopt_backup", "-", "--taken", "2021-01-02", "--name", "old server")
    result = run_with_input(two, gzip.compress(dumps.one), *arguments)
    assert result.code == 0, result.output
    (row,) = two.folder.invoke("list_backups", "--json").json
    assert (row["name"], row["taken_at"][:10]) == ("old server__2021_01_02", "2021-01-02")
    cut = run_with_input(two, dumps.one[:-40], "adopt_backup", "-")
    assert cut.code == 1, cut.output
    assert "Nothing was kept" in cut.err
    assert len(two.folder.invoke("list_backups", "--json").json) == 1


def run_with_input(two: TwoEnvironments, data: bytes, *arguments: str) -> CommandResult:
    path = two.folder.path / "input"
    path.write_bytes(data)
    return two.folder.monarch(*arguments, prefix=["sh", "-c", f'exec "$@" <{path}', "sh"])


def test_whose_backup_it_is(two: TwoEnvironments, tmp_path: Path) -> None:
    path = str(write(tmp_path, "x.archive", archive_of(("strange", "users", INDEXED))))
    error = two.folder.invoke("adopt_backup", path)
    assert_error(error, 2, "no environment has a database 'strange'", "--environment with one of these: ")
    error = two.folder.invoke("adopt_backup", path, "--environment", "nobody")
    assert_error(error, 2, "'nobody' is not an environment", "production, dev")
    assert nothing_kept(two)
    found = adopt(two, path, "--environment", "dev")
    assert (found["environment"], found["database"], found["private"]) == ("dev", "strange", False)


def test_it_is_private_if_any_environment_is(two: TwoEnvironments, tmp_path: Path) -> None:
    uri = two.server.uri
    two.folder.settings(
        production={"uri": uri, "db_name": "a", "private": True}, dev={"uri": uri, "db_name": "b"}
    )
    two.folder.keep_backups()
    path = str(write(tmp_path, "x.archive", archive_of(("b", "users", INDEXED))))
    assert adopt(two, path)["private"] is True


def zip_of(*files: tuple[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return sink.getvalue()


DOCUMENT = bson.encode({"_id": 1})
GOOD = archive_of(("app", "users", INDEXED))
WRONG = {
    "empty": (b"", 1, "It is empty"),
    "text": (b"hello, this is no archive", 1, "not a mongodump archive"),
    "cut": (GOOD[:-30], 1, "Nothing was kept"),
    "cut gzip": (gzip.compress(GOOD)[:-9], 1, "Nothing was kept"),
    "changed": (GOOD.replace(b"users\0", b"uzers\0", 1), 1, "Nothing was kept"),
    "escape": (zip_of(("../users.bson", DOCUMENT)), 1, "Nothing was kept"),
    "bomb": (zip_of(("app/users.bson", bytes(100 << 20))), 1, "Nothing was kept"),
    "no documents": (zip_of(("app/readme.txt", b"hello")), 1, "no .bson files"),
    "oplog": (
        zip_of(("dump/oplog.bson", DOCUMENT), ("dump/app/users.bson", DOCUMENT)),
        2,
        "dumped with --oplog",
    ),
    "only admin": (archive_of(("admin", "system.users", INDEXED)), 2, "nothing to take over"),
    "encrypted": (b"age-encryption.org/v1\n-> X25519 x\n", 2, "is encrypted with age"),
    "of another": (b"PGDMP\1\16\0\4", 1, "was written by pg_dump"),
    "dangerous name": (archive_of(("app", "a\x1b[2Jb", INDEXED), ("app2", "c", INDEXED)), 2, "2 databases"),
    "dangerous database": (archive_of(("app\x1b[2J", "b", INDEXED), ("c", "d", INDEXED)), 2, "2 databases"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused(two: TwoEnvironments, tmp_path: Path, what: str) -> None:
    data, code, message = WRONG[what]
    path = write(tmp_path, "x.zip" if data.startswith(b"PK") else "x.archive", data)
    result = two.folder.invoke("adopt_backup", str(path), "--environment", "dev")
    assert result.code == code, result.output
    assert message in result.err, result.err
    assert "Hint: " in result.err
    assert "\x1b" not in result.output
    assert "Traceback" not in result.output
    assert nothing_kept(two)


def test_paths_that_cannot_be_read(two: TwoEnvironments, tmp_path: Path) -> None:
    invoke = two.folder.invoke
    assert_error(invoke("adopt_backup", "unheard_of"), 2, "'unheard_of' cannot be read: No such", "Name a")
    assert_error(invoke("adopt_backup", "/dev/null"), 2, "neither a file nor a folder", "Name a file")
    (tmp_path / "app").mkdir()
    assert invoke("adopt_backup", str(tmp_path / "app")).code == 1
    (tmp_path / "app" / "users.bson").symlink_to("/etc/passwd")
    result = invoke("adopt_backup", str(tmp_path / "app"))
    assert result.code == 1
    assert "is a link or something else" in result.err
    (tmp_path / "app" / "users.bson").unlink()
    os.mkfifo(tmp_path / "app" / "users.bson")
    assert "is a link or something else" in invoke("adopt_backup", str(tmp_path / "app")).err
    assert_error(invoke("adopt_backup", "x", "--taken", "soon"), 2, "'soon' is not a date", "2026-11-28")
    assert_error(invoke("adopt_backup", "x", "--taken", "2999-01-01"), 2, "has not come yet", "Use the time")
    assert nothing_kept(two)


def test_a_backup_of_monarch(two: TwoEnvironments, tmp_path: Path, store_folder: Path) -> None:
    name = two.folder.invoke("backup", "production", "--json").json["name"]
    archive = f"{store_folder.name}/{name}.dmp.zst"
    result = two.folder.invoke("adopt_backup", archive)
    assert_error(result, 2, "is a backup of monarch: its manifest is beside it", "Copy both files")
    alone = write(tmp_path, "alone", (store_folder / f"{name}.dmp.zst").read_bytes())
    assert adopt(two, str(alone))["environment"] == "production"


def test_restore_of_a_path_proposes_it(two: TwoEnvironments, tmp_path: Path) -> None:
    path = write(tmp_path, "my dump", GOOD)
    result = two.folder.invoke("restore", f"{path}:dev", "--yes")
    assert_error(result, 2, "There is no backup", f"monarch adopt_backup '{path}'")
    two.assert_unchanged()


def test_the_same_twice(two: TwoEnvironments, tmp_path: Path) -> None:
    path = str(write(tmp_path, "x.archive", GOOD))
    first, second = (adopt(two, path, "--environment", "dev")["name"] for _ in range(2))
    assert (first, second) == ("app__2020_02_29", "app__2020_02_29_2")
