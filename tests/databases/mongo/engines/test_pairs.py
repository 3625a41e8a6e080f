"""The promise of every pair of engines: the copy is equal, or it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database as PyMongoDatabase

from monarch.databases import open_database
from monarch.databases.environment import Environment
from monarch.databases.history import Operation
from monarch.databases.mongo.engines.mongodump import DUMPED
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.transfer import CopiedCollection, TransferDatabase, as_transfer_database
from monarch.errors import ServerError
from monarch.progress import SILENT, Progress
from monarch.settings.environments import parse_environment
from tests.support import counts
from tests.support.samples import everything
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.mongod import Server

PAIRS = [(one, other) for one in ("tools", "native") for other in ("tools", "native")]
SERVERS = ("server", "replica_set", "tls_server")
# As long as the longest collection name of the fixture permits.
LONGEST_NAME = 24


def environment(name: str, server: Server, db_name: str, **more: Any) -> Environment:
    tls = {"tlsCAFile": server.ca} if server.ca else {}
    return parse_environment(name, {"uri": server.uri, "db_name": db_name, **tls, **more})


@contextmanager
def scratch(server: Server) -> Iterator[PyMongoDatabase[dict[str, Any]]]:
    """A new database on ``server``, dropped afterwards."""
    with server.client() as client:
        database = client[f"t{str(ObjectId())[1 - LONGEST_NAME :]}"]
        yield database
        client.drop_database(database.name)


@pytest.fixture(scope="module")
def sources() -> Iterator[dict[str, PyMongoDatabase[dict[str, Any]]]]:
    """The full databases, by server, created on demand."""
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


def copy(source: Environment, target: Environment, engines: tuple[str, str]) -> tuple[CopiedCollection, ...]:
    """Read with the first of ``engines``, write with the second."""
    with open_database(source, Path()) as one, open_database(target, Path()) as other:
        return copy_open(as_transfer_database(one), as_transfer_database(other), engines)


def copy_open(
    source: TransferDatabase,
    target: TransferDatabase,
    engines: tuple[str, str],
    progress: Progress = SILENT,
    change: Callable[[MongoSource], object] = lambda _: None,
    operation: Operation | None = None,
) -> tuple[CopiedCollection, ...]:
    reading, writing = (target.choose_engine(engine) for engine in engines)
    with target.lease("a test") as lease:
        dump = source.read(reading)
        assert isinstance(dump, MongoSource)
        change(dump)
        return target.replace(dump, writing, lease, "a test", operation=operation, progress=progress)


@dataclass
class Small:
    """A small source on ``server``, and a target on ``other`` with old contents."""

    server: Server
    other: Server
    source: PyMongoDatabase[dict[str, Any]]
    target: PyMongoDatabase[dict[str, Any]]

    def copy(
        self, engines: tuple[str, str] = ("native", "native"), **more: Any
    ) -> tuple[CopiedCollection, ...]:
        source = environment("one", self.server, self.source.name)
        target = environment("other", self.other, self.target.name)
        with open_database(source, Path()) as one, open_database(target, Path()) as two:
            return copy_open(as_transfer_database(one), as_transfer_database(two), engines, **more)

    def assert_old(self) -> None:
        assert set(self.target.list_collection_names()) - {"monarch_lease", "system.views"} == {"users"}
        assert self.target.users.find_one() == {"_id": "old"}


@contextmanager
def small_between(server: Server, other: Server) -> Iterator[Small]:
    with scratch(server) as source, scratch(other) as target:
        source.users.insert_many({"_id": n, "name": f"user {n % 900}"} for n in range(3000))
        source.users.create_index("name")
        source.dogs.insert_many({"_id": n} for n in range(10))
        target.users.insert_one({"_id": "old"})
        yield Small(server, other, source, target)


@pytest.fixture
def small(server: Server) -> Iterator[Small]:
    with small_between(server, server) as made:
        yield made


class ActAtPhase(Progress):
    """Simulates another client's action when a copy enters a phase."""

    def __init__(self, phase: str, act: Callable[[], object]) -> None:
        self._phase, self._act = phase, act

    def phase(self, name: str) -> None:
        if name == self._phase:
            self._act()


@pytest.fixture
def with_tools(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools), prepend=":")


def joined(value: str | tuple[str, str]) -> str:
    """Return the test id of a pair of engines or another value."""
    return value if isinstance(value, str) else "-".join(value)


@pytest.mark.parametrize(
    ("engines", "server_name"), counts.sample(list(product(PAIRS, SERVERS)), 4), ids=joined
)
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
    """Fill the target with old contents of each kind, under names that the source has or lacks."""
    target["plain"].insert_one({"old": True})
    target["old only"].insert_one({"old": True})
    target["system.js"].insert_one({"_id": "old", "value": 1})
    target.create_collection("types", viewOn="plain", pipeline=[])
    target.create_collection("view", viewOn="old only", pipeline=[])
    target.create_collection("old view", viewOn="view", pipeline=[])
    target.create_collection("weather", timeseries={"timeField": "t"})
    target.create_collection("capped", timeseries={"timeField": "t"})
    target["weather"].insert_one({"t": ObjectId().generation_time})


