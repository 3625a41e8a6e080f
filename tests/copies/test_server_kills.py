"""Kills and restarts of the target's server while monarch copies into it, at up to 24 moments."""

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
from tests.support.runs.copy_kills import Copy, CopyScenario, Moment, NextCommand, copy_scenario
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Mongod, run_mongod

pytestmark = pytest.mark.server

MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
NEXT_COMMANDS: tuple[NextCommand, ...] = (
    "list_migrations",
    "migrate",
    "list_migrations",
    "migrate",
    "copy_db",
)
# The moments divide the time before the swap into BEFORE parts; BETWEEN moments are in the swap.
BEFORE, BETWEEN = 4, 9
# Instead of monarch's default of 5 seconds.
SHORT_TIMEOUT = "&serverSelectionTimeoutMS=300"


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
def scenario(mongod: Mongod, source: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    folder = Folder(tmp_path_factory.mktemp("project"))
    with copy_scenario(folder, mongod.port, source, options=SHORT_TIMEOUT) as made:
        yield made


def await_primary(mongod: Mongod) -> None:
    with MongoClient[dict[str, Any]](port=mongod.port, directConnection=True) as client:
        deadline = time.monotonic() + 60
        while not client.admin.command("hello")["isWritablePrimary"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def kill(
    scenario: CopyScenario, mongod: Mongod, number: int, moment: Moment, next_command: NextCommand
) -> None:
    """Kill the server at a command of a copy and restart it; check the target before and after recovery."""
    # Without this, the server would also recover everything written so far, which takes as long again.
    scenario.target.client.admin.command("fsync")
    source = scenario.other
    # The server may have reached any stage while it ran this command or the next.
    stage = None if moment == "during" else scenario.runs[source].stage(number, moment)
    with scenario.annotate_errors(number, moment, next_command):
        copy = Copy(scenario.folder.path, source)
        timer = threading.Timer(0.002, mongod.kill)
        if moment == "during":
            scenario.proxy.at(number, timer.start, then="go on")
        else:
            scenario.proxy.at(number, mongod.kill, moment=moment)
        copy.start()
        try:
            assert copy.end() == 5
            if moment == "during":
                timer.join()
        finally:
            mongod.start()
            await_primary(mongod)
        scenario.require_stage(stage, source)
        scenario.recover(stage, source, next_command)


def test_the_next_command_recovers_from_the_death_of_the_server(
    scenario: CopyScenario, mongod: Mongod
) -> None:
    run = scenario.runs["first"]
    # Not at the last commands: a copy that has sent them before its server dies reports no error.
    ends = run.ends - 5
    numbers = [run.begins * index // BEFORE for index in range(1, BEFORE)]
    numbers += [run.begins + (ends - run.begins) * index // (BETWEEN - 1) for index in range(BETWEEN)]
    for index, number in counts.sample(list(enumerate(numbers)), 3):
        kill(scenario, mongod, number, MOMENTS[index % 3], NEXT_COMMANDS[index % len(NEXT_COMMANDS)])


def leave_buckets(database: Database[dict[str, Any]], name: str) -> None:
    """Create what a server leaves behind if it dies while it drops a time series."""
    database.create_collection("as_an_example", timeseries={"timeField": "at"})
    (entry,) = database.list_collections(filter={"name": f"{BUCKETS}as_an_example"})
    database.drop_collection("as_an_example")
    database.command("create", BUCKETS + name, **entry["options"])


@pytest.fixture
def scenario_without_kills(tmp_path_factory: pytest.TempPathFactory, source: int) -> Iterator[CopyScenario]:
    with copy_scenario(Folder(tmp_path_factory.mktemp("project")), source) as made:
        yield made


def test_buckets_without_their_series_do_not_hide_a_collection(scenario_without_kills: CopyScenario) -> None:
    """The server treats a collection as a time series while buckets of its name exist."""
    target, source = scenario_without_kills.target, scenario_without_kills.other
    copy = Copy(scenario_without_kills.folder.path, source)
    # At this point all collections that change their kind are dropped, and none is replaced yet. The renames
    # before the swap begins only tried whether it may rename.
    run = scenario_without_kills.runs[source]
    moved = [command.name for command in run.commands].index("renameCollection", run.begins) + 1
    scenario_without_kills.proxy.at(moved, copy.kill)
    copy.start()
    assert copy.end() == -signal.SIGKILL
    leave_buckets(target, "z_collection_or_series" if source == "second" else "collection_or_series")
    scenario_without_kills.recover("between", source, "list_migrations")


def test_buckets_without_their_series_are_dropped(scenario_without_kills: CopyScenario) -> None:
    target = scenario_without_kills.target
    for name in ("plain", "series", "view", "only_first"):
        target.drop_collection(name)
        leave_buckets(target, name)
    for name in ("nothing", f"{STAGING}dead.probe"):
        leave_buckets(target, name)
    assert scenario_without_kills.run("copy_db", scenario_without_kills.other)
    scenario_without_kills.current = scenario_without_kills.other
    scenario_without_kills.require_settled()
