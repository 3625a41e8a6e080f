"""Runs of ``migrate``, each a process of its own that can be stopped and killed.

They tell what must be true of the history when such a process is gone.

Every migration here writes down that it begins and that it ends, in one collection, whose natural order is
that in which the server got them.
"""

from __future__ import annotations

import datetime as datetimes
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database

# What a run imports when it is used: in the process from which the runs are forked, once.
from monarch import Project
from monarch.commands import cli
from monarch.databases.history import UNFINISHED, MigrationState
from monarch.databases.lease import SECONDS as SECONDS_HELD
from monarch.databases.mongo import lease as leases
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, LEASE
from monarch.databases.mongo.connection import retry as patience
from monarch.errors import MigrationError
from tests.support.runs.copy_kills import _PROCESSES, KillableProcess
from tests.support.runs.shell import Folder
from tests.support.servers.proxy import Command, Moment, Proxy

_PROCESSES.set_forkserver_preload(
    [
        "pytest",
        "tests.support.runs.copy_kills",
        "tests.support.runs.backup_kills",
        "tests.support.runs.migrate_runs",
    ]
)

# Far more than anything takes here, also on a machine that is busy.
SECONDS = 90
BEGIN, END = "begin", "end"
# What a migration does in between lies in {work}.
BODY = """
import time
ran = self.database.ran
ran.insert_one({{'by': {name!r}, 'what': 'begin'}})
{work}
ran.insert_one({{'by': {name!r}, 'what': 'end'}})
"""
ENDED = (MigrationState.COMPLETED, MigrationState.FAILED, MigrationState.INTERRUPTED)


def gate(parties: int) -> Barrier:
    """Where so many processes wait for one another."""
    return _PROCESSES.Barrier(parties)


@dataclass(frozen=True)
class Machine:
    """What a run finds around it: another ``host`` than that of the tests, a clock that is ``hours`` ahead.

    With ``lease`` its lease lasts so many seconds, and all that hangs on that is as much quicker. With
    ``once`` it waits so many seconds for one answer of the server before it asks again.
    """

    host: str | None = None
    hours: float = 0.0
    lease: float | None = None
    once: float | None = None

    def settle(self) -> None:
        """Let this process be on it."""
        if self.host is not None:
            _replace(socket, gethostname=lambda: self.host)
        if self.lease is not None:
            for name in ("SECONDS", "_RENEW_EVERY", "_TRUSTED"):
                _replace(leases, **{name: getattr(leases, name) * self.lease / SECONDS_HELD})
        if self.once is not None:
            _replace(patience, _ONCE=self.once)
        if self.hours:
            _set_clock(self.hours * 3600)


def _replace(module: Any, **values: Any) -> None:
    for name, value in values.items():
        assert hasattr(module, name)
        setattr(module, name, value)


def _set_clock(ahead: float) -> None:
    """Let the clocks of this process be so many seconds ahead, that of the lease too."""
    real, real_time, real_now = datetimes.datetime, time.time, leases._now

    class Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real)

    class Datetime(datetimes.datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: datetimes.tzinfo | None = None) -> Any:
            return real.now(tz) + datetimes.timedelta(seconds=ahead)

    _replace(time, time=lambda: real_time() + ahead)
    _replace(leases, _now=lambda: real_now() + ahead)
    for name, module in list(sys.modules.items()):
        if name.startswith("monarch") and getattr(module, "datetime", None) is real:
            _replace(module, datetime=Datetime)


class Run(KillableProcess):
    """A command line of monarch in ``folder``, begun when all are at the ``gate``.

    Whatever it does, it is gone behind the ``with`` block.
    """

    def __init__(
        self, folder: Folder, *arguments: str, machine: Machine = Machine(), gate: Barrier | None = None
    ) -> None:
        self._told = folder.path / f"told_{ObjectId()}"
        super().__init__(_run, str(folder.path), arguments, str(self._told), machine, gate)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """SIGSTOP, as Ctrl-Z or a closed lid."""
        self.kill(signal.SIGSTOP)
        self._stopped.set()

    def await_stop(self) -> None:
        assert self._stopped.wait(SECONDS)

    def end(self) -> int:
        """Wait until it has ended; its exit code, or minus the signal that ended it."""
        self._process.join(SECONDS)
        assert self._process.exitcode is not None, f"It did not end within {SECONDS} seconds: {self.said}"
        return self._process.exitcode

    @property
    def out(self) -> str:
        return Path(f"{self._told}.out").read_text()

    @property
    def err(self) -> str:
        return Path(f"{self._told}.err").read_text()

    @property
    def said(self) -> str:
        return self.out + self.err

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.exitcode is None:
            with suppress(ProcessLookupError):
                self.kill()
            self._process.join()


