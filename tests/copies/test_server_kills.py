"""The target's server is killed while monarch copies into it, and started again: at up to 24 moments."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from monarch.databases.mongo.catalog.model import BUCKETS
from monarch.databases.mongo.collection_names import STAGING
from tests.support import counts
from tests.support.runs.copy_kills import Copy, CopyScenario, Moment, Then, copy_scenario
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Mongod, run_mongod

pytestmark = pytest.mark.server

MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
THEN: tuple[Then, ...] = ("list_migrations", "migrate", "list_migrations", "migrate", "copy_db")
# In so many parts the time before the swap is cut by moments; and so many moments lie in the swap.
BEFORE, BETWEEN = 4, 9
# In place of monarch's own 5 seconds.
IMPATIENT = "&serverSelectionTimeoutMS=300"


@pytest.fixture(scope="module")
def source() -> Iterator[int]:
    with run_mongod() as (port, _):
        yield port


@pytest.fixture(scope="module", params=["standalone", "replica set"])
def mongod(request: pytest.FixtureRequest) -> Iterator[Mongod]:
    arguments = ("--replSet", "rs") if request.param == "replica set" else ()
    with Mongod(*arguments) as running:
        if arguments:
            with MongoClient[dict[str, Any]](port=running.port, directConnection=True) as client:
                members = [{"_id": 0, "host": f"localhost:{running.port}"}]
                client.admin.command("replSetInitiate", {"_id": "rs", "members": members})
        await_primary(running)
        yield running


@pytest.fixture(scope="module")
def target(mongod: Mongod, source: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    folder = Folder(tmp_path_factory.mktemp("project"))
    with copy_scenario(folder, mongod.port, source, options=IMPATIENT) as made:
        yield made


def await_primary(mongod: Mongod) -> None:
    with MongoClient[dict[str, Any]](port=mongod.port, directConnection=True) as client:
        deadline = time.monotonic() + 60
        while not client.admin.command("hello")["isWritablePrimary"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def kill(target: CopyScenario, mongod: Mongod, number: int, moment: Moment, then: Then) -> None:
    """Kill the server at a command of a copy, start it again, look, run the next command, and look again."""
    # What has happened until now would take the server as long to recover.
    target.target.client.admin.command("fsync")
    source = target.other
    # While it works at a command, or at the next one, it may have got anywhere.
    stage = None if moment == "during" else target.runs[source].stage(number, moment)
    with target.named(number, moment, then):
        copy = Copy(target.folder.path, source)
        timer = threading.Timer(0.002, mongod.kill)
        if moment == "during":
            target.proxy.at(number, timer.start, then="go on")
        else:
            target.proxy.at(number, mongod.kill, moment=moment)
        copy.start()
        try:
            assert copy.end() == 5
            if moment == "during":
                timer.join()
        finally:
            mongod.start()
            await_primary(mongod)
        target.look(stage, source)
        target.mend(stage, source, then)


def test_the_next_command_recovers_from_the_death_of_the_server(target: CopyScenario, mongod: Mongod) -> None:
    run = target.runs["first"]
    # Not the last commands: a copy that has done them before its server dies has nothing to complain of.
    ends = run.ends - 5
    numbers = [run.begins * place // BEFORE for place in range(1, BEFORE)]
    numbers += [run.begins + (ends - run.begins) * place // (BETWEEN - 1) for place in range(BETWEEN)]
    for place, number in counts.sample(list(enumerate(numbers)), 3):
        kill(target, mongod, number, MOMENTS[place % 3], THEN[place % len(THEN)])


def leave_buckets(database: Database[dict[str, Any]], name: str) -> None:
    """Make what a server leaves that dies while it drops a time series."""
    database.create_collection("as_an_example", timeseries={"timeField": "at"})
    (entry,) = database.list_collections(filter={"name": f"{BUCKETS}as_an_example"})
    database.drop_collection("as_an_example")
    database.command("create", BUCKETS + name, **entry["options"])


@pytest.fixture
def unharmed(tmp_path_factory: pytest.TempPathFactory, source: int) -> Iterator[CopyScenario]:
    with copy_scenario(Folder(tmp_path_factory.mktemp("project")), source) as made:
        yield made


def test_buckets_without_their_series_hide_nothing(unharmed: CopyScenario) -> None:
    """While there are buckets of its name, the server treats a collection as a time series."""
    target, source = unharmed.target, unharmed.other
    copy = Copy(unharmed.folder.path, source)
    # All that gets another kind of thing is dropped, and nothing is there yet.
    moved = [command.name for command in unharmed.runs[source].commands].index("renameCollection") + 1
    unharmed.proxy.at(moved, copy.kill)
    copy.start()
    assert copy.end() == -signal.SIGKILL
    leave_buckets(target, "z_collection_or_series" if source == "second" else "collection_or_series")
    unharmed.mend("between", source, "list_migrations")


def test_buckets_without_their_series_are_dropped(unharmed: CopyScenario) -> None:
    target = unharmed.target
    for name in ("plain", "series", "view", "only_first"):
        target.drop_collection(name)
        leave_buckets(target, name)
    for name in ("nothing", f"{STAGING}dead.probe"):
        leave_buckets(target, name)
    assert unharmed.run("copy_db", unharmed.other)
    unharmed.holds = unharmed.other
    unharmed.see()
