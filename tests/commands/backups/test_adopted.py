"""What was taken over is a backup like others: restored as it was, drilled, pruned, secret, private."""

from __future__ import annotations

import fcntl
import gzip
import os
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pytest

from monarch.backups.manifest import Manifest
from monarch.databases.mongo.connection.client import tool_uri
from tests.backups.foreign.test_adoption import zip_of
from tests.commands.backups.test_buckets import keep_in, objects
from tests.commands.backups.test_buckets import proxy as proxy  # a fixture
from tests.commands.backups.test_foreign import dump
from tests.commands.test_private import KEY, RULES, assert_masked
from tests.commands.test_private import private as private  # a fixture
from tests.databases.mongo.engines.test_archives import sorted_inside
from tests.databases.mongo.engines.test_pairs import environment, scratch
from tests.databases.mongo.engines.test_pairs import with_tools as with_tools  # a fixture
from tests.databases.mongo.sources.foreign.test_archive import INDEXED
from tests.databases.mongo.sources.foreign.test_archive import archive as archive_of
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.support.runs.shell import MONARCH, Folder
from tests.support.runs.two_environments import TwoEnvironments, assert_error, entry
from tests.support.samples import everything
from tests.support.samples.ages import make_key
from tests.support.samples.equality import Description, assert_equal, describe
from tests.support.servers.mongod import Server
from tests.support.servers.s3 import FaultyProxy, S3Server

pytestmark = pytest.mark.server
GOOD = archive_of(("app", "users", INDEXED))
DAYS = ("2020-01-01", "2020-01-02", "2020-01-03")


@pytest.fixture(scope="module")
def dumped(
    tools: Path, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Description, dict[str, Path]]]:
    """A full database, and what the real mongodump makes of it, by its form."""
    folder = tmp_path_factory.mktemp("dumped")
    with scratch(server) as source:
        # The longest name must fit beside that of the target, too.
        everything.fill(source, large=False, namespace=240)
        source.drop_collection("Case")  # on Windows, it has the same file name as "case"
        uri = f"--uri={tool_uri(environment('any', server, 'any'))}"
        for out, more in (("plain", ()), ("gzip", ("--gzip",))):
            command = [str(tools / "mongodump"), uri, f"--db={source.name}", f"--out={folder / out}", *more]
            subprocess.run(command, check=True, capture_output=True)
        (folder / "x.archive").write_bytes(dump(tools, server, "--archive", f"--db={source.name}"))
        files = {f"dump/app/{one.name}": one.read_bytes() for one in (folder / "plain").rglob("*.*")}
        (folder / "x.zip").write_bytes(zip_of(files))
        forms = {"archive": folder / "x.archive", "zip": folder / "x.zip"}
        forms |= {name: folder / name / source.name for name in ("plain", "gzip")}
        yield describe(source, buckets=False), forms


@pytest.mark.parametrize(
    ("form", "engine"),
    [("archive", "native"), ("archive", "tools"), ("plain", "native"), ("gzip", "tools"), ("zip", "native")],
)
def test_everything_is_equal_afterwards(
    two: TwoEnvironments,
    with_tools: None,
    dumped: tuple[Description, dict[str, Path]],
    form: str,
    engine: str,
) -> None:
    """Types, options, indexes, collations, views, time series, capped and clustered collections, GridFS."""
    source, forms = dumped
    two.folder.keep_backups()
    taken = adopt(two.folder, str(forms[form]), "--environment", "production")
    assert two.folder.invoke("verify_backup", taken["name"]).code == 0
    restored = two.folder.invoke("restore", f"{taken['name']}:dev", "--yes", "--engine", engine)
    assert restored.code == 0, restored.output
    # mongodump 100.3 loses the order inside options and indexes.
    assert_equal(sorted_inside(source), sorted_inside(describe(two.target, buckets=False)))


@pytest.mark.command
@pytest.mark.parametrize("form", ["archive", "gzip"])
def test_a_drill_compares_its_hashes(
    two: TwoEnvironments, dumped: tuple[Description, dict[str, Path]], form: str
) -> None:
    two.folder.keep_backups()
    taken = adopt(two.folder, str(dumped[1][form]), "--environment", "production")
    drilled = two.folder.monarch("drill", taken["name"], "--json")
    assert drilled.code == 0, drilled.output
    (row,) = drilled.json
    assert (row["passed"], row["hashes"]) == (True, True)


