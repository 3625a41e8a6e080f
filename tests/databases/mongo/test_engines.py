"""What every engine promises, of every pair of them: a copy is equal, or it is not made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database as PyMongoDatabase

from monarch.databases import open_database
from monarch.databases.base import Copied, Database
from monarch.environments import Environment, parse_environment
from monarch.progress import SILENT
from tests import everything
from tests.equality import assert_equal, describe
from tests.servers import Server

PAIRS = [(one, other) for one in ("tools", "native") for other in ("tools", "native")]
SERVERS = ("server", "replica_set", "tls_server")
# As long as the longest name that the fixture makes allows the target's to be.
LONGEST_NAME = 24


def environment(name: str, server: Server, db_name: str, **more: Any) -> Environment:
    tls = {"tlsCAFile": server.ca} if server.ca else {}
    return parse_environment(name, {"uri": server.uri, "db_name": db_name, **tls, **more})


@contextmanager
def scratch(server: Server) -> Iterator[PyMongoDatabase[dict[str, Any]]]:
    """A database of its own on ``server``, dropped afterwards."""
    with server.client() as client:
        database = client[f"t{str(ObjectId())[: LONGEST_NAME - 1]}"]
        yield database
        client.drop_database(database.name)


@pytest.fixture(scope="module")
def sources() -> Iterator[dict[str, PyMongoDatabase[dict[str, Any]]]]:
    """The databases of everything, by server, once they have been asked for."""
    with ExitStack() as stack:
        yield Sources(stack)


class Sources(dict[str, PyMongoDatabase[dict[str, Any]]]):
    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def on(self, server: Server) -> PyMongoDatabase[dict[str, Any]]:
        if server.uri not in self:
            self[server.uri] = self._stack.enter_context(scratch(server))
            everything.fill(self[server.uri])
        return self[server.uri]


def copy(source: Environment, target: Environment, engines: tuple[str, str]) -> tuple[Copied, ...]:
    """Read with the first of ``engines``, write with the second."""
    with open_database(source, Path()) as one, open_database(target, Path()) as other:
        return copy_open(one, other, engines)


def copy_open(source: Database, target: Database, engines: tuple[str, str]) -> tuple[Copied, ...]:
    reading, writing = (target.choose_engine(engine) for engine in engines)
    with target.lease("a test") as lease:
        return target.replace(source.dump(reading), writing, lease, "a test", progress=SILENT)


@pytest.fixture
def with_tools(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools), prepend=":")


@pytest.mark.parametrize("server_name", SERVERS)
@pytest.mark.parametrize("engines", PAIRS, ids="-".join)
def test_everything_is_equal_afterwards(
    request: pytest.FixtureRequest,
    with_tools: None,
    sources: Sources,
    server_name: str,
    engines: tuple[str, str],
) -> None:
    server: Server = request.getfixturevalue(server_name)
    source = sources.on(server)
    with scratch(server) as target:
        old(target)
        copied = copy(
            environment("one", server, source.name), environment("other", server, target.name), engines
        )
        assert_equal(describe(source), describe(target))
        listed = {name for name in target.list_collection_names() if not name.startswith("system.")}
        assert listed - {"monarch_lease"} == {one.name for one in copied} - {"system.js"}


def old(target: PyMongoDatabase[dict[str, Any]]) -> None:
    """What the target holds before: something of each kind, under names that come and names that do not."""
    target["plain"].insert_one({"old": True})
    target["old only"].insert_one({"old": True})
    target["system.js"].insert_one({"_id": "old", "value": 1})
    target.create_collection("types", viewOn="plain", pipeline=[])
    target.create_collection("view", viewOn="old only", pipeline=[])
    target.create_collection("old view", viewOn="view", pipeline=[])
    target.create_collection("weather", timeseries={"timeField": "t"})
    target.create_collection("capped", timeseries={"timeField": "t"})
    target["weather"].insert_one({"t": ObjectId().generation_time})
