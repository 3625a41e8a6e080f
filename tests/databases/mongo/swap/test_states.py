"""Every cell of the swap's table, on a real server. The table is in the docstring of the package ``swap``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import bson
import pytest
from bson import Binary, ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from monarch.databases.mongo import swap
from monarch.databases.mongo.collection_names import HEAD, LEASE, STAGING, SWAP
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.lease import MongoLease
from monarch.databases.mongo.swap.log import Swap
from monarch.databases.mongo.swap.steps import Move, from_document, to_document
from tests.databases.mongo.engines.test_pairs import environment
from tests.support.runs.shell import CommandResult, Folder
from tests.support.servers.mongod import Server

pytestmark = pytest.mark.server

PURPOSE = "copy_db source:target"
NATIVE = ("--engine", "native")
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "list_migrations": (("list_migrations", "target"),),
    "migrate": (("migrate", "target"),),
    "check": (("check", "target"),),
    "FROM": (("backup", "target", *NATIVE), ("copy_db", "target:other", "--yes", *NATIVE)),
    "INTO": (
        ("copy_db", "source:target", "--yes", *NATIVE),
        ("restore", "{backup}:target", "--yes", *NATIVE),
    ),
    "drop_db": (("drop_db", "target", "--yes"),),
}
# A migration is pending, and `check` reports it.
WORKED = {"check": 3}
REPORTS = {
    "works": "",
    "cleans up": "Note: a copy into 'target' was cut off; it had changed nothing",
    "finishes": f"Note: `{PURPOSE}` was cut off during its swap; the swap is finished now",
    "replaces": f"Note: 'target' is incomplete, because `{PURPOSE}` was cut off",
    "undoes": "Copy or restore into it again, or drop it",
    "refuses": PURPOSE,
    "fails": "The swap of 'target' is unfinished.",
    "drops": "",
}


def tables() -> list[list[dict[str, str]]]:
    """Return the simple tables of the docstring, with each row by column title."""
    assert swap.__doc__ is not None
    found: list[list[dict[str, str]]] = []
    rules: list[int] = []
    lines = swap.__doc__.splitlines()
    for number, line in enumerate(lines):
        if re.fullmatch(r"=+( =+)+", line):
            rules.append(number)
    assert len(rules) % 3 == 0
    for top, middle, bottom in zip(*[iter(rules)] * 3, strict=True):
        spans = [match.span() for match in re.finditer("=+", lines[top])]
        spans[-1] = (spans[-1][0], 1000)
        titles, *rows = (
            [line[start:end].strip() for start, end in spans]
            for line in (lines[top + 1], *lines[middle + 1 : bottom])
        )
        assert middle == top + 2
        found.append([dict(zip(titles, row, strict=True)) for row in rows])
    return found


STATES, WRITES = tables()
CELLS = [
    (row["state"], column, command, row[column])
    for row in STATES
    for column, commands in COMMANDS.items()
    for command in commands
]


class Target:
    """A database that is put into a state by writing the documents that a swap writes."""

    def __init__(self, database: Database[Any]) -> None:
        self.database = database

    def enter(self, state: str, run: str | None = None) -> None:
        """Drop the database and create ``state`` in it, as left by ``run``."""
        run = run or str(ObjectId())
        self.database.client.drop_database(self.database.name)
        if "emptied" not in state:
            self.database.users.insert_one({"_id": "old"})
        if state == "nothing":
            return
        staged = f"{STAGING}{run}.0"
        self.database[staged].insert_one({"_id": "staged"})
        (entry,) = self.database.list_collections(filter={"name": staged})
        step = {
            "_id": 0,
            "run": run,
            **to_document(Move(staged, bytes(entry["info"]["uuid"]), "users", True)),
        }
        head: dict[str, Any] = {"_id": HEAD, "purpose": PURPOSE, "run": run, "fence": 1, "steps": 0}
        if state in ("staged", "swapping", "blocked"):
            self.database[SWAP].insert_one(step)
        if state in ("swapping", "blocked", "void", "void, emptied"):
            head |= {"state": "swapping", "steps": 1}
        if state == "void, emptied":
            head |= {"before": "emptied"}
        if state in ("emptied", "stuck"):
            head |= {"state": state, "before": state}
        if state != "staged":
            self.database[SWAP].insert_one(head)
        if state == "blocked":
            self.database[staged].drop()  # another client dropped the collection to rename
        assert self.state() == state

    def state(self) -> str:
        """The state, as the docstring defines it."""
        head = self.database[SWAP].find_one({"_id": HEAD})
        steps = list(self.database[SWAP].find({"_id": {"$ne": HEAD}}))
        if head is None:
            return "staged" if steps or self.staging() else "nothing"
        if head["state"] != "swapping":
            return str(head["state"])
        if len(steps) < head["steps"]:
            return "void, emptied" if head.get("before") else "void"
        moves = [from_document(step) for step in steps]
        there = self.staging()
        return "swapping" if all(getattr(move, "staged", None) in there for move in moves) else "blocked"

    def staging(self) -> list[str]:
        return [name for name in self.database.list_collection_names() if name.startswith(STAGING)]

    def users(self) -> list[Any]:
        return [user["_id"] for user in self.database.users.find()]

    def everything(self) -> dict[str, list[Any]]:
        """All documents except those of the lease."""
        names = self.database.list_collection_names()
        return {name: list(self.database[name].find()) for name in names if name != LEASE}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[MongoClient[dict[str, Any]]]:
    with server.client() as made:
        yield made


@pytest.fixture(scope="module")
def folder(
    server: Server, client: MongoClient[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Folder]:
    made = Folder(tmp_path_factory.mktemp("project"), server)
    names = {name: f"{made.db_name}_{name}" for name in ("source", "target", "other")}
    made.settings(**{name: {"uri": server.uri, "db_name": db_name} for name, db_name in names.items()})
    made.keep_backups()
    made.migration("one")
    client[names["source"]].users.insert_one({"_id": "new"})
    result = made.invoke("backup", "source", *NATIVE)
    assert result.code == 0, result.output
    yield made
    for db_name in names.values():
        client.drop_database(db_name)


@pytest.fixture
def target(folder: Folder, client: MongoClient[dict[str, Any]]) -> Target:
    return Target(client[f"{folder.db_name}_target"])


def run(folder: Folder, command: tuple[str, ...]) -> CommandResult:
    (backup,) = (path.name for path in (folder.path / "backups").glob("*_source__*.dmp.zst"))
    return folder.invoke(*(argument.format(backup=backup) for argument in command))


def test_the_table_is_complete() -> None:
    for row in STATES:
        assert set(row) == {"state", *COMMANDS}
        assert set(row.values()) - {row["state"]} <= set(REPORTS)
    states = [row["state"] for row in STATES]
    assert len(set(states)) == len(states) == 8
    defined = re.findall(r"\| \*([^*]+)\*:", swap.__doc__ or "")
    assert defined == [*states, *(word for word in defined if word in REPORTS)]
    assert set(REPORTS) < set(defined)


@pytest.mark.parametrize(
    ("state", "column", "command", "outcome"),
    CELLS,
    ids=[f"{state}-{command[0]}-{outcome}" for state, _, command, outcome in CELLS],
)
def test_a_command_in_a_state(
    folder: Folder, target: Target, state: str, column: str, command: tuple[str, ...], outcome: str
) -> None:
    target.enter(state)
    before, users = target.everything(), target.users()
    result = run(folder, command)
    codes = {"refuses": 1, "undoes": 1, "fails": 5}
    assert result.code == codes.get(outcome, WORKED.get(column, 0)), result.output
    assert REPORTS[outcome] in result.err
    reports = [
        word for word, report in REPORTS.items() if report.startswith("Note: ") and report in result.err
    ]
    assert reports == ([outcome] if outcome in reports else [])
    if outcome in ("refuses", "fails") or (outcome == "works" and column not in ("INTO", "migrate")):
        assert target.everything() == before
    elif outcome == "undoes":
        assert target.state() == ("stuck" if state == "stuck" else "emptied")
        assert not target.staging()
    else:
        assert target.state() == "nothing"
        assert SWAP not in target.everything()
    if column == "INTO":
        users = ["new"]
    elif outcome in ("finishes", "drops"):
        users = ["staged"] if outcome == "finishes" else []
    assert target.users() == users


def clear_head(swap: Swap) -> None:
    head = swap.head()
    assert head is not None
    assert swap.is_void(head)
    swap.clear_head(head)


def abandon(swap: Swap) -> None:
    head = swap.head()
    assert head is not None
    swap.abandon(head)


def begin(swap: Swap, target: Target) -> None:
    steps = [from_document(step) for step in target.database[SWAP].find()]
    swap.begin(steps, PURPOSE)


@pytest.mark.parametrize("row", WRITES, ids=lambda row: f"{row['write']} {row['from']}")
def test_a_write_changes_the_state(
    folder: Folder, server: Server, client: MongoClient[dict[str, Any]], target: Target, row: dict[str, str]
) -> None:
    env = environment("target", server, target.database.name)
    writes: dict[str, Callable[[Swap], object]] = {
        "begin": lambda swap: begin(swap, target),
        "finish": lambda swap: swap.finish(),
        "empty": lambda swap: swap.empty(PURPOSE),
        "abandon": abandon,
        "give_up": lambda swap: swap.give_up(),
        "clear_head": clear_head,
        "undo": lambda swap: swap.undo(),
    }
    target.enter("nothing")
    with MongoLease(env, target.database, "a test") as lease:
        fence = target.database[LEASE].find_one()
        assert fence is not None
        target.enter(row["from"], lease.run)
        target.database[LEASE].insert_one(fence)
        writes[row["write"]](Swap(DatabaseHandle(env, target.database), lease))
        assert target.state() == row["to"]
    assert set(writes) == {one["write"] for one in WRITES}


def as_a_newer_monarch(target: Target, what: str) -> None:
    """Create a swap log as a newer monarch may write it."""
    target.enter("swapping")
    log = target.database[SWAP]
    step = log.find_one({"_id": 0})
    assert step is not None
    if what == "step":
        log.update_one({"_id": 0}, {"$set": {"step": "freeze"}})
    elif what == "later step":
        log.insert_one({**step, "_id": 1, "step": "freeze"})
        log.update_one({"_id": HEAD}, {"$set": {"steps": 2}})
    elif what == "detail":
        details = Binary(bson.encode({**bson.decode(step["details"]), "compact": True}))
        log.update_one({"_id": 0}, {"$set": {"details": details}})
    elif what == "details":
        log.update_one({"_id": 0}, {"$unset": {"details": 1}})
    elif what == "state":
        log.update_one({"_id": HEAD}, {"$set": {"state": "freezing"}})
    else:
        log.update_one({"_id": HEAD}, {"$unset": {what: 1}})


@pytest.mark.parametrize(
    "what", ["step", "later step", "detail", "details", "state", "steps", "run", "purpose"]
)
def test_a_swap_of_a_newer_monarch_is_not_changed(folder: Folder, target: Target, what: str) -> None:
    as_a_newer_monarch(target, what)
    before = target.everything()
    for command in (*COMMANDS["list_migrations"], *COMMANDS["migrate"], *COMMANDS["FROM"]):
        result = run(folder, command)
        assert result.code in (1, 5), result.output
        # A command that only reads reports the unfinished swap and names the command that finishes it.
        assert "Hint: A newer monarch wrote it" in result.err or "run `monarch list_migrations" in result.err
        assert "defect" not in result.output
        assert target.everything() == before
    assert "Hint: A newer monarch wrote it" in run(folder, COMMANDS["list_migrations"][0]).err
    result = run(folder, COMMANDS["INTO"][0])
    assert result.code == 0, result.output
    assert target.users() == ["new"]
    assert SWAP not in target.everything()


def test_a_target_with_a_swap_of_a_newer_monarch_can_be_dropped(folder: Folder, target: Target) -> None:
    as_a_newer_monarch(target, "step")
    assert run(folder, COMMANDS["drop_db"][0]).code == 0
    assert target.everything() == {}
