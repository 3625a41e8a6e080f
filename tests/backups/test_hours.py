"""Copies and backups that take longer than the server keeps a snapshot succeed, and report it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure

from monarch import Project
from monarch.progress import Progress
from tests.databases.mongo.engines.test_pairs import scratch
from tests.support.runs.shell import Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.mongod import Server

MANY = 3_000
QUERY_SET = """\
from monarch import QuerySet


class Part(QuerySet):
    def run(self):
        self.dump_collection("large", {"n": {"$lt": 2500}})
        self.dump_collection("large", {"n": 2999})
        self.dump_collection("series")
"""


class SlowLink(Progress):
    """Waits at the first documents until the server has discarded the snapshot."""

    def __init__(self, database: Database[Any]) -> None:
        self.database = database
        self.messages: list[str] = []
        self.waited = False

    def message(self, what: str) -> None:
        self.messages.append(what)

    def transferred(self, documents: int, bytes: int) -> None:
        if self.waited:
            return
        self.waited = True
        admin = self.database.client.admin
        at = admin.command("ping")["operationTime"]
        concern = {"level": "snapshot", "atClusterTime": at}
        while True:
            try:
                self.database.command("find", "large", limit=1, readConcern=concern)
            except OperationFailure:
                return
            self.database.client["other"].c.insert_one({})
            admin.command("fsync")
            time.sleep(0.1)


@pytest.fixture
def source(replica_set: Server) -> Iterator[Database[Any]]:
    with scratch(replica_set) as database:
        # More than readers and writers hold in their queues.
        database["large"].insert_many({"_id": n, "n": n, "pad": "x" * 10_000} for n in range(MANY))
        database["later"].insert_many({"_id": n} for n in range(100))
        clustered = {"key": {"_id": 1}, "unique": True}
        database.create_collection("clustered", clusteredIndex=clustered)
        database["clustered"].insert_many({"_id": n, "pad": "x" * 10_000} for n in range(MANY))
        database.create_collection("series", timeseries={"timeField": "at"})
        database.create_collection("capped", capped=True, size=100_000)
        database["capped"].insert_many({"_id": -n} for n in range(50))
        admin = database.client.admin
        admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=1)
        yield database
        admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=300)


@pytest.fixture
def target(replica_set: Server) -> Iterator[Database[Any]]:
    with scratch(replica_set) as database:
        yield database


@pytest.fixture
def project(tmp_path: Path, replica_set: Server, source: Database[Any], target: Database[Any]) -> Project:
    folder = Folder(tmp_path)
    databases = {"source": source, "target": target}
    folder.settings(**{name: {"uri": replica_set.uri, "db_name": db.name} for name, db in databases.items()})
    folder.keep_backups()
    folder.write("querysets/part.py", QUERY_SET)
    return Project(tmp_path)


def assert_reported(link: SlowLink) -> None:
    assert link.waited
    assert len([one for one in link.messages if "no longer keeps the snapshot" in one]) == 1


def test_a_copy(project: Project, source: Database[Any], target: Database[Any]) -> None:
    link = SlowLink(source)
    project.copy("source", "target", engine="native", progress=link)
    assert_reported(link)
    assert_equal(describe(source), describe(target))


def test_a_backup(project: Project, source: Database[Any], target: Database[Any]) -> None:
    link = SlowLink(source)
    name = project.backup("source", engine="native", progress=link).name
    assert_reported(link)
    _, manifest = project.show_backup(name)
    assert manifest is not None
    assert not manifest.one_moment
    project.restore(name, "target", engine="native")
    assert_equal(describe(source), describe(target))


def test_a_subset(project: Project, source: Database[Any], target: Database[Any]) -> None:
    link = SlowLink(source)
    project.copy("source", "target", engine="native", query_set="Part", progress=link)
    assert_reported(link)
    expected = [*range(2500), 2999]
    assert sorted(one["_id"] for one in target["large"].find({}, {"_id": 1})) == expected


def test_concurrent_writes(project: Project, source: Database[Any], target: Database[Any]) -> None:
    """Changes after the end of the snapshot may be included; no document is included twice."""

    class Busy(SlowLink):
        def transferred(self, documents: int, bytes: int) -> None:
            waited = self.waited
            super().transferred(documents, bytes)
            if not waited:
                source["large"].delete_many({"_id": {"$gte": MANY - 100}})
                source["large"].insert_many({"_id": MANY + n} for n in range(50))

    link = Busy(source)
    project.copy("source", "target", engine="native", progress=link)
    found = [one["_id"] for one in target["large"].find({}, {"_id": 1})]
    assert len(found) == len(set(found))
    assert set(range(MANY - 100)) <= set(found)


def test_the_document_at_the_position_is_deleted_meanwhile(
    project: Project, source: Database[Any], target: Database[Any]
) -> None:
    """The scan cannot continue after a deleted document, so it continues after an earlier one."""

    class Busy(SlowLink):
        def transferred(self, documents: int, bytes: int) -> None:
            waited = self.waited
            super().transferred(documents, bytes)
            if not waited:
                for name in ("large", "clustered"):
                    source[name].delete_many({"_id": {"$gte": 50, "$lt": MANY - 500}})

    link = Busy(source)
    project.copy("source", "target", engine="native", progress=link)
    for name in ("large", "clustered"):
        found = [one["_id"] for one in target[name].find({}, {"_id": 1})]
        assert len(found) == len(set(found))
        assert {*range(50), *range(MANY - 500, MANY)} <= set(found)
