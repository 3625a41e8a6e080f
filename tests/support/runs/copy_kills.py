"""Copies in processes that tests kill, and checks of the target afterwards.

Two sources alternate: the target has the contents of one, and the other is copied into it. So every name that
is a view in one source and a collection in the other is copied in both directions.
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

# Modules that a copy imports on demand: the process that forks the copies imports these once.
from monarch import Project
from monarch.databases.lease import SECONDS as SECONDS_HELD
from monarch.databases.mongo import lease as leases
from monarch.databases.mongo.collection_names import JOURNAL, LEASE, STAGING, SWAP
from monarch.errors import MonarchError
from monarch.progress import Progress
from tests.support.runs.shell import Folder
from tests.support.samples.equality import Description, assert_equal, describe
from tests.support.servers.proxy import Command, Proxy

SOURCES = ("first", "second")
DAY = datetime(2014, 5, 29, tzinfo=UTC)
MANY = 3000
# Far longer than a copy takes, even on a busy machine. A process that hangs fails the test.
SECONDS = 90

# "during": the command reaches the server, but its answer reaches nobody.
Moment = Literal["before", "during", "after"]
# The target is unchanged, has the head of a swap log, or has the new contents.
Stage = Literal["old", "between", "new"]
NextCommand = Literal["list_migrations", "migrate", "copy_db", "restore"]

_PROCESSES = multiprocessing.get_context("forkserver")
# pytest comes first: depending on how it was started, a forked process would import it again.
_PROCESSES.set_forkserver_preload(
    ["pytest", "tests.support.runs.copy_kills", "tests.support.runs.backup_kills"]
)


def fill(database: Database[Any], side: str, *, many: int = MANY) -> None:
    """Fill the empty ``database`` with the contents of a source; "first" has ``many`` documents."""
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
    # Views on names that are another kind of collection in the other source.
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


class Recoveries(Progress):
    """Records the ``messages`` about unfinished work that a command finished or undid."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def recovered(self, what: str) -> None:
        self.messages.append(what)


@dataclass(frozen=True)
class Run:
    """The commands of a complete copy at its target's server, numbered from 1.

    Command ``begins`` writes the head of the swap log, and ``ends`` removes it: between them there is no way
    back.
    """

    commands: tuple[Command, ...]
    begins: int
    ends: int

    @classmethod
    def of(cls, commands: list[Command]) -> Run:
        names = [command.name if command.target == SWAP else None for command in commands]
        begins = names.index("update", names.index("insert")) + 1  # the second update of a copy in place
        ends = next(n for n, name in enumerate(names, 1) if n > begins and name in ("delete", "drop"))
        return cls(tuple(commands), begins, ends)

    @property
    def database(self) -> str:
        """The name of the target."""
        return next(command.database for command in self.commands if command.database != "admin")

    def number(self, name: str, target: str) -> int:
        """The number of the first such command in the swap."""
        numbers = enumerate(self.commands, 1)
        return next(n for n, sent in numbers if n > self.begins and sent[::2] == (name, target))

    def last(self, name: str, *, before: int) -> int:
        """The number of the last command ``name`` before the command ``before``."""
        numbers = enumerate(self.commands, 1)
        return max(n for n, sent in numbers if n < before and sent.name == name)

    def stage(self, number: int, moment: Moment) -> Stage | None:
        """The stage that a kill at a command leaves; None if the server may or may not have run it."""
        stages: tuple[Stage, ...] = ("old", "between", "new")
        for stage, end in zip(stages, (self.begins, self.ends), strict=False):
            if number < end or (number == end and moment == "before"):
                return stage
            if number == end and moment == "during":
                return None
        return "new"