def _run(root: str, arguments: tuple[str, ...], told: str, machine: Machine, gate: Barrier | None) -> None:
    os.chdir(root)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{told}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    # Some who start the tests in the background have told them to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    machine.settle()
    if gate is not None:
        gate.wait(SECONDS)
    cli.main(list(arguments), prog_name="monarch")


@dataclass
class MigrationScenario:
    """A database with migrations to run on it, whose ``keys`` are known by their names.

    The environment ``dev`` reaches it through the ``proxy``, ``direct`` past that, and so do the tests.
    """

    folder: Folder
    database: Database[dict[str, Any]]
    proxy: Proxy
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        return Project(self.folder.path)

    def write(self, count: int, work: str = "pass") -> None:
        """Write so many migrations."""
        for number in range(count):
            self.add(f"m{number:02}", work)

    def add(self, name: str, work: str) -> str:
        """Write the migration called ``name``, or write it anew; return its key."""
        stamp = self.keys[name][1:13] if name in self.keys else None
        self.keys[name] = self.folder.migration(name, BODY.format(name=name, work=work), stamp)
        return self.keys[name]

    def run(self, *arguments: str, machine: Machine = Machine(), gate: Barrier | None = None) -> Run:
        return Run(self.folder, *arguments, machine=machine, gate=gate)

    def stop(self, run: Run, number: int, *, moment: Moment = "before", only: str | None = None) -> None:
        """Have ``run``, once it is entered, stopped at the command that is ``number``, which arrives."""
        self.proxy.at(number, run.stop, moment=moment, then="go on", only=only)

    def commands(self, machine: Machine = Machine()) -> list[Command]:
        """What an undisturbed run sends to the server, and then all is as it was before."""
        before = len(self.proxy.commands)
        with self.run("migrate", "dev", machine=machine) as run:
            assert run.end() == 0, run.said
        self.require_once()
        self.forget()
        return self.proxy.commands[before:]

    def forget(self) -> None:
        """Let nothing have run yet. The lease stays, for its number never falls."""
        for name in (HISTORY, JOURNAL, "ran"):
            self.database[name].delete_many({})

    def expire(self) -> None:
        """Let the time of whoever holds the lease be over, by the server's clock."""
        self.database[LEASE].update_many({}, [{"$set": {"expires_at": "$$NOW"}}])

    def await_the_end_of_the_lease(self) -> None:
        """Wait until others may take it, by the server's clock."""
        self.await_document(LEASE, {"$expr": {"$lt": ["$expires_at", "$$NOW"]}})

    def await_document(self, collection: str, query: dict[str, Any]) -> None:
        deadline = time.monotonic() + SECONDS
        while self.database[collection].find_one(query) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait until the server is done with what a run that is gone had sent to it."""
        # The connection on which a driver waits for news of the server is noticed late, and writes nothing.
        mine = {"appName": "monarch", "command.hello": {"$exists": False}}
        operations: list[dict[str, Any]] = [
            {"$currentOp": {"allUsers": True, "idleConnections": True}},
            {"$match": mine},
        ]
        deadline = time.monotonic() + SECONDS
        while list(self.database.client.admin.aggregate(operations)):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def lease(self) -> dict[str, Any]:
        found = self.database[LEASE].find_one()
        assert found is not None
        return found

    def documents(self) -> list[tuple[str, str]]:
        """What the migrations have written, in the order in which the server got it."""
        return [(row["by"], row["what"]) for row in self.database.ran.find(sort=[("$natural", 1)])]

    def kept(self) -> list[bytes]:
        """The history and the journal, byte for byte."""
        options = CodecOptions(RawBSONDocument)
        raw: Database[Any] = Database(self.database.client, self.database.name, options)
        return [row.raw for name in (HISTORY, JOURNAL) for row in raw[name].find(sort=[("_id", 1)])]

    def attempts(self) -> Counter[str]:
        """How many the journal has, by name."""
        names = {key: name for name, key in self.keys.items()}
        return Counter(names[row["key"]] for row in self.database[JOURNAL].find())

    def count(self, what: str) -> Counter[str]:
        return Counter(by for by, said in self.documents() if said == what)

    def states(self) -> dict[str, MigrationState]:
        """What `list_migrations` says, by name."""
        told = {status.key: status.state for status in self.project.list_migrations("direct")}
        return {name: told[key] for name, key in self.keys.items()}

    def require_once(self) -> None:
        """See that each has run once, in order, no two at once, and that all is recorded."""
        assert self.documents() == [(name, what) for name in self.keys for what in (BEGIN, END)]
        assert set(self.states().values()) == {MigrationState.COMPLETED}
        assert [
            (row["key"], row["outcome"])
            for row in self.database[JOURNAL].find(sort=[("started_at", 1), ("_id", 1)])
        ] == [(key, "Completed") for key in self.keys.values()]

    def require_told(self, cut: Collection[MigrationState]) -> str | None:
        """See that what is told is true of the documents.

        :return: the migration that was cut off, in one of the states ``cut``.
        """
        begun, ended, attempts = self.count(BEGIN), self.count(END), self.attempts()
        states = self.states()
        unfinished = [name for name, state in states.items() if state in UNFINISHED]
        assert len(unfinished) <= 1
        for name, state in states.items():
            if state is MigrationState.COMPLETED:
                assert (begun[name], ended[name], attempts[name]) == (1, 1, 1), name
            elif state is MigrationState.NEW:
                assert (begun[name], ended[name]) == (0, 0), name
            else:
                assert state in cut, (name, state)
                assert ended[name] <= begun[name] <= attempts[name] == 1, name
        order = [state for state in states.values() if state is not MigrationState.NEW]
        assert all(state is MigrationState.COMPLETED for state in order[:-1])
        return unfinished[0] if unfinished else None

    def mend(self, cut: Collection[MigrationState] = (MigrationState.INTERRUPTED,)) -> str | None:
        """After a run that ended somehow: look, run the next command, then mend, and look again.

        :return: the migration that was cut off.
        """
        self.settle()
        left = self.require_told(cut)
        begun, ended, attempts = self.count(BEGIN), self.count(END), self.attempts()
        rest = [name for name, state in self.states().items() if state is not MigrationState.COMPLETED]
        if left is None:
            done = self.project.migrate("direct", wait=0).done
        else:
            documents = self.documents()
            with pytest.raises(MigrationError, match=self.keys[left]):
                self.project.migrate("direct", wait=0)
            assert self.documents() == documents
            done = self.project.migrate("direct", retry=True, wait=0).done
        assert [one.key for one in done] == [self.keys[name] for name in rest]
        again = Counter(rest)
        assert self.count(BEGIN) == begun + again
        assert self.count(END) == ended + again
        assert self.attempts() == attempts + again
        self.require_ended()
        return left

    def require_ended(self) -> None:
        """See that all is recorded as done, and that no attempt is told of as if it still went on."""
        assert set(self.states().values()) == {MigrationState.COMPLETED}
        assert set(self.database[HISTORY].distinct("state")) == {"Completed"}
        last: dict[str, MigrationState | None] = {}
        for entry in self.project.history("direct"):
            assert entry.outcome in ENDED, entry
            assert entry.key not in last or last[entry.key] is not MigrationState.COMPLETED, entry
            last[entry.key] = entry.outcome
        assert last == dict.fromkeys(self.keys.values(), MigrationState.COMPLETED)


@contextmanager
def migration_scenario(folder: Folder, server: int) -> Iterator[MigrationScenario]:
    """A database on the mongod that listens on ``server``, which asks for no password."""
    # What the tests write themselves must not be lost when they kill the server.
    with (
        MongoClient[dict[str, Any]](
            "localhost", server, directConnection=True, w="majority", journal=True
        ) as client,
        Proxy(server) as proxy,
    ):
        direct = f"mongodb://localhost:{server}/?directConnection=true"
        folder.settings(
            dev={"uri": proxy.uri, "db_name": folder.db_name},
            direct={"uri": direct, "db_name": folder.db_name},
        )
        yield MigrationScenario(folder, client[folder.db_name], proxy)
        client.drop_database(folder.db_name)


def records(commands: list[Command]) -> list[tuple[int, int]]:
    """The commands, counted from 1, that record each migration's end: in the journal, then its state."""
    found = []
    inserts = [number for number, command in enumerate(commands, 1) if command.name == "insert"]
    for last in inserts[1::2]:
        numbers = range(last + 1, len(commands) + 1)
        writes = (number for number in numbers if commands[number - 1][::2] == ("aggregate", LEASE))
        found.append((next(writes), next(writes)))
    return found


@contextmanager
def named(what: str) -> Iterator[None]:
    """Adds to an error at which moment it came."""
    try:
        yield
    except BaseException as error:
        error.add_note(what)
        raise


def in_a_while(seconds: float, act: Callable[[], object]) -> None:
    """Call ``act`` after so long, in a thread of its own."""
    threading.Timer(seconds, act).start()
