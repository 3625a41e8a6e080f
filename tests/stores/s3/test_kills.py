"""Kills and interrupts of monarch while it uses a bucket, before and after every request to S3."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

# Modules that these commands import on demand: the process that forks them imports these once.
import boto3
import pytest
from pymongo import MongoClient
from pymongo.database import Database

import monarch.stores.s3.store
from monarch import Project
from monarch.backups.names import READING
from monarch.backups.reader import verify
from monarch.backups.state import Backup, BackupState
from tests.commands.backups.test_buckets import keep_in
from tests.support import counts
from tests.support.runs.backup_kills import Command
from tests.support.runs.copy_kills import fill
from tests.support.runs.shell import Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.mongod import run_mongod
from tests.support.servers.s3 import FaultKind, FaultyProxy, S3Server, run_proxy

pytestmark = pytest.mark.server

assert boto3, monarch.stores.s3.store
BUCKET, PREFIX = "killed", "app/"
SIDES: tuple[FaultKind, ...] = ("call before", "call after")
# The contents of the bucket: the objects with their bytes, and the unfinished uploads.
Content = tuple[frozenset[tuple[str, str]], int]


@dataclass
class BucketScenario:
    """A project with backups in a bucket behind ``proxy``, and the complete backup ``good``."""

    folder: Folder
    s3: S3Server
    proxy: FaultyProxy
    source: Database[dict[str, Any]]
    target: Database[dict[str, Any]]
    bucket: str = BUCKET
    good: str = ""

    def content(self) -> Content:
        client = self.s3.client()
        objects = client.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        uploads = client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        # A reader that was killed leaves its mark, finished or not, which counts no more after some minutes.
        # The journal keeps what was deleted.
        kept, begun = (
            [entry for entry in entries if READING not in entry["Key"] and "/delete__" not in entry["Key"]]
            for entries in (objects, uploads)
        )
        return frozenset((entry["Key"], entry["ETag"]) for entry in kept), len(begun)

    def command(self, *arguments: str) -> Command:
        return Command(self.folder.path, *arguments, output_path=self.folder.path / "output")

    def output(self) -> str:
        return (self.folder.path / "output").read_text()

    def count(self, *arguments: str) -> int:
        """Run a command to its end; return how many requests it makes."""
        self.proxy.clear()
        assert self.folder.invoke(*arguments).code == 0
        return len(self.proxy.requests)

    def stop(self, side: FaultKind, number: int, *arguments: str, signal_number: int = signal.SIGKILL) -> int:
        """Run a command and send it a signal at the request ``number``, from 0; return its exit code."""
        command = self.command(*arguments)
        self.proxy.clear()
        self.proxy.add(side, skip=number, do=partial(command.kill, signal_number))
        command.start()
        code = command.end()
        assert self.proxy.faults[0].times == 0, self.output()
        self.proxy.clear()
        return code

    def check_backups(self) -> list[Backup]:
        """Check that good backups verify, and that commands refuse the others.

        :return: all backups except the good one.
        """
        catalog = Project(self.folder.path).backups
        listed = catalog.list()
        others = [backup for backup in listed if backup.name != self.good]
        for backup in listed:
            if backup.state is BackupState.GOOD:
                verify(catalog, backup)
            else:
                assert backup.state in (BackupState.BEGUN, BackupState.INCOMPLETE)
                result = self.folder.invoke("restore", f"{backup.name}:target", "--yes")
                assert result.code == (4 if backup.busy else 1)
                assert f"Backup {backup.name!r} is " in result.err
        assert self.good in {backup.name for backup in listed}
        return others


def empty_bucket(s3: S3Server, bucket: str = BUCKET) -> None:
    """Create the bucket, or empty it: two workers may run tests of this module, and each sets it up."""
    client = s3.client()
    if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
    for stored in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
        client.delete_object(Bucket=bucket, Key=stored["Key"])
    for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


@contextmanager
def bucket_scenario(folder: Folder, s3: S3Server, bucket: str = BUCKET) -> Iterator[BucketScenario]:
    """Yield a project in ``folder`` with its databases, and one good backup in ``bucket``."""
    with run_mongod() as (port, _), MongoClient[dict[str, Any]]("localhost", port) as client:
        source, target = client["source"], client["target"]
        fill(source, "first")
        fill(target, "second")
        names = {"production": "source", "target": "target"}
        uri = f"mongodb://localhost:{port}"
        folder.settings(**{name: {"uri": uri, "db_name": db_name} for name, db_name in names.items()})
        empty_bucket(s3, bucket)
        with run_proxy(s3) as proxy:
            keep_in(folder, replace(s3, url=proxy.url).settings(bucket, prefix=PREFIX))
            made = BucketScenario(folder, s3, proxy, source, target, bucket)
            made.good = Project(folder.path).backup("production").name
            yield made


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[BucketScenario]:
    with bucket_scenario(Folder(tmp_path_factory.mktemp("project")), s3) as made:
        yield made


BACKUP = ("backup", "production", "--engine", "native")


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_killed(scenario: BucketScenario, side: FaultKind) -> None:
    before = scenario.content()
    requests = scenario.count(*BACKUP)
    scenario.folder.invoke("delete_backup", f"{scenario.good}_2", "--yes")
    assert scenario.content() == before
    states = set()
    for number in counts.sample(range(SIDES.index(side), requests, 2), 3):
        assert scenario.stop(side, number, *BACKUP) == -signal.SIGKILL
        others = scenario.check_backups()
        assert len(others) <= 1
        states |= {other.state for other in others}
        for other in others:
            assert scenario.folder.invoke("delete_backup", other.name, "--yes").code == 0
        assert scenario.content() == before
    assert BackupState.BEGUN in states


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_interrupted(scenario: BucketScenario, side: FaultKind) -> None:
    before = scenario.content()
    requests = scenario.count(*BACKUP)
    scenario.folder.invoke("delete_backup", f"{scenario.good}_2", "--yes")
    for number in counts.sample(range(SIDES.index(side), requests, 3), 2):
        signal_number = (signal.SIGINT, signal.SIGTERM)[number % 2]
        code = scenario.stop(side, number, *BACKUP, signal_number=signal_number)
        others = scenario.check_backups()
        # The command may have done its work already, or begun it without a reply.
        assert code in (0, 130), scenario.output()
        assert "Traceback" not in scenario.output()
        if code == 130:
            assert all(other.state is BackupState.BEGUN for other in others)
        for other in others:
            scenario.folder.invoke("delete_backup", other.name, "--yes")
        assert scenario.content() == before


def test_a_deletion_is_killed(scenario: BucketScenario) -> None:
    before = scenario.content()
    each = counts.number(reduced=1, full=2)
    stops = ((number, SIDES[(number + turn) % 2]) for number in count() for turn in range(each))
    for number, side in stops:
        name = Project(scenario.folder.path).backup("production").name
        delete = ("delete_backup", name, "--yes")
        code = scenario.stop(side, number, *delete)
        assert code == -signal.SIGKILL
        others = scenario.check_backups()
        for other in others:
            assert scenario.folder.invoke("delete_backup", other.name, "--yes").code == 0
        assert scenario.content() == before
        if not others:
            break
    assert number >= 3


@pytest.mark.parametrize("side", SIDES)
def test_a_restore_is_killed(scenario: BucketScenario, side: FaultKind) -> None:
    restore = ("restore", f"{scenario.good}:target", "--yes", "--engine", "native")
    before = scenario.content()
    command = scenario.command(*restore)
    scenario.proxy.clear()
    command.start()
    assert command.end() == 0
    requests = len(scenario.proxy.requests)
    assert requests >= 4
    for number in counts.sample(range(requests), 2):
        scenario.target.client.drop_database(scenario.target.name)
        fill(scenario.target, "second")
        assert scenario.stop(side, number, *restore) == -signal.SIGKILL
        assert scenario.content() == before
        # Everything is read before anything is replaced.
        names = scenario.target.list_collection_names()
        assert ("only_second" in names, "only_first" in names) == (True, False)
        result = scenario.folder.invoke("restore", f"{scenario.good}:target", "--yes", "--engine", "native")
        assert result.code == 0, result.output
        assert_equal(describe(scenario.source), describe(scenario.target))