class KillableProcess:
    """A process that calls ``function`` with ``arguments`` and can be killed."""

    def __init__(self, function: Callable[..., None], *arguments: object) -> None:
        self._started = threading.Event()
        self._process = _PROCESSES.Process(target=function, args=arguments)

    def start(self) -> None:
        self._process.start()
        self._started.set()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the process a signal; another thread may call this before `start` returns."""
        assert self._started.wait(SECONDS)
        os.kill(self.pid, number)

    def end(self) -> int:
        """Wait for the end of the process; return its exit code, or minus the signal that ended it."""
        self._process.join(SECONDS)
        if self._process.exitcode is None:
            self.kill()
            self._process.join()
            raise AssertionError(f"The process did not end within {SECONDS} seconds.")
        code = self._process.exitcode
        self._process.close()
        return code


class Copy(KillableProcess):
    """A copy of ``source`` into the target of the project in ``root``.

    ``lease`` is how long its lease lasts, in seconds; related intervals are scaled with it.
    """

    def __init__(
        self, root: Path, source: str, *, in_place: bool = False, lease: float | None = None
    ) -> None:
        super().__init__(_copy, str(root), source, in_place, lease)


def _copy(root: str, source: str, in_place: bool, lease: float | None) -> None:
    # Tests that are started in the background may inherit an ignored SIGINT.
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
    """A target with the contents of one source, into which ``process_class`` copies the other source.

    The project connects to the target through ``proxy``, the tests connect directly.
    """

    folder: Folder
    target: Database[dict[str, Any]]
    sources: MongoClient[dict[str, Any]]
    proxy: Proxy
    pending: str
    process_class: Callable[..., KillableProcess] = Copy
    current: str = "first"
    fence: int = 0
    contents: dict[str, Description] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def other(self) -> str:
        """The source whose contents the target does not have."""
        return SOURCES[1 - SOURCES.index(self.current)]

    def copy(self, **options: Any) -> Run:
        """Copy the other source without interruption; return what the target's server received."""
        source, before = self.other, len(self.proxy.commands)
        copy = self.process_class(self.folder.path, source, **options)
        copy.start()
        assert copy.end() == 0
        self.current = source
        self.require_settled()
        return Run.of(self.proxy.commands[before:])

    def kill(self, number: int, moment: Moment, next_command: NextCommand) -> None:
        """Kill a copy at the command ``number``, check the target, recover, and check again."""
        source = self.other
        stage = self.runs[source].stage(number, moment)
        with self.annotate_errors(number, moment, next_command):
            copy = self.process_class(self.folder.path, source)
            where: Any = {"moment": moment}
            if moment == "during":
                where = {"moment": "before", "then": "go on"}
            self.proxy.at(number, copy.kill, **where)
            copy.start()
            code = copy.end()
            if code == 0 and number > self.runs[source].ends:
                # This direction, or a run in which no lease was renewed, has some commands less.
                self.proxy.forget()
                self.current = source
                self.require_settled()
                return
            assert code == -signal.SIGKILL
            if moment != "during":  # the next command must come while the server runs the interrupted one
                self.require_stage(stage, source)
            self.recover(stage, source, next_command)

    @contextmanager
    def annotate_errors(self, number: int, moment: Moment, next_command: NextCommand) -> Iterator[None]:
        """Add to an error where a copy was killed."""
        source = self.other
        commands = self.runs[source].commands
        command = commands[min(number, len(commands)) - 1]  # the other direction may have some more
        try:
            yield
        except BaseException as error:
            where = f"{moment} command {number}, {command.name} {command.target}"
            process = self.process_class.__name__.lower()
            error.add_note(f"A {process} of {source} was killed {where}, followed by {next_command}.")
            raise

    def require_stage(self, stage: Stage | None, source: str) -> None:
        """Check that the target is complete, or that the head of a swap log marks it as incomplete."""
        if stage is None:
            return
        assert (self.target[SWAP].find_one({"_id": "head"}) is not None) == (stage == "between")
        if stage != "between":
            assert_equal(self.contents[source if stage == "new" else self.current], self.describe_target())

    def recover(self, stage: Stage | None, source: str, next_command: NextCommand) -> None:
        """Run the next command, check that it recovers the target and reports that, and check the target.

        If the ``stage`` is None, the report of the command determines it.
        """
        leftovers = self.leftovers()
        messages = self.run(next_command, source)
        if next_command == "list_migrations" and not messages:
            assert stage != "between"
            # It takes no lease, and so leaves what only a lease holder may remove.
            messages = self.run("migrate", source)
        finished = any("is finished now" in line for line in messages)
        undone = any("it had changed nothing" in line for line in messages)
        assert len(messages) == finished + undone <= 1
        if stage is None:
            stage = "between" if finished else "old" if undone else "new"
        assert finished == (stage == "between")
        assert undone == (stage == "old" and bool(leftovers))
        if next_command in ("copy_db", "restore") or stage != "old":
            self.current = source
        self.require_settled()

    def run(self, command: NextCommand, source: str) -> list[str]:
        """Run a command on the target; return its messages about recovery."""
        project, recoveries = Project(self.folder.path), Recoveries()
        if command == "list_migrations":
            statuses = project.list_migrations("target", recoveries)
            keys = {status.key for status in statuses if status.record}
            finished = any("is finished now" in line for line in recoveries.messages)
            assert keys in [self.keys(side) for side in ((source,) if finished else (self.current, source))]
        elif command == "migrate":
            migrated = project.migrate("target", wait=0, progress=recoveries)
            assert [done.key for done in migrated.done] == [self.pending]
            for name in ("history", "journal"):
                self.target[f"mongo_migration_{name}"].delete_many({"key": self.pending})
            # A run creates the journal's indexes, which no source has.
            self.target["mongo_migration_journal"].drop_indexes()
        elif command == "restore":
            project.restore(source, "target", engine="native", progress=recoveries)
        else:
            project.copy(source, "target", engine="native", progress=recoveries)
        return recoveries.messages

    def require_settled(self) -> None:
        """Check that the target is complete, has no leftovers of copies, and has a free lease."""
        assert_equal(self.contents[self.current], self.describe_target())
        assert not self.leftovers(), self.leftovers()
        # Who has brought these contents arrives with them.
        lines = list(self.target[JOURNAL].find({"action": {"$in": ["copy", "restore"]}, "replaced": None}))
        assert [self.current in line["key"] for line in lines] == [True]
        lease = self.target[LEASE].find_one()
        assert lease is not None
        assert "holder" not in lease
        assert lease["fence"] >= self.fence
        self.fence = lease["fence"]

    def leftovers(self) -> list[str]:
        """The names of staging and swap log collections, including buckets of staged time series."""
        return [name for name in self.target.list_collection_names() if STAGING in name or name == SWAP]

    def describe_target(self) -> Description:
        """The description of the target without the staging."""
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
    """A target on the mongod at the port ``server``, which requires no password, and both sources.

    The sources are on the mongod at the port ``source`` if it is given. ``options`` are for the connection to
    the target. The proxy does not count the commands ``uncounted``.
    """
    # The tests kill the server, and must not lose what they write themselves.
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
        fill(made.target, made.current, many=many)
        for _ in SOURCES:
            side = made.other
            made.runs[side] = made.copy()
        yield made
        client.drop_database(made.target)
        for side in SOURCES:
            sources.drop_database(made.source(side))