@pytest.mark.command
def test_a_drill_of_a_masked_time_series(private: TwoEnvironments) -> None:
    """It is in the backup as documents, as those that mongodump has read before 100.4."""
    private.source.create_collection("weather", timeseries={"timeField": "t"})
    at = datetime(2014, 5, 29, tzinfo=UTC)
    private.source.weather.insert_many({"t": at + timedelta(seconds=n), "n": n} for n in range(300))
    with (private.folder.path / "migrations/privacy.py").open("a", encoding="utf-8") as rules:
        rules.write("masks['weather'] = {'*': keep}\n")
    taken = private.folder.invoke("backup", "production", "--masked", "--json", variables=KEY)
    assert taken.code == 0, taken.output
    drilled = private.folder.monarch("drill", taken.json["name"])
    assert drilled.code == 0, drilled.output


def adopt(folder: Folder, *arguments: str) -> dict[str, Any]:
    result = folder.invoke("adopt_backup", *arguments, "--json")
    assert result.code == 0, result.output
    found: dict[str, Any] = result.json
    return found


@pytest.fixture
def project(tmp_path: Path, server: Server) -> Folder:
    folder = Folder(tmp_path)
    folder.settings(production=entry(server, "app"))
    folder.keep_backups()
    (tmp_path / "x.archive").write_bytes(GOOD)
    return folder


def test_in_a_bucket(project: Folder, s3: S3Server, bucket: str) -> None:
    keep_in(project, s3.settings(bucket, prefix="app"))
    name = adopt(project, "x.archive", "--taken", DAYS[0])["name"]
    assert objects(s3, bucket) == {f"app/{name}{end}" for end in (".dmp.zst", ".dmp.zst.json", ".journal")}
    assert project.invoke("verify_backup", name).code == 0
    # One that lies in the bucket is read there.
    s3.client().put_object(Bucket=bucket, Key="app/nightly.archive.gz", Body=gzip.compress(GOOD))
    assert adopt(project, "nightly.archive.gz", "--taken", DAYS[1])["name"] == "app__2020_01_02"
    assert project.invoke("verify_backup", "--all").out.endswith("3 backups: 2 good, 1 intact.\n")
    assert project.invoke("delete_backup", name, "app__2020_01_02", "--yes").code == 0
    left = {one for one in objects(s3, bucket) if not one.endswith(".journal")}
    assert left == {"app/nightly.archive.gz"}


def test_a_bucket_that_fails(project: Folder, s3: S3Server, bucket: str, proxy: FaultyProxy) -> None:
    keep_in(project, replace(s3, url=proxy.url).settings(bucket, prefix="app"))
    proxy.add("refuse", r"^PUT .*json\?.*partNumber=", times=1000)
    assert_error(project.invoke("adopt_backup", "x.archive"), 5, "cannot be reached", "endpoint_url")
    proxy.clear()
    assert objects(s3, bucket) == set()
    assert adopt(project, "x.archive")["name"].startswith("app__")


