"""Copies that are killed, each a process of its own, and what must be true of their target afterwards.

Two databases take turns: the target holds what one of them holds, and the other is copied into it. So every
name that is a view on one side and a collection on the other is met in both directions.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from bson import Code
from pymongo import MongoClient
from pymongo.database import Database

# What a copy imports when it is used: in the process from which the copies are forked, once.
from monarch import Project
from monarch.databases.lease import SECONDS as SECONDS_HELD
from monarch.databases.mongo import lease as leases
from monarch.databases.mongo.collection_names import LEASE, STAGING, SWAP
from monarch.errors import MonarchError
from monarch.progress import Progress
from tests.support.runs.shell import Folder
from tests.support.samples.equality import Description, assert_equal, describe
from tests.support.servers.proxy import Command, Proxy

SOURCES = ("first", "second")
DAY = datetime(2014, 5, 29, tzinfo=UTC)
MANY = 3000
# Far longer than a copy takes, also on a busy machine: a process that hangs fails the test.
SECONDS = 90

# "during": the command reaches the server, but nobody waits for its answer any more.
Moment = Literal["before", "during", "after"]
# Of the target: as it was, with the head of a swap's journal, or as it should be.
Stage = Literal["old", "between", "new"]
Then = Literal["list_migrations", "migrate", "copy_db", "restore"]

_PROCESSES = multiprocessing.get_context("forkserver")
# The first because in some ways of starting it, it is what a forked process would import anew.
_PROCESSES.set_forkserver_preload(
    ["pytest", "tests.support.runs.copy_kills", "tests.support.runs.backup_kills"]
)


def fill(database: Database[Any], side: str, *, many: int = MANY) -> None:
    """Make one of the two contents in the empty ``database``, the first with ``many`` documents."""
    first, pad = side == "first", "x" * (many // 100)
    plain = database["plain"]
    plain.insert_many([{"_id": n, "side": side, "n": n, "pad": pad} for n in range(many if first else 200)])
    plain.create_index("n", name="by n", unique=first)
    plain.create_index([("side", 1), ("n", -1)])
    for name, is_collection in (("a_collection_or_view", first), ("collection_or_view", not first)):
        if is_collection:
            database[name].insert_one({"_id": 1, "side": side})
        else:
            database.create_collection(name, viewOn="plain", pipeline=[{"$match": {"n": {"$lt": 5}}}])
    for name, is_collection in (("collection_or_series", first), ("z_collection_or_series", not first)):
        if is_collection:
            database[name].insert_one({"_id": 1, "side": side})
        else:
            _series(database, name, side)
    _series(database, "series", side)
    # On what is another kind of thing on the other side.
    database.create_collection("view", viewOn="z_collection_or_series", pipeline=[])
    database.create_collection("view_of_view", viewOn="a_collection_or_view", pipeline=[{"$limit": 3}])
    database.create_collection("capped", capped=True, size=4096)
    database["capped"].insert_many([{"_id": -n if first else n, "side": side} for n in range(20)])
    database["system.js"].insert_one({"_id": "side", "value": Code(f"function () {{ return '{side}'; }}")})
    database[f"only_{side}"].insert_one({"_id": side})
    database.create_collection(f"only_{side}_view", viewOn="plain", pipeline=[])
    _series(database, f"only_{side}_series", side)
    keys = [f"_2014010{n}0000_{side}_migration" for n in range(2 if first else 4)]
    rows = [{"_id": n, "key": key, "state": "Completed", "processed_at": DAY} for n, key in enumerate(keys)]
    database["mongo_migration_history"].insert_many(rows)
    database["mongo_migration_journal"].insert_one({"_id": side, "key": keys[0], "outcome": "Completed"})


def _series(database: Database[Any], name: str, side: str) -> None:
    database.create_collection(name, timeseries={"timeField": "at", "metaField": "from"})
    database[name].create_index([("from", 1), ("at", 1)], name=f"of {side}")
    database[name].insert_many(
        [{"_id": n, "at": DAY + timedelta(hours=n), "from": f"{side} {n % 2}"} for n in range(12)]
    )


class Told(Progress):
    """What a command has said of the leavings that it mended."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def recovered(self, what: str) -> None:
        self.said.append(what)


