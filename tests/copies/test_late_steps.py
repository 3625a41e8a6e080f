"""A delayed step of a swap that arrives while another run holds the lease removes nothing of that run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from monarch import Project
from monarch.databases.mongo.collection_names import SWAP
from monarch.databases.mongo.swap.steps import Discard, to_document
from monarch.errors import LockedError, MonarchError
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod
from tests.support.servers.proxy import Proxy

# Long enough for the second run, which copies a few documents, even on a busy machine.
LATE_MS = 20_000


class Runs:
    """Two runs that copy ``source`` to ``target``: the first is delayed, and the second takes over."""

    def __init__(
        self, root: Path, client: MongoClient[dict[str, Any]], port: int, uri: str | None = None
    ) -> None:
        folder, uri, self.port = Folder(root), uri or f"mongodb://localhost:{port}", port
        folder.settings(**{name: {"uri": uri, "db_name": name} for name in ("source", "target")})
        self.root, self.client = root, client
        self.target: Database[dict[str, Any]] = client.target

    def delay(self, command: str, namespace: str, milliseconds: int = LATE_MS) -> None:
        """Let the next ``command`` on ``namespace`` wait at the server."""
        late = {"failCommands": [command], "namespace": namespace, "blockConnection": True}
        point = {"configureFailPoint": "failCommand", "mode": {"times": 1}}
        self.client.admin.command({**point, "data": {**late, "blockTimeMS": milliseconds}})

    def begin(self, command: str, value: str) -> Thread:
        """Begin a copy in another thread, and return when its ``command`` with ``value`` is delayed."""

        def copy() -> None:
            with suppress(MonarchError):  # the lease is lost
                self.copy()

        run = Thread(target=copy)
        run.start()
        while not self.is_running(command, value):
            assert run.is_alive()
        return run

    def is_running(self, command: str, value: object) -> bool:
        operations = self.client.admin.aggregate([{"$currentOp": {}}])
        return any(operation.get("command", {}).get(command) == value for operation in operations)

    @contextmanager
    def behind_proxy(self, root: Path) -> Iterator[tuple[Runs, Proxy]]:
        """Yield the same for a run whose commands pass a proxy, and the proxy."""
        root.mkdir()
        with Proxy(self.port) as proxy:
            yield Runs(root, self.client, self.port, proxy.uri), proxy

    def take_over(self) -> None:
        """Take the lease away from the run that has it."""
        project = Project(self.root)
        holder = project.holder("target")
        assert holder is not None
        project.unlock("target", holder)

    def copy(self) -> None:
        Project(self.root).copy("source", "target", engine="native")

    def steps(self) -> int:
        """Return how many steps the swap log has; its head must be there."""
        assert self.target[SWAP].find_one({"_id": "head"}) is not None
        return self.target[SWAP].count_documents({"step": {"$exists": True}})


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with _open_runs(tmp_path) as opened:
        yield opened


@contextmanager
def _open_runs(root: Path) -> Iterator[Runs]:
    with (
        run_mongod("--setParameter", "enableTestCommands=1") as (port, _),
        MongoClient[dict[str, Any]]("localhost", port) as client,
    ):
        client.source.users.insert_one({})
        yield Runs(root, client, port)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["collection", "view", "timeseries"])
def test_a_delayed_drop_does_not_remove_a_new_collection_of_the_same_name(runs: Runs, kind: str) -> None:
    options: dict[str, dict[str, Any]] = {
        "view": {"viewOn": "users"},
        "timeseries": {"timeseries": {"timeField": "t"}},
    }
    runs.target.create_collection("z", **options.get(kind, {}))
    runs.delay("drop", "target.z")
    first = runs.begin("drop", "z")
    runs.take_over()
    runs.copy()
    runs.target.z.drop()
    runs.target.z.insert_many({"_id": n} for n in range(100))
    assert first.is_alive()
    first.join()
    assert runs.target.z.count_documents({}) == 100
    assert runs.target.users.count_documents({}) == 1


@pytest.mark.server
@pytest.mark.parametrize("kind", ["view", "timeseries"])
def test_a_delayed_drop_does_not_remove_the_collection_that_replaced_another_kind(
    runs: Runs, kind: str
) -> None:
    options = {"viewOn": "old"} if kind == "view" else {"timeseries": {"timeField": "t"}}
    runs.target.create_collection("users", **options)
    runs.delay("drop", "target.users")
    first = runs.begin("drop", "users")
    runs.take_over()
    runs.copy()
    assert first.is_alive()
    first.join()
    assert runs.target.users.count_documents({}) == 1


@pytest.mark.server
def test_a_delayed_drop_db_does_not_remove_what_the_next_run_has_copied(runs: Runs) -> None:
    runs.target.old.insert_one({})
    runs.delay("dropDatabase", "target")
    errors: list[MonarchError] = []

    def drop() -> None:
        try:
            Project(runs.root).drop("target")
        except MonarchError as error:
            errors.append(error)

    first = Thread(target=drop)
    first.start()
    while not runs.is_running("dropDatabase", 1):
        assert first.is_alive()
    runs.take_over()
    runs.copy()
    assert first.is_alive()
    first.join()
    assert isinstance(errors[0], LockedError)
    assert runs.target.users.count_documents({}) == 1


@pytest.mark.server
def test_an_equal_view_is_not_dropped(runs: Runs) -> None:
    for database in (runs.client.source, runs.target):
        database.create_collection("v", viewOn="users", pipeline=[{"$sort": {"a": 1, "b": 1}}])
        database.create_collection("w", viewOn="users", pipeline=[{"$sort": {"a": 1, "b": 1}}])
    runs.client.source.command("collMod", "w", viewOn="users", pipeline=[{"$sort": {"b": 1, "a": 1}}])
    runs.delay("drop", "target.v", 1)
    runs.copy()
    assert runs.target.v.count_documents({}) == 1
    views = {view["name"]: view["options"] for view in runs.target.list_collections(filter={"type": "view"})}
    assert list(views["w"]["pipeline"][0]["$sort"]) == ["b", "a"]
    point = runs.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    assert point["count"] == 0


@pytest.mark.server
def test_a_delayed_drop_of_the_swap_log_does_not_remove_that_of_the_next_swap(
    runs: Runs, tmp_path: Path
) -> None:
    with runs.behind_proxy(tmp_path / "proxy") as (first, proxy):
        first.copy()
        drops = [command.target for command in proxy.commands if command.name == "drop"]
        last = len(drops) - drops[::-1].index(SWAP)
        seconds: list[Thread] = []

        def next_swap() -> None:
            runs.take_over()
            runs.target.z.insert_one({})
            runs.delay("drop", "target.z", LATE_MS // 4)
            seconds.append(runs.begin("drop", "z"))
            assert runs.steps() == 3  # the journal is one

        proxy.at(last, next_swap, only="drop", then="go on")
        with pytest.raises(LockedError):
            first.copy()
    assert runs.steps() == 3  # the journal is one
    seconds[0].join()
    assert set(runs.target.list_collection_names()) == {"monarch_lease", "mongo_migration_journal", "users"}


@pytest.mark.server
def test_a_delayed_delete_does_not_remove_the_steps_of_the_next_swap(runs: Runs, tmp_path: Path) -> None:
    head = {"_id": "head", "state": "emptied", "purpose": "restore", "run": "earlier", "steps": 0}
    step = {"run": "earlier", **to_document(Discard("none", "view"))}
    runs.target[SWAP].insert_many([{**head, "before": "emptied"}, *({"_id": n, **step} for n in range(3))])
    with runs.behind_proxy(tmp_path / "proxy") as (first, proxy):
        seconds: list[Thread] = []

        def next_swap() -> None:
            assert proxy.commands[-1].target == SWAP
            assert runs.target[SWAP].distinct("run") == ["earlier"]
            runs.take_over()
            runs.client.source.create_collection("v", viewOn="users")
            runs.delay("create", "target.v", LATE_MS // 4)
            seconds.append(runs.begin("create", "v"))
            assert runs.steps() == 3  # the journal is one

        proxy.at(1, next_swap, only="delete", then="go on")
        with pytest.raises(LockedError):
            first.copy()
    assert runs.steps() == 3  # the journal is one
    seconds[0].join()
    own = {"monarch_lease", "mongo_migration_journal", "system.views"}
    assert set(runs.target.list_collection_names()) == {*own, "users", "v"}
