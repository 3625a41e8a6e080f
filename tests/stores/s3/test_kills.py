"""monarch is killed and interrupted while it uses a bucket: before and after every request to S3."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

# What these commands import when they are used: in the process from which they are forked, once.
import boto3
import pytest
from pymongo import MongoClient
from pymongo.database import Database

import monarch.stores.s3.store
from monarch import Project
from monarch.backups.reader import verify
from monarch.backups.state import Backup, BackupState
from tests.commands.backups.test_buckets import keep_in
from tests.support import counts
from tests.support.runs.backup_kills import Command
from tests.support.runs.copy_kills import fill
from tests.support.runs.shell import Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.mongod import run_mongod
from tests.support.servers.s3 import FaultyProxy, S3Server, What, run_proxy

pytestmark = pytest.mark.server

assert boto3, monarch.stores.s3.store
BUCKET, PREFIX = "killed", "app/"
SIDES: tuple[What, ...] = ("call before", "call after")
# The contents of the bucket: the objects with their bytes, and the unfinished uploads.
Content = tuple[frozenset[tuple[str, str]], int]


@dataclass
class BucketScenario:
    """A project whose backups are in a bucket behind ``proxy``, one of them good."""

    folder: Folder
    s3: S3Server
    proxy: FaultyProxy
    source: Database[dict[str, Any]]
    target: Database[dict[str, Any]]
    good: str = ""

    def content(self) -> Content:
        client = self.s3.client()
        objects = client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
        return frozenset((entry["Key"], entry["ETag"]) for entry in objects), len(uploads)

    def command(self, *arguments: str) -> Command:
        return Command(self.folder.path, *arguments, told=self.folder.path / "told")

    def said(self) -> str:
        return (self.folder.path / "told").read_text()

    def count(self, *arguments: str) -> int:
        """Return the requests that a command makes if it is not disturbed."""
        self.proxy.clear()
        assert self.folder.inside(*arguments).code == 0
        return len(self.proxy.requests)

    def stop(self, side: What, number: int, *arguments: str, sent: int = signal.SIGKILL) -> int:
        """Run a command and send it a signal at the request of this number, from 0; return its exit code."""
        command = self.command(*arguments)
        self.proxy.clear()
        self.proxy.add(side, skip=number, do=partial(command.kill, sent))
        command.start()
        code = command.end()
        assert self.proxy.faults[0].times == 0, self.said()
        self.proxy.clear()
        return code

    def look(self) -> list[Backup]:
        """Check that good backups are good, and that the others have the right state.

        :return: what is there besides the good one.
        """
        catalog = Project(self.folder.path).backups
        listed = catalog.list()
        others = [backup for backup in listed if backup.name != self.good]
        for backup in listed:
            if backup.state is BackupState.GOOD:
                verify(catalog, backup)
            else:
                assert backup.state in (BackupState.BEGUN, BackupState.INCOMPLETE)
                ran = self.folder.inside("restore", f"{backup.name}:target", "--yes")
                assert ran.code == (4 if backup.busy else 1)
                assert f"Backup {backup.name!r} is " in ran.err
        assert self.good in {backup.name for backup in listed}
        return others


def empty_bucket(s3: S3Server) -> None:
    """Make the bucket, or empty it: the tests of this module may come in two parts, and set up twice."""
    client = s3.client()
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)
    for stored in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=stored["Key"])
    for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[BucketScenario]:
    folder = Folder(tmp_path_factory.mktemp("project"))
    with run_mongod() as (port, _), MongoClient[dict[str, Any]]("localhost", port) as client:
        source, target = client["source"], client["target"]
        fill(source, "first")
        fill(target, "second")
        names = {"production": "source", "target": "target"}
        uri = f"mongodb://localhost:{port}"
        folder.settings(**{name: {"uri": uri, "db_name": db_name} for name, db_name in names.items()})
        empty_bucket(s3)
        with run_proxy(s3) as proxy:
            keep_in(folder, replace(s3, url=proxy.url).settings(BUCKET, prefix=PREFIX))
            made = BucketScenario(folder, s3, proxy, source, target)
            made.good = Project(folder.path).backup("production").name
            yield made


BACKUP = ("backup", "production", "--engine", "native")


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_killed(here: BucketScenario, side: What) -> None:
    before = here.content()
    requests = here.count(*BACKUP)
    here.folder.inside("delete_backup", f"{here.good}_2", "--yes")
    assert here.content() == before
    states = set()
    for number in counts.sample(range(SIDES.index(side), requests, 2), 3):
        assert here.stop(side, number, *BACKUP) == -signal.SIGKILL
        others = here.look()
        assert len(others) <= 1
        states |= {other.state for other in others}
        for other in others:
            assert here.folder.inside("delete_backup", other.name, "--yes").code == 0
        assert here.content() == before
    assert BackupState.BEGUN in states


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_interrupted(here: BucketScenario, side: What) -> None:
    before = here.content()
    requests = here.count(*BACKUP)
    here.folder.inside("delete_backup", f"{here.good}_2", "--yes")
    for number in counts.sample(range(SIDES.index(side), requests, 3), 2):
        sent = (signal.SIGINT, signal.SIGTERM)[number % 2]
        code = here.stop(side, number, *BACKUP, sent=sent)
        others = here.look()
        # The command may have done its work already, or begun it without a reply.
        assert code in (0, 130), here.said()
        assert "Traceback" not in here.said()
        if code == 130:
            assert all(other.state is BackupState.BEGUN for other in others)
        for other in others:
            here.folder.inside("delete_backup", other.name, "--yes")
        assert here.content() == before


def test_a_deletion_is_killed(here: BucketScenario) -> None:
    before = here.content()
    each = counts.number(reduced=1, full=2)
    stops = ((number, SIDES[(number + turn) % 2]) for number in count() for turn in range(each))
    for number, side in stops:
        name = Project(here.folder.path).backup("production").name
        delete = ("delete_backup", name, "--yes")
        code = here.stop(side, number, *delete)
        assert code == -signal.SIGKILL
        others = here.look()
        for other in others:
            assert here.folder.inside("delete_backup", other.name, "--yes").code == 0
        assert here.content() == before
        if not others:
            break
    assert number >= 3


@pytest.mark.parametrize("side", SIDES)
def test_a_restore_is_killed(here: BucketScenario, side: What) -> None:
    restore = ("restore", f"{here.good}:target", "--yes", "--engine", "native")
    before = here.content()
    command = here.command(*restore)
    here.proxy.clear()
    command.start()
    assert command.end() == 0
    requests = len(here.proxy.requests)
    assert requests >= 4
    for number in counts.sample(range(requests), 2):
        here.target.client.drop_database(here.target.name)
        fill(here.target, "second")
        assert here.stop(side, number, *restore) == -signal.SIGKILL
        assert here.content() == before
        # Everything is read before anything is replaced.
        names = here.target.list_collection_names()
        assert ("only_second" in names, "only_first" in names) == (True, False)
        ran = here.folder.inside("restore", f"{here.good}:target", "--yes", "--engine", "native")
        assert ran.code == 0, ran.said
        assert_equal(describe(here.source), describe(here.target))