@dataclass(frozen=True)
class Run:
    """A whole copy as its target's server saw it: all commands, and those between which there is no way back.

    Numbers count from 1. ``begins`` writes the head of the swap's journal, ``ends`` takes it away.
    """

    commands: tuple[Command, ...]
    begins: int
    ends: int

    @classmethod
    def of(cls, commands: list[Command]) -> Run:
        names = [command.name if command.target == SWAP else None for command in commands]
        begins = names.index("update", names.index("insert")) + 1  # of a copy in place the second
        ends = next(n for n, name in enumerate(names, 1) if n > begins and name in ("delete", "drop"))
        return cls(tuple(commands), begins, ends)

    def number(self, name: str, target: str) -> int:
        """Of the first such command in the swap."""
        numbers = enumerate(self.commands, 1)
        return next(n for n, sent in numbers if n > self.begins and sent[::2] == (name, target))

    def last(self, name: str, *, before: int) -> int:
        """The number of the last command ``name`` before the command ``before``."""
        numbers = enumerate(self.commands, 1)
        return max(n for n, sent in numbers if n < before and sent.name == name)

    def stage(self, number: int, moment: Moment) -> Stage | None:
        """What must be there after a kill at a command; None of one that the server may have done or not."""
        stages: tuple[Stage, ...] = ("old", "between", "new")
        for stage, end in zip(stages, (self.begins, self.ends), strict=False):
            if number < end or (number == end and moment == "before"):
                return stage
            if number == end and moment == "during":
                return None
        return "new"


class KillableProcess:
    """What ``work`` does with ``arguments``, in a process of its own, which can be killed."""

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        self._started = threading.Event()
        self._process = _PROCESSES.Process(target=work, args=arguments)

    def start(self) -> None:
        self._process.start()
        self._started.set()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, also from a thread that hears of it before `start` has returned."""
        assert self._started.wait(SECONDS)
        os.kill(self.pid, number)

    def end(self) -> int:
        """Wait until it has ended; its exit code, or minus the signal that ended it."""
        self._process.join(SECONDS)
        if self._process.exitcode is None:
            self.kill()
            self._process.join()
            raise AssertionError(f"It did not end within {SECONDS} seconds.")
        code = self._process.exitcode
        self._process.close()
        return code


class Copy(KillableProcess):
    """A copy of ``source`` into the target of the project in ``root``.

    With ``lease`` its lease lasts so many seconds, and all that hangs on that is as much quicker.
    """

    def __init__(
        self, root: Path, source: str, *, in_place: bool = False, lease: float | None = None
    ) -> None:
        super().__init__(_copy, str(root), source, in_place, lease)


def _copy(root: str, source: str, in_place: bool, lease: float | None) -> None:
    # Some who start the tests in the background have told them to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if lease is not None:
        for name in ("SECONDS", "_RENEW_EVERY", "_TRUSTED"):
            setattr(leases, name, getattr(leases, name) * lease / SECONDS_HELD)
    try:
        Project(root).copy(source, "target", engine="native", in_place=in_place)
    except MonarchError as error:
        sys.stderr.write(f"{error.message}\n")  # pytest shows it where a test fails
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


@dataclass
class CopyScenario:
    """A target that holds what one of the sources holds, until the other one is brought into it by ``begin``.

    The project reaches it through ``proxy``, the tests past that.
    """

    folder: Folder
    target: Database[dict[str, Any]]
    sources: MongoClient[dict[str, Any]]
    proxy: Proxy
    pending: str
    begin: Callable[..., KillableProcess] = Copy
    holds: str = "first"
    fence: int = 0
    contents: dict[str, Description] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def other(self) -> str:
        """The source whose contents the target does not hold."""
        return SOURCES[1 - SOURCES.index(self.holds)]

    def copy(self, **how: Any) -> Run:
        """Copy the other source, undisturbed; what the target's server saw of that."""
        source, before = self.other, len(self.proxy.commands)
        copy = self.begin(self.folder.path, source, **how)
        copy.start()
        assert copy.end() == 0
        self.holds = source
        self.see()
        return Run.of(self.proxy.commands[before:])

    def kill(self, number: int, moment: Moment, then: Then) -> None:
        """Kill a copy at the command that is ``number``, look, run the next command, and look again."""
        source = self.other
        stage = self.runs[source].stage(number, moment)
        with self.named(number, moment, then):
            copy = self.begin(self.folder.path, source)
            where: Any = {"moment": moment}
            if moment == "during":
                where = {"moment": "before", "then": "go on"}
            self.proxy.at(number, copy.kill, **where)
            copy.start()
            assert copy.end() == -signal.SIGKILL
            if moment != "during":  # then the next command is to come before the server is done with that one
                self.look(stage, source)
            self.mend(stage, source, then)

    @contextmanager
    def named(self, number: int, moment: Moment, then: Then) -> Iterator[None]:
        """Adds to an error at which moment a copy was killed."""
        source = self.other
        command = self.runs[source].commands[number - 1]
        try:
            yield
        except BaseException as error:
            what = f"{moment} command {number}, {command.name} {command.target}"
            error.add_note(
                f"A {self.begin.__name__.lower()} of {source} was killed {what}; then came {then}."
            )
            raise

    def look(self, stage: Stage | None, source: str) -> None:
        """See that the target is whole, or that the head of a journal says that it is not."""
        if stage is None:
            return
        assert (self.target[SWAP].find_one({"_id": "head"}) is not None) == (stage == "between")
        if stage != "between":
            assert_equal(self.contents[source if stage == "new" else self.holds], self.described())

    def mend(self, stage: Stage | None, source: str, then: Then) -> None:
        """Run the next command, which says what it mends and mends it, and see that the target is whole.

        Without a ``stage`` that is known, what the command says tells what it was.
        """
        left = self.leavings()
        said = self.run(then, source)
        if then == "list_migrations" and not said:
            assert stage != "between"
            said = self.run(
                "migrate", source
            )  # the other one holds nothing, and leaves what it may not touch
        finished = any("is finished now" in line for line in said)
        undone = any("it had changed nothing" in line for line in said)
        assert len(said) == finished + undone <= 1
        if stage is None:
            stage = "between" if finished else "old" if undone else "new"
        assert finished == (stage == "between")
        assert undone == (stage == "old" and bool(left))
        if then in ("copy_db", "restore") or stage != "old":
            self.holds = source
        self.see()

    def run(self, then: Then, source: str) -> list[str]:
        """Run a command on the target; what it says that it has mended."""
        project, told = Project(self.folder.path), Told()
        if then == "list_migrations":
            statuses = project.list_migrations("target", told)
            keys = {status.key for status in statuses if status.record}
            finished = any("is finished now" in line for line in told.said)
            assert keys in [self.keys(side) for side in ((source,) if finished else (self.holds, source))]
        elif then == "migrate":
            migrated = project.migrate("target", wait=0, progress=told)
            assert [done.key for done in migrated.done] == [self.pending]
            for kept in ("history", "journal"):
                self.target[f"mongo_migration_{kept}"].delete_many({"key": self.pending})
            # A run makes sure that the journal has it; the copies brought none.
            self.target["mongo_migration_journal"].drop_indexes()
        elif then == "restore":
            project.restore(source, "target", engine="native", progress=told)
        else:
            project.copy(source, "target", engine="native", progress=told)
        return told.said

    def see(self) -> None:
        """See that the target is whole, that nothing is left of any copy, and that nobody holds it."""
        assert_equal(self.contents[self.holds], self.described())
        assert not self.leavings(), self.leavings()
        lease = self.target[LEASE].find_one()
        assert lease is not None
        assert "holder" not in lease
        assert lease["fence"] >= self.fence
        self.fence = lease["fence"]

    def leavings(self) -> list[str]:
        """What copies have left, the buckets of staged time series included."""
        return [name for name in self.target.list_collection_names() if STAGING in name or name == SWAP]

    def described(self) -> Description:
        """What the target holds, all that is staged left out."""
        return {name: found for name, found in describe(self.target).items() if STAGING not in name}

    def keys(self, side: str) -> set[str]:
        """The migrations in the history of a source."""
        return set(self.source(side)["mongo_migration_history"].distinct("key"))

    def source(self, side: str) -> Database[dict[str, Any]]:
        return self.sources[f"{self.folder.db_name}_{side}"]


