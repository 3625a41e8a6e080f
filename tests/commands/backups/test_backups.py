"""``backup`` and the other commands for backups: their output, errors and effects."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monarch.commands.console.text import timestamp
from tests.commands.console.test_questions import end
from tests.commands.parsing.test_completion import complete
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import DOCUMENTS, TwoEnvironments, assert_error, entry
from tests.support.servers.mongod import PASSWORD, Server

pytestmark = pytest.mark.server


@pytest.fixture
def store_folder(two: TwoEnvironments) -> Path:
    """The folder for the backups of ``two``, which does not exist yet."""
    return two.folder.keep_backups()


def today(stem: str) -> str:
    return f"{stem}__{datetime.now(UTC):%Y_%m_%d}"


def flat(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_backup_reports_its_result(two: TwoEnvironments, store_folder: Path) -> None:
    result = two.folder.invoke("backup", "production", "--engine", "native")
    name = today(two.source.name)
    assert result.code == 0
    assert flat(result.err) == ["Note: the folder backups was created for backups."]
    lines = flat(result.out)
    assert lines[0] == "COLLECTION DOCUMENTS SIZE INDEXES TIME"
    assert re.fullmatch(r"users 200 \d\.\d kB 2 \d\.\d s", lines[2])
    assert re.fullmatch(
        rf"Backed up production as {name}: 2 collections, 201 documents, \d+\.\d kB, "
        r"compressed to \d\.\d kB, in \d\.\d s, by native \(pymongo [\d.]+\)\.",
        lines[4],
    )
    assert lines[5] == f"It is in backups. To restore it: monarch restore {name}:ENVIRONMENT"
    assert {path.name for path in store_folder.iterdir()} == {
        ".gitignore",
        f"{name}.dmp.zst",
        f"{name}.dmp.zst.json",
        f"{name}.journal",
    }


def test_files_are_private(two: TwoEnvironments, store_folder: Path) -> None:
    before = os.umask(0)
    try:
        assert two.folder.invoke("backup", "production").code == 0
    finally:
        os.umask(before)
    assert store_folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in store_folder.iterdir()} == {0o600}


def test_names(two: TwoEnvironments, store_folder: Path) -> None:
    """A backup gets the next free name of the day, whatever the file endings of the others."""
    first = today("app")
    store_folder.mkdir()
    (store_folder / f"{first}_3.dmp.zip").write_bytes(b"of monarch 0.1")
    for codec in ("zst", "gz", "zst"):
        assert two.folder.invoke("backup", "production", "--name", "app", "--codec", codec).code == 0
    names = {path.name for path in store_folder.iterdir() if not path.name.endswith((".json", ".journal"))}
    assert names == {
        f"{first}.dmp.zst",
        f"{first}_2.dmp.gz",
        f"{first}_3.dmp.zip",
        f"{first}_4.dmp.zst",
    }
    report = two.folder.invoke("backup", "production", "--name", "of: 10 ü", "--json").json
    assert report["name"] == today("of: 10 ü")
    assert two.folder.invoke("verify_backup", report["name"]).code == 0


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--name", "../up"], "No backup can be called '../up': the name begins with '.'", "--name OTHER"),
        (["--name", "a/b"], "the name has '/' in it", "--name OTHER"),
        (["--name", ""], "the name is empty", "--name OTHER"),
        (["--name", "a\nb"], "the name has '\\\\n' in it", "--name OTHER"),
        (["--name", "-x"], "the name begins with '-'", "--name OTHER"),
        (["--name", "n" * 201], "the name is longer than 200 bytes", "--name OTHER"),
        (["--level", "20"], "zst has no level 20", "--level 1 to 19"),
        (["--codec", "gz", "--level", "9"], "gz has no level 9", "--level 1 to 3"),
    ],
)
def test_wrong_arguments_are_reported_first(
    two: TwoEnvironments, store_folder: Path, arguments: list[str], message: str, hint: str
) -> None:
    assert_error(two.folder.invoke("backup", "production", *arguments), 2, message, hint)
    assert not store_folder.exists()


def test_a_settings_file_without_backups(two: TwoEnvironments) -> None:
    for command in (["backup", "production"], ["list_backups"], ["restore", "a:dev", "--yes"]):
        result = two.folder.invoke(*command)
        assert_error(result, 2, "There is no BACKUPS in migrations/settings.py", "'LOCAL'")


def test_an_empty_source_is_an_error(two: TwoEnvironments, store_folder: Path) -> None:
    two.folder.settings(
        production=entry(two.server, "no_such_database"), dev=entry(two.server, two.target.name)
    )
    two.folder.keep_backups()
    result = two.folder.invoke("backup", "production")
    assert_error(result, 1, "'production' holds no collections: there is nothing to back up", "--allow-empty")
    assert not store_folder.exists()
    assert two.folder.invoke("backup", "production", "--allow-empty").code == 0
    assert two.folder.invoke("verify_backup", "--all").code == 0
    assert two.folder.invoke("restore", f"{today('no_such_database')}:dev", "--yes").code == 0
    assert not set(two.target.list_collection_names()) - {"monarch_lease", "mongo_migration_journal"}


def test_an_unreachable_server(two: TwoEnvironments, store_folder: Path) -> None:
    gone = {"host": "localhost:1", "db_name": "app", "serverSelectionTimeoutMS": 300}
    two.folder.settings(production=gone)
    two.folder.keep_backups()
    result = two.folder.invoke("backup", "production")
    assert result.code == 5
    assert "Error: " in result.err
    assert not store_folder.exists()


def test_a_user_with_read_rights_suffices_and_the_password_is_not_shown(
    two: TwoEnvironments, store_folder: Path, tools: Path
) -> None:
    with two.server.client() as client:
        client.admin.command("createUser", "looker", pwd=PASSWORD, roles=["readAnyDatabase"])
    host = {"host": two.server.host, "username": "looker", "password": PASSWORD, "authSource": "admin"}
    two.folder.settings(production={**host, "db_name": two.source.name})
    two.folder.keep_backups()
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}"}
    output = ""
    for engine in ("native", "tools"):
        result = two.folder.monarch(
            "backup", "production", "--engine", engine, "--traceback", variables=with_tools
        )
        assert result.code == 0, result.output
        output += result.output
    with two.server.client() as client:
        client.admin.command("dropUser", "looker")
    failed = two.folder.monarch(
        "backup", "production", "--engine", "tools", "--traceback", variables=with_tools
    )
    assert failed.code == 5
    output += failed.output + two.folder.invoke("show_backup", today(two.source.name), "--json").output
    assert PASSWORD not in output
    for path in store_folder.iterdir():
        assert PASSWORD.encode() not in path.read_bytes()
    names = {path.name for path in store_folder.iterdir()}
    assert not any(name.endswith(".part") for name in names)
    assert len(names) == 7
    assert two.folder.invoke("verify_backup", "--all").code == 0


def test_json_and_the_manifest(two: TwoEnvironments, store_folder: Path) -> None:
    result = two.folder.invoke("backup", "production", "--engine", "native", "--json")
    report = result.json
    name = today(two.source.name)
    assert (report["name"], report["place"], report["environment"]) == (name, "backups", "production")
    assert {row["name"]: row["documents"] for row in report["collections"]} == {
        "mongo_migration_history": 1,
        "users": DOCUMENTS,
        "young": 0,
    }
    written = json.loads((store_folder / f"{name}.dmp.zst.json").read_text())
    assert written["size"] == (store_folder / f"{name}.dmp.zst").stat().st_size == report["size"]
    assert written["sha256"] == report["sha256"]
    (listed,) = two.folder.invoke("list_backups", "--json").json
    assert listed == {
        "name": name,
        "archive": f"{name}.dmp.zst",
        "state": "good",
        "environment": "production",
        "database": two.source.name,
        "taken_at": timestamp(datetime.fromisoformat(written["taken_at"])),
        "bytes": written["size"],
        "documents": DOCUMENTS + 1,
        "query_set": None,
        "private": False,
        "masked": False,
        "protected": None,
        "encrypted": False,
        "why": None,
    }
    shown = two.folder.invoke("show_backup", name, "--json").json
    assert shown["collections"] == written["collections"]
    assert shown["server"].startswith("MongoDB ")


def test_list_show_verify_and_delete(two: TwoEnvironments, store_folder: Path) -> None:
    listed = two.folder.invoke("list_backups")
    assert (listed.code, listed.out) == (0, "There are no backups in backups.\n")
    assert not store_folder.exists()
    for _ in range(2):
        assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    first, second = today("app"), today("app") + "_2"
    assert [line.split()[0] for line in flat(two.folder.invoke("list_backups").out)[1:]] == [first, second]
    shown = two.folder.invoke("show_backup", f"{first}.dmp.zst")
    assert f"Name {first}" in flat(shown.out)
    assert "Contents 2 collections, 201 documents," in " ".join(shown.out.split())
    verified = two.folder.invoke("verify_backup", first, second)
    assert verified.code == 0
    assert [line.split(":")[0] for line in verified.out.splitlines()] == [f"good {first}", f"good {second}"]
    assert two.folder.invoke("verify_backup", "--all").out.endswith("2 backups, all of them good.\n")

    archive = store_folder / f"{first}.dmp.zst"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    verified = two.folder.invoke("verify_backup", "--all")
    assert_error(verified, 1, f"1 of 2 backups cannot be restored: {first}", f"is {second!r}")
    assert f"BROKEN {first}: Backup '{first}' is broken: " in verified.out
    rows = two.folder.invoke("verify_backup", "--all", "--json").json
    assert [(row["name"], row["good"]) for row in rows] == [(first, False), (second, True)]

    asked = two.folder.invoke("delete_backup", first, second)
    assert asked.code == 2
    assert "Delete 2 backups from backups: are you SURE" in asked.err
    wrong = two.folder.invoke("delete_backup", first, "app", "--yes")
    assert_error(wrong, 2, "There is no backup 'app'", "list_backups")
    assert archive.exists()
    gone = two.folder.invoke("delete_backup", first, "--yes")
    assert (gone.code, gone.out) == (0, f"Deleted {first}.dmp.zst.\n")
    assert {path.name for path in store_folder.iterdir() if not path.name.startswith("delete__")} == {
        ".gitignore",
        f"{first}.journal",
        f"{second}.dmp.zst",
        f"{second}.dmp.zst.json",
        f"{second}.journal",
    }


def test_delete_backup_asks_in_a_terminal(two: TwoEnvironments, store_folder: Path) -> None:
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    for answer, code in (("n", 1), ("y", 0)):
        terminal = two.folder.terminal("delete_backup", today("app"))
        terminal.expect("are you SURE")
        terminal.sendline(answer)
        assert end(terminal)[0] == code
        assert (store_folder / f"{today('app')}.dmp.zst").exists() == (code == 1)


def test_incomplete_backups_are_reported(two: TwoEnvironments, store_folder: Path) -> None:
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    (store_folder / f"{today('app')}.dmp.zst").rename(store_folder / "lost.dmp.zst")
    (store_folder / "cut.dmp.gz.part").write_bytes(b"half")
    (store_folder / "old.dmp.zip").write_bytes(b"zip")
    (store_folder / "notes.txt").write_text("mine")
    rows = {row["name"]: row for row in two.folder.invoke("list_backups", "--json").json}
    assert {name: row["state"] for name, row in rows.items()} == {
        today("app"): "broken",
        "cut": "unfinished",
        "lost": "incomplete",
        "old": "legacy",
    }
    listed = two.folder.invoke("list_backups")
    assert f"Note: {today('app')} is broken: its archive is missing." in listed.err
    assert "Note: lost is incomplete: it has no manifest" in listed.err
    assert "monarch delete_backup cut" in listed.err
    for name, state in (("lost", "incomplete"), ("cut", "unfinished"), (today("app"), "broken")):
        result = two.folder.invoke("verify_backup", name)
        assert result.code == 1
        assert f"Backup '{name}' is {state}" in result.out
        result = two.folder.invoke("restore", f"{name}:dev", "--yes")
        assert_error(result, 1, f"Backup '{name}' is {state}", "Its environment is unknown")
        assert two.folder.invoke("delete_backup", name, "--yes").code == 0
    left = {path.name for path in store_folder.iterdir() if path.suffix != ".journal"}
    assert left == {".gitignore", "notes.txt", "old.dmp.zip"}


def test_two_archives_with_one_name(two: TwoEnvironments, store_folder: Path) -> None:
    store_folder.mkdir()
    for ending in ("zip", "gz"):
        (store_folder / f"app.dmp.{ending}").write_bytes(b"")
    result = two.folder.invoke("show_backup", "app")
    assert_error(result, 2, "'app' may be 'app.dmp.gz' and 'app.dmp.zip'", "with its ending")
    assert two.folder.invoke("delete_backup", "app.dmp.gz", "--yes").code == 0
    assert [path.name for path in store_folder.glob("app*")] == ["app.dmp.zip"]


def test_completion_of_backups(folder: Folder) -> None:
    folder.settings(development={"embedded": True, "db_name": "a"}, production={"host": "h", "db_name": "a"})
    store_folder = folder.keep_backups()
    assert complete(folder, "monarch show_backup ") == set()
    store_folder.mkdir()
    for name in ("app__2014_05_29.dmp.zst", "app__2014_05_30.dmp.zip", "other.txt", "a.dmp.gz.part"):
        (store_folder / name).write_bytes(b"")
    both = {"app__2014_05_29", "app__2014_05_30"}
    assert complete(folder, "monarch show_backup a") == both
    assert complete(folder, "monarch verify_backup app__2014_05_29 a") == both
    assert complete(folder, "monarch restore app__2014_05_3") == {"app__2014_05_30:"}
    assert complete(folder, "monarch restore p") == {"production:"}


@pytest.mark.parametrize("columns", [30, 100])
def test_the_progress_bar_of_a_backup(two: TwoEnvironments, store_folder: Path, columns: int) -> None:
    terminal = two.folder.terminal("backup", "production", "--engine", "native", columns=columns)
    code, output = end(terminal)
    assert code == 0
    drawn = [part for part in output.replace("\r\n", "\n").split("\r") if "\n" not in part and part]
    assert any(part.startswith("dumping [") for part in drawn)
    assert all(len(part) < columns for part in drawn)
    assert store_folder.exists()


def test_with_the_tools(two: TwoEnvironments, store_folder: Path, tools: Path, server: Server) -> None:
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}"}
    report = two.folder.monarch("backup", "production", "--json", variables=with_tools).json
    assert report["engine"] == "tools"
    assert [version.split()[0] for version in report["versions"]] == ["mongodump", "mongorestore"]
    assert two.folder.invoke("verify_backup", report["name"]).code == 0


def test_a_time_series_is_not_nothing(two: TwoEnvironments) -> None:
    two.source.client.drop_database(two.source.name)
    two.source.create_collection("visits", timeseries={"timeField": "at"})
    two.source.visits.insert_many({"at": datetime(2014, 5, 29, 1, minute)} for minute in range(9))
    two.folder.keep_backups()
    result = two.folder.monarch("backup", "production")
    assert "1 collection, 0 documents and 1 bucket of time series, " in result.out
    assert "  0 + 1 bucket  good" in two.folder.monarch("list_backups").out
    assert "1 collection, 0 documents and 1 bucket of time series, " in two.copy("--yes").out