@pytest.mark.parametrize("engine", ["tools", "native"])
def test_between_two_servers(with_tools: None, tls_server: Server, replica_set: Server, engine: str) -> None:
    """A server with TLS and without users, and a replica set that requires a password."""
    for one, other in ((tls_server, replica_set), (replica_set, tls_server)):
        with small_between(one, other) as small:
            small.copy((engine, engine))
            assert_equal(describe(small.source), describe(small.target))


@pytest.mark.parametrize("engines", PAIRS, ids="-".join)
def test_an_index_that_the_documents_violate(
    with_tools: None, small: Small, engines: tuple[str, str]
) -> None:
    """Happens if a client writes to the source while it is read."""

    def demand(dump: MongoSource) -> None:
        indexes = ({"v": 2, "key": {"name": 1}, "name": "name_1", "unique": True},)
        dump.collections = tuple(
            replace(one, indexes=indexes) if one.name == "users" else one for one in dump.collections
        )

    with pytest.raises(ServerError, match=r"cannot build the indexes of 'users': .*E11000 duplicate key"):
        small.copy(engines, change=demand)
    small.assert_old()


@pytest.mark.parametrize("engines", counts.sample(PAIRS, 2), ids="-".join)
def test_a_capped_collection_keeps_its_order(
    with_tools: None, small: Small, engines: tuple[str, str]
) -> None:
    """The order is kept across batches, which several writers would mix."""
    small.source.create_collection("log", capped=True, size=20_000_000)
    small.source.log.insert_many({"_id": -n, "text": "x" * 100} for n in range(60_000))
    small.copy(engines)
    assert [one["_id"] for one in small.target.log.find({}, {"_id": 1})] == [-n for n in range(60_000)]


def test_missing_documents_are_detected(small: Small) -> None:
    def steal() -> None:
        names = small.target.list_collection_names()
        staged = next(name for name in names if name.startswith("monarch_staging.") and name.endswith(".0"))
        small.target[staged].delete_one({})

    with pytest.raises(ServerError, match=r"The copy of 'dogs' has 9 documents instead of 10"):
        small.copy(progress=ActAtPhase("comparing", steal))
    small.assert_old()


def test_an_unexpected_index_in_the_staging(small: Small) -> None:
    def build() -> None:
        for name in small.target.list_collection_names():
            if name.startswith("monarch_staging."):
                small.target[name].create_index("else")

    with pytest.raises(ServerError, match="The copy of 'dogs' has other indexes: else_1"):
        small.copy(progress=ActAtPhase("indexing", build))
    small.assert_old()


@pytest.mark.parametrize("engine", ["tools", "native"])
def test_a_source_that_is_replaced_while_it_is_read(with_tools: None, small: Small, engine: str) -> None:
    def exchange() -> None:
        small.source.users.insert_one({"_id": "late"})
        small.source.dogs.drop()
        small.source.dogs.insert_one({})

    with pytest.raises(ServerError, match="'dogs' of 'one' was dropped, renamed or replaced while it was"):
        small.copy((engine, engine), progress=ActAtPhase("copying", exchange))
    small.assert_old()


def test_a_source_with_concurrent_writes_is_copied_as_it_was_read(small: Small) -> None:
    small.copy(progress=ActAtPhase("comparing", lambda: small.source.users.insert_one({"_id": "late"})))
    assert small.target.users.count_documents({}) == 3000


LYING = {
    "mongodump": 'exec "{tool}" "$@" --excludeCollection=dogs',
    "mongorestore": 'exec "{tool}" "$@" --nsExclude=monarch.0',
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mongodump", "mongodump of 'one' succeeded, but did not dump dogs"),
        ("mongorestore", "mongorestore into 'other' failed: 3000 document.s. restored successfully. 0"),
    ],
)
def test_an_exit_code_of_0_is_not_trusted(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Small, name: str, message: str
) -> None:
    """The real tools are called with an option to leave something out."""
    for each in LYING:
        script = tmp_path / each
        line = LYING[each] if each == name else 'exec "{tool}" "$@"'
        script.write_text("#!/bin/sh\n" + line.replace("{tool}", str(tools / each)))
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ServerError, match=message):
        small.copy(("tools", "tools"))
    small.assert_old()


@pytest.mark.parametrize(
    "line",
    [
        "done dumping app.users (12 documents)",
        "done dumping `app.users` (12 documents)",
        "done dumping app.users (1 document)",
    ],
)
def test_counts_in_messages_of_old_and_new_tools(line: str) -> None:
    found = DUMPED.search(line)
    assert found is not None
    assert found["name"] == "app.users"
    assert int(found["count"]) in (1, 12)
