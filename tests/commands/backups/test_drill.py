"""``drill``: a backup is restored into a server that is thrown away, and nothing is left of it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import psutil
import pytest

from monarch.backups.manifest import Manifest
from monarch.system.process_identity import who
from tests.commands.backups.test_buckets import keep_in
from tests.support import counts
from tests.support.runs.postgres_pair import PostgresPair, make_pair
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.samples.ages import make_key
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

pytestmark = [pytest.mark.server, pytest.mark.command]

BEGINS = "\nimport os, signal, time\ndef verify(database):\n    "


@pytest.fixture
def backed_up(two: TwoEnvironments) -> TwoEnvironments:
    """A backup of several kinds of collections in a folder."""
    two.folder.keep_backups()
    fill_more(two)
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    return two


def fill_more(two: TwoEnvironments) -> None:
    at = datetime(2014, 5, 29, tzinfo=UTC)
    two.source.users.create_index("at", expireAfterSeconds=60)
    two.source.users.update_many({}, {"$set": {"at": at}})  # it expired long ago, and must still be there
    two.source.create_collection("weather", timeseries={"timeField": "t", "metaField": "at"})
    two.source.weather.insert_many({"t": at, "at": n % 3, "n": n} for n in range(30))
    two.source.create_collection("log", capped=True, size=4096)
    two.source.log.insert_many({"n": n} for n in range(20))
    two.source.create_collection("ids", clusteredIndex={"key": {"_id": 1}, "unique": True})
    two.source.ids.insert_many({"_id": n} for n in (3, 1, 2))


def add_check(folder: Folder, body: str) -> None:
    """Add a ``verify(database)`` to the settings."""
    with (folder.path / "migrations/settings.py").open("a", encoding="utf-8") as settings:
        settings.write(f"{BEGINS}{body}\n")


def change_manifest(folder: Folder, **members: Any) -> Manifest:
    """Change the manifest of the only backup as if it had been written so; return what it was."""
    (file,) = (folder.path / "backups").glob("*.json")
    taken = Manifest.from_bytes(file.read_bytes())
    file.write_bytes(replace(taken, **members).to_bytes())
    return taken


def servers(folder: Folder) -> list[psutil.Process]:
    """Return the servers of drills that run."""
    return [one for one in psutil.process_iter() if str(folder.path / ".monarch") in _arguments(one)]


def _arguments(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def assert_nothing_left(folder: Folder) -> None:
    drills = folder.path / ".monarch/.drills"
    assert [one.name for one in drills.iterdir()] == ["lock"]
    assert drills.stat().st_mode & 0o066 == 0, "only this user may read it"
    assert servers(folder) == []


def drills_of(folder: Folder) -> list[dict[str, Any]]:
    """Return what the journal has of drills of ``production``."""
    entries = folder.invoke("history", "production", "--everything", "--json").json
    return [one for one in entries if one["action"] == "drill"]


def test_a_backup_in_a_bucket_passes(two: TwoEnvironments, s3: S3Server) -> None:
    bucket = f"b-{uuid.uuid4().hex}"
    s3.client().create_bucket(Bucket=bucket)
    keep_in(two.folder, s3.settings(bucket))
    fill_more(two)
    add_check(two.folder, "assert database.users.count_documents({}) == 200; print('looked')")
    assert two.folder.invoke("backup", "production").code == 0
    result = two.folder.monarch("drill", "--html", "page.html", "--json")
    assert result.code == 0, result.output
    assert "looked" in result.err
    assert "needs about 5" in result.err
    (drilled,) = result.json
    assert (drilled["passed"], drilled["verify"], drilled["problems"]) == (True, True, [])
    assert (drilled["drilled_by"], drilled["recipients"]) == (who(), [])
    assert 0 < drilled["age_seconds"] < 600
    assert {one["name"]: one["contents"] for one in drilled["collections"]} == {
        "ids": "same",
        "log": "not compared",  # it may drop its oldest documents
        "mongo_migration_history": "same",
        "users": "same",
        "weather": "same",
        "young": "same",
    }
    assert "Passed" in (two.folder.path / "page.html").read_text()
    assert_nothing_left(two.folder)
    (line,) = drills_of(two.folder)
    assert (line["key"], line["outcome"], line["error"]) == (f"drill {drilled['backup']}", "Completed", None)
    (item,) = line["backups"]
    assert (item["sha256"], item["deleted"]) == (drilled["sha256"], False)


def test_whatever_differs_fails_the_drill(backed_up: TwoEnvironments) -> None:
    two, folder = backed_up, backed_up.folder
    taken = change_manifest(folder)
    digests = {one.name: one for one in taken.digests}
    users = b"".join(map(bson.encode, two.source.users.find()))
    assert digests["users"].contents == f"sha256:{hashlib.sha256(users).hexdigest()}"
    changed = (
        replace(digests["ids"], contents=f"sha256:{'0' * 64}"),
        replace(digests["users"], indexes={**digests["users"].indexes, "gone_1": "sha256:1"}),
    )
    same = tuple(one for name, one in digests.items() if name not in ("ids", "users"))
    change_manifest(folder, digests=(*same, *changed))
    add_check(folder, "raise ValueError('no cats')")
    result = folder.monarch("drill", "production", "--html", "page.html")
    assert result.code == 10, result.output
    assert result.out.startswith("FAILED app__")
    for problem in (
        "verify() of the settings has failed: ValueError: no cats",
        "ids: Its contents are others: their hash differs.",
        "users: It lacks the index 'gone_1'.",
    ):
        assert result.out.count(problem) == 1
    assert len(result.out.splitlines()) == 3, "everything else is equal"
    assert "Error: 1 of 1 drill failed: app__" in result.err
    assert "Failed" in (folder.path / "page.html").read_text()
    assert_nothing_left(folder)


def test_a_damaged_archive_fails_the_drill(backed_up: TwoEnvironments) -> None:
    folder = backed_up.folder
    (archive,) = (folder.path / "backups").glob("*.zst")
    data = archive.read_bytes()
    archive.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    result = folder.monarch("drill", "production", "--json")
    assert result.code == 10, result.output
    (drilled,) = result.json
    assert "is broken" in drilled["problems"][0]
    assert "drill" not in drilled["problems"][0]
    archive.write_bytes(data[:-9])
    result = folder.monarch("drill", archive.name)
    assert result.code == 10, result.output
    assert "is broken" in result.err
    assert_nothing_left(folder)


def test_an_encrypted_backup_needs_its_key_and_is_counted(two: TwoEnvironments) -> None:
    folder = two.folder
    folder.keep_backups()
    key = make_key(folder.path / "key")
    folder.encrypt_backups(key.recipient, identities=key.path)
    assert folder.invoke("backup", "production").code == 0
    result = folder.monarch("drill", "production", "--html", "page.html")
    assert result.code == 0, result.output
    assert result.out.startswith("passed (counts only) ")
    assert (
        "counts are equal; the backup is encrypted, so its manifest has no hashes of contents" in result.out
    )
    page = (folder.path / "page.html").read_text()
    assert "Passed <span>counts only</span>" in page
    assert key.recipient in page
    other = make_key(folder.path / "other")
    for identities, message in ((None, "no key is known"), (other.path, "does not open the backup")):
        folder.encrypt_backups(key.recipient, identities=identities)
        result = folder.monarch("drill", "production")
        # No note about room: nothing was started, and no folder was made.
        assert_error(result, 2, message, "BACKUPS['encrypt']")
    (archive,) = (folder.path / "backups").glob("*.age")
    archive.write_bytes(b"x" * archive.stat().st_size)
    folder.encrypt_backups(key.recipient, identities=key.path)
    assert folder.monarch("drill", "production").code == 10
    assert_nothing_left(folder)


def test_a_backup_of_a_newer_server_is_refused_before_it_is_restored(backed_up: TwoEnvironments) -> None:
    folder = backed_up.folder
    change_manifest(folder, server="MongoDB 99.1.0, a sharded cluster")
    result = folder.monarch("drill", "production")
    assert_note_and_error(result.err, "is of MongoDB 99.1.0", "Install MongoDB 99 or newer on this machine")
    assert result.code == 2
    assert_nothing_left(folder)


def assert_note_and_error(err: str, message: str, hint: str) -> None:
    note, error, hint_line = err.splitlines()
    assert note.startswith("Note: the drill of")
    assert message in error
    assert hint in hint_line


def test_a_drill_needs_room(backed_up: TwoEnvironments) -> None:
    folder = backed_up.folder
    taken = change_manifest(folder)
    huge = replace(taken.collections[0], bytes=1 << 60)
    change_manifest(folder, collections=(huge, *taken.collections[1:]))
    result = folder.monarch("drill", "production")
    assert_error(result, 5, r"needs about 1,729,382\.\d TB in .*, and there are \d", "Free space there")
    assert_nothing_left(folder)


def test_a_check_that_refuses_and_a_page_that_cannot_be_written_any_more(backed_up: TwoEnvironments) -> None:
    folder = backed_up.folder
    settings = folder.path / "migrations/settings.py"
    text = settings.read_text()
    (folder.path / "out").mkdir()
    add_check(folder, "os.rmdir('out'); return False")
    result = folder.monarch("drill", "production", "--html", "out/page.html")
    assert result.code == 10, result.output
    unwritten = "The page about the drill was not written: 'out/page.html': No such file"
    *_, note, error, hint = result.err.splitlines()
    assert note.startswith(f"Note: {unwritten}")
    assert error.startswith("Error: 1 of 1 drill failed: ")
    assert "Look at verify() in migrations/settings.py and at the data" in hint
    settings.write_text(text)
    (folder.path / "out").mkdir()
    add_check(folder, "os.rmdir('out')")
    result = folder.monarch("drill", "production", "--html", "out/page.html")
    assert result.code == 1, result.output
    assert result.out.startswith("passed app__")
    assert f"Error: {unwritten}" in result.err
    assert_nothing_left(folder)
    # What it printed or raised may hold values of documents.
    assert [(one["outcome"], one["error"]) for one in drills_of(folder)] == [
        ("Failed", "verify() of the settings does not accept it"),
        ("Completed", None),
    ]
    assert "does not accept it" in folder.invoke("history", "production", "--everything").out


MOMENTS = ("begun", "started", "verifying")


@pytest.mark.parametrize("moment", counts.sample(MOMENTS, 1))
def test_the_next_drill_removes_what_a_killed_one_left(backed_up: TwoEnvironments, moment: str) -> None:
    folder = backed_up.folder
    settings = (folder.path / "migrations/settings.py").read_text()
    add_check(folder, "os.kill(os.getpid(), signal.SIGKILL)")
    process = folder.start("drill", "production")
    drills = folder.path / ".monarch/.drills"
    wait_for = {"begun": "*-*/lock", "started": "*-*/.monarch/drill/server.json", "verifying": "none"}[moment]
    while process.poll() is None and not list(drills.glob(wait_for)):
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(list(drills.iterdir())) == 2
    (folder.path / "migrations/settings.py").write_text(settings)
    # As one of an older monarch, which has no hashes.
    change_manifest(folder, digests=())
    result = folder.monarch("drill", "production")
    assert result.code == 0, result.output
    assert "counts are equal; its manifest has no hashes" in result.out
    assert_nothing_left(folder)


@pytest.mark.parametrize("number", counts.sample((signal.SIGINT, signal.SIGTERM), 1))
def test_an_interrupted_drill_leaves_nothing(backed_up: TwoEnvironments, number: int) -> None:
    add_check(backed_up.folder, f"os.kill(os.getpid(), {number}); time.sleep(60)")
    result = backed_up.folder.monarch("drill", "production")
    assert result.code in (130, 143), result.output
    assert "Interrupted. Nothing of the drill was kept." in result.err
    assert_nothing_left(backed_up.folder)


@pytest.fixture
def pair(postgres: PostgresServer) -> Iterator[PostgresPair]:
    """In a folder that others may enter: the server does not run as root."""
    with tempfile.TemporaryDirectory(prefix="monarch-test-drill-", dir="/tmp") as path:
        Path(path).chmod(0o755)
        with make_pair(Path(path), postgres, postgres) as made:
            yield made


def test_postgres(pair: PostgresPair) -> None:
    pair.source.run(
        "CREATE TABLE dogs (id int PRIMARY KEY, name text, born timestamptz, weight float8, photo bytea)",
        "INSERT INTO dogs SELECT n, 'dög ' || n, now(), n / 3.0, '\\xdead' FROM generate_series(1, 500) n",
        "CREATE INDEX by_name ON dogs (lower(name)) WHERE id > 3",
        "CREATE VIEW puppies AS SELECT * FROM dogs WHERE id IN (1, 2)",
        "CREATE TABLE old (id int, k varchar(9) CHECK (k IN ('a', 'b'))) PARTITION BY LIST (k)",
        "CREATE TABLE old_a PARTITION OF old FOR VALUES IN ('a')",
        "CREATE INDEX ON old (id)",
        "INSERT INTO old VALUES (1, 'a')",
        'ALTER DATABASE "' + pair.source.name + "\" SET timezone = 'Asia/Tokyo'",
    )
    folder = pair.folder
    folder.variables["PATH"] = f"{pair.source.server.programs}{os.pathsep}{os.environ['PATH']}"
    pair.back_up()
    taken = change_manifest(folder)
    digests = {one.name: one for one in taken.digests}
    assert set(digests["dogs"].indexes) == {"dogs_pkey", "by_name"}
    wrong = replace(digests["old_a"], contents=f"{(digests['old_a'].contents or '').partition(':')[0]}:0")
    change_manifest(folder, digests=tuple((digests | {"old_a": wrong}).values()))
    add_check(folder, "assert database.execute('SELECT count(*) FROM dogs').fetchone()[0] == 500")
    result = folder.monarch("drill", "production", "--json")
    assert result.code == 10, result.output
    (drilled,) = json.loads(result.out)
    assert drilled["verify"] is True
    assert {one["name"]: (one["contents"], one["problems"]) for one in drilled["collections"]} == {
        "dogs": ("same", []),
        "old_a": ("different", ["Its contents are others: their hash differs."]),
        "puppies": ("same", []),
    }
    assert_nothing_left(folder)


def test_wrong_arguments(backed_up: TwoEnvironments) -> None:
    folder = backed_up.folder
    (archive,) = (folder.path / "backups").glob("*.zst")
    name = archive.name.partition(".")[0]
    assert_error(folder.invoke("drill", "no_such"), 2, "There is no backup 'no_such'", "list_backups")
    assert_error(folder.invoke("drill", "dev"), 2, "There is no good backup of 'dev'", "monarch backup dev")
    result = folder.invoke("drill", name, "--html", "nowhere/page.html")
    assert_error(result, 2, "'nowhere/page.html' is in no folder that exists", "Name a file")
    assert_error(folder.invoke("drill", name, "--html", "."), 2, "'.' is a folder", "Name a file")
    archive.unlink()
    assert_error(folder.invoke("drill"), 2, "There is no good backup of any environment", "Take one:")
    assert not (folder.path / ".monarch").exists()