def test_in_an_encrypted_store(project: Folder, tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys.txt")
    project.encrypt_backups(key.recipient)
    taken = project.invoke("adopt_backup", "x.archive", "--taken", DAYS[0])
    assert taken.code == 0, taken.output
    assert "this is the first encrypted backup here" in taken.err
    archive = project.path / "backups/app__2020_01_01.dmp.zst.age"
    assert archive.read_bytes().startswith(b"age-encryption.org/v1\n")
    manifest = Manifest.from_bytes(archive.with_name(f"{archive.name}.json").read_bytes())
    assert (manifest.recipients, manifest.digests) == ((key.recipient,), ())
    assert project.invoke("verify_backup", archive.name).code == 0
    error = project.invoke("restore", "app__2020_01_01:production", "--yes")
    assert error.code != 0
    project.encrypt_backups(key.recipient, identities=key.path)
    assert project.invoke("verify_backup", "--all", "--deep").code == 0


def test_retention(project: Folder) -> None:
    for day in DAYS:
        adopt(project, "x.archive", "--taken", day)
    assert project.invoke("protect_backup", "app__2020_01_01").code == 0
    pruned = project.invoke("prune_backups", "production", "--keep-last", "1", "--yes")
    assert pruned.code == 0, pruned.output
    left = {row["name"] for row in project.invoke("list_backups", "production", "--json").json}
    assert left == {"app__2020_01_01", "app__2020_01_03"}
    assert (project.path / "backups/app__2020_01_02.journal").exists(), "who took it over"
    old = project.invoke("check_backups", "production", "--max-age", "26h")
    assert old.code == 10, old.output


def test_it_is_private(private: TwoEnvironments, tools: Path, server: Server) -> None:
    """Of whose documents it is, nobody can tell: they leave a private environment masked only."""
    path = private.folder.path / "x.archive"
    path.write_bytes(dump(tools, server, "--archive", f"--db={private.source.name}"))
    name = adopt(private.folder, "x.archive")["name"]
    private.folder.write("migrations/privacy.py", "")
    refused = private.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert refused.code != 0
    private.assert_unchanged()
    private.folder.write("migrations/privacy.py", RULES)
    restored = private.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native", variables=KEY)
    assert restored.code == 0, restored.output
    assert_masked(private)


def test_a_dump_with_its_oplog_and_users(
    project: Folder, replica_set: Server, tools: Path, tmp_path: Path
) -> None:
    """Of the real mongodump, of a server that has other databases too."""
    with replica_set.client() as client, scratch(replica_set) as source:
        source.users.insert_one({"_id": "mine"})
        (tmp_path / "all.archive").write_bytes(dump(tools, replica_set, "--archive", "--oplog"))
        users = ("--archive", f"--db={source.name}", "--dumpDbUsersAndRoles")
        (tmp_path / "users.archive").write_bytes(dump(tools, replica_set, *users))
        client.drop_database(source.name)
    chosen = ("--database", source.name, "--environment", "production")
    assert project.invoke("adopt_backup", "all.archive", *chosen).code == 2
    for more in (("all.archive", "--without-oplog"), ("users.archive",)):
        taken = adopt(project, *more, *chosen)
        assert [one["name"] for one in taken["collections"]] == ["users"]
        assert project.invoke("verify_backup", taken["name"]).code == 0


def test_without_rights(project: Folder, plain_rights: list[str]) -> None:
    path = project.path / "x.archive"
    path.chmod(0)
    error = project.monarch("adopt_backup", "x.archive", prefix=plain_rights)
    assert_error(error, 2, "'x.archive' cannot be read: Permission denied", "Make it a file that you may")
    folder = project.path / "app"
    folder.mkdir()
    (folder / "users.bson").write_bytes(b"")
    (folder / "users.bson").chmod(0)
    error = project.monarch("adopt_backup", "app", prefix=plain_rights)
    assert error.code in (2, 5), error.output
    assert "Permission denied" in error.err
    folder.chmod(0)
    error = project.monarch("adopt_backup", "app", prefix=plain_rights)
    assert_error(error, 2, "'app' cannot be read: Permission denied", "Make it a folder whose files")
    folder.chmod(0o700)
    assert not project.invoke("list_backups", "--json").json


def test_a_full_disk(project: Folder, small_disk: Path) -> None:
    path = project.path / "migrations/settings.py"
    path.write_text(path.read_text().replace("'backups'", repr(str(small_disk / "backups"))))
    (project.path / "app").mkdir()
    chance = [bson.encode({"_id": n, "data": os.urandom(10_000)}) for n in range(100)]
    (project.path / "app/users.bson").write_bytes(b"".join(chance))
    error = project.invoke("adopt_backup", "app")
    assert error.code == 5
    assert "No space left on device" in error.err
    assert "None of it was kept. Make room" in error.err
    assert not project.invoke("list_backups", "--json").json
    assert not list((small_disk / "backups").glob("[!.]*"))


def _waiting(pipe: int) -> int:
    """Return how many bytes in the pipe nobody has read."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def until(done: Callable[[], bool]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError("it has not come")


def test_the_pipe_of_a_dump_that_never_comes(project: Folder) -> None:
    """Ctrl-C ends the wait, and leaves nothing."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [*MONARCH, "adopt_backup", "-"],
        cwd=project.path,
        stdin=read,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(read)
    os.write(write, GOOD[:300])
    until(lambda: _waiting(write) == 0)
    process.send_signal(2)
    _, err = process.communicate(timeout=60)
    os.close(write)
    assert process.returncode == 130, err
    assert "Nothing was kept of the backup" in err
    assert not list((project.path / "backups").glob("[!.]*"))