@contextmanager
def copy_scenario(
    folder: Folder,
    server: int,
    source: int | None = None,
    *,
    options: str = "",
    many: int = MANY,
    uncounted: Collection[tuple[str, str]] = (),
) -> Iterator[CopyScenario]:
    """A target on the mongod that listens on ``server``, which asks for no password, and both sources.

    They are on another one, ``source``, if that is given. ``options`` are for the connection to the target.
    The proxy does not count the commands ``uncounted``.
    """
    # What the tests write themselves must not be lost when they kill the server.
    with (
        MongoClient[dict[str, Any]](
            "localhost", server, directConnection=True, w="majority", journal=True
        ) as client,
        MongoClient[dict[str, Any]]("localhost", source or server, directConnection=True) as sources,
        Proxy(server, uncounted=uncounted) as proxy,
    ):
        name = folder.db_name
        from_uri = f"mongodb://localhost:{source or server}/?directConnection=true"
        folder.settings(
            target={"uri": proxy.uri + options, "db_name": f"{name}_target"},
            **{side: {"uri": from_uri, "db_name": f"{name}_{side}"} for side in SOURCES},
        )
        key = folder.migration("pending", stamp="209901010000")
        made = CopyScenario(folder, client[f"{name}_target"], sources, proxy, key)
        for side in SOURCES:
            fill(made.source(side), side, many=many)
            made.contents[side] = describe(made.source(side))
        fill(made.target, made.holds, many=many)
        for _ in SOURCES:
            side = made.other
            made.runs[side] = made.copy()
        yield made
        client.drop_database(made.target)
        for side in SOURCES:
            sources.drop_database(made.source(side))
