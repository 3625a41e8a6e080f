"""Runs of ``migrate`` in processes that tests stop and kill, and checks of the history afterwards.

Every migration here records its beginning and its end in one collection, whose natural order is the order in
which the server received them.
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

# Modules that a run imports on demand: the process that forks the runs imports these once.
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

# Far longer than anything here takes, even on a busy machine.
SECONDS = 90
BEGIN, END = "begin", "end"
# A migration does {work} between its two records.
BODY = """
import time
ran = self.database.ran
ran.insert_one({{'by': {name!r}, 'what': 'begin'}})
{work}
ran.insert_one({{'by': {name!r}, 'what': 'end'}})
"""
ENDED = (MigrationState.COMPLETED, MigrationState.FAILED, MigrationState.INTERRUPTED)


def gate(parties: int) -> Barrier:
    """A barrier at which this number of processes wait for one another."""
    return _PROCESSES.Barrier(parties)


@dataclass(frozen=True)
class Machine:
    """The simulated machine of a run: another ``host``, and a clock that is ``hours`` ahead.

    ``lease`` is how long its lease lasts, in seconds; related intervals are scaled with it. ``once`` is how
    long it waits for one answer of the server before it asks again, in seconds.
    """

    host: str | None = None
    hours: float = 0.0
    lease: float | None = None
    once: float | None = None

    def apply(self) -> None:
        """Make this process run on the simulated machine."""
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
    """Set the clocks of this process, including that of the lease, ``ahead`` seconds ahead."""
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
    """A monarch command in ``folder`` that begins when all processes are at the ``gate``.

    The process is dead at the end of the ``with`` block.
    """

    def __init__(
        self, folder: Folder, *arguments: str, machine: Machine = Machine(), gate: Barrier | None = None
    ) -> None:
        self._output = folder.path / f"output_{ObjectId()}"
        super().__init__(_run, str(folder.path), arguments, str(self._output), machine, gate)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Send SIGSTOP, which has the effect of Ctrl-Z or a closed lid."""
        self.kill(signal.SIGSTOP)
        self._stopped.set()

    def await_stop(self) -> None:
        assert self._stopped.wait(SECONDS)

    def end(self) -> int:
        """Wait for the end of the process; return its exit code, or minus the signal that ended it."""
        self._process.join(SECONDS)
        message = f"The process did not end within {SECONDS} seconds: {self.output}"
        assert self._process.exitcode is not None, message
        return self._process.exitcode

    @property
    def out(self) -> str:
        return Path(f"{self._output}.out").read_text()

    @property
    def err(self) -> str:
        return Path(f"{self._output}.err").read_text()

    @property
    def output(self) -> str:
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


def _run(root: str, arguments: tuple[str, ...], output: str, machine: Machine, gate: Barrier | None) -> None:
    os.chdir(root)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{output}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    # Tests that are started in the background may inherit an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    machine.apply()
    if gate is not None:
        gate.wait(SECONDS)
    cli.main(list(arguments), prog_name="monarch")


@dataclass
class MigrationScenario:
    """A database and its migrations; ``keys`` has the migrations' keys by name.

    The environment ``dev`` connects through the ``proxy``; ``direct`` and the tests connect directly.
    """

    folder: Folder
    database: Database[dict[str, Any]]
    proxy: Proxy
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        return Project(self.folder.path)

    def add_many(self, count: int, work: str = "pass") -> None:
        """Write ``count`` migrations."""
        for number in range(count):
            self.add(f"m{number:02}", work)

    def add(self, name: str, work: str) -> str:
        """Write or replace the migration called ``name``; return its key."""
        stamp = self.keys[name][1:13] if name in self.keys else None
        self.keys[name] = self.folder.migration(name, BODY.format(name=name, work=work), stamp)
        return self.keys[name]

    def run(self, *arguments: str, machine: Machine = Machine(), gate: Barrier | None = None) -> Run:
        return Run(self.folder, *arguments, machine=machine, gate=gate)

    def stop(self, run: Run, number: int, *, moment: Moment = "before", only: str | None = None) -> None:
        """Stop ``run``, after it is entered, at the command ``number``, which still reaches the server."""
        self.proxy.at(number, run.stop, moment=moment, then="go on", only=only)

    def commands(self, machine: Machine = Machine()) -> list[Command]:
        """Run all migrations, then undo that; return the commands that the run sent to the server.

        They are those of a database that has the collections: a run asks more of an empty one.
        """
        if self.database[LEASE].find_one() is None:
            with self.run("migrate", "dev", machine=machine) as run:
                assert run.end() == 0, run.output
            self.reset()
        before = len(self.proxy.commands)
        with self.run("migrate", "dev", machine=machine) as run:
            assert run.end() == 0, run.output
        self.require_once()
        self.reset()
        return self.proxy.commands[before:]

    def reset(self) -> None:
        """Delete the history and all records. The lease stays, because its fence must not decrease."""
        for name in (HISTORY, JOURNAL, "ran"):
            self.database[name].delete_many({})

    def expire_lease(self) -> None:
        """Make the lease expire now, by the server's clock."""
        self.database[LEASE].update_many({}, [{"$set": {"expires_at": "$$NOW"}}])

    def await_the_end_of_the_lease(self) -> None:
        """Wait until another run may take the lease, by the server's clock."""
        self.await_document(LEASE, {"$expr": {"$lt": ["$expires_at", "$$NOW"]}})

    def await_document(self, collection: str, query: dict[str, Any]) -> None:
        deadline = time.monotonic() + SECONDS
        while self.database[collection].find_one(query) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def await_idle_server(self) -> None:
        """Wait until the server has finished the commands of a run that has ended."""
        # The connection on which a driver monitors the server closes late, and writes nothing.
        of_monarch = {"appName": "monarch", "command.hello": {"$exists": False}}
        operations: list[dict[str, Any]] = [
            {"$currentOp": {"allUsers": True, "idleConnections": True}},
            {"$match": of_monarch},
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
        """The records of the migrations, in the order in which the server received them."""
        return [(row["by"], row["what"]) for row in self.database.ran.find(sort=[("$natural", 1)])]

    def raw_history(self) -> list[bytes]:
        """The documents of the history and the journal, as bytes."""
        options = CodecOptions(RawBSONDocument)
        raw: Database[Any] = Database(self.database.client, self.database.name, options)
        return [row.raw for name in (HISTORY, JOURNAL) for row in raw[name].find(sort=[("_id", 1)])]

    def attempts(self) -> Counter[str]:
        """The number of attempts in the journal, by name of the migration."""
        names = {key: name for name, key in self.keys.items()}
        return Counter(names[row["key"]] for row in self.database[JOURNAL].find())

    def count(self, what: str) -> Counter[str]:
        """The number of records ``what``, by name of the migration."""
        return Counter(by for by, recorded in self.documents() if recorded == what)

    def states(self) -> dict[str, MigrationState]:
        """The states that `list_migrations` reports, by name."""
        states = {status.key: status.state for status in self.project.list_migrations("direct")}
        return {name: states[key] for name, key in self.keys.items()}

    def require_once(self) -> None:
        """Check that each migration has run once, in order, one at a time, and is recorded as completed."""
        assert self.documents() == [(name, what) for name in self.keys for what in (BEGIN, END)]
        assert set(self.states().values()) == {MigrationState.COMPLETED}
        assert [
            (row["key"], row["outcome"])
            for row in self.database[JOURNAL].find(sort=[("started_at", 1), ("_id", 1)])
        ] == [(key, "Completed") for key in self.keys.values()]

    def require_consistent(self, unfinished_states: Collection[MigrationState]) -> str | None:
        """Check that the reported states agree with the records.

        :return: the migration in one of the ``unfinished_states``, if there is one.
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
                assert state in unfinished_states, (name, state)
                assert ended[name] <= begun[name] <= attempts[name] == 1, name
        order = [state for state in states.values() if state is not MigrationState.NEW]
        assert all(state is MigrationState.COMPLETED for state in order[:-1])
        return unfinished[0] if unfinished else None

    def recover(
        self, unfinished_states: Collection[MigrationState] = (MigrationState.INTERRUPTED,)
    ) -> str | None:
        """After a failed run: check the history, run the rest of the migrations, and check it again.

        :return: the migration that was unfinished, if there was one.
        """
        self.await_idle_server()
        unfinished = self.require_consistent(unfinished_states)
        begun, ended, attempts = self.count(BEGIN), self.count(END), self.attempts()
        rest = [name for name, state in self.states().items() if state is not MigrationState.COMPLETED]
        if unfinished is None:
            done = self.project.migrate("direct", wait=0).done
        else:
            documents = self.documents()
            with pytest.raises(MigrationError, match=self.keys[unfinished]):
                self.project.migrate("direct", wait=0)
            assert self.documents() == documents
            done = self.project.migrate("direct", retry=True, wait=0).done
        assert [one.key for one in done] == [self.keys[name] for name in rest]
        again = Counter(rest)
        assert self.count(BEGIN) == begun + again
        assert self.count(END) == ended + again
        assert self.attempts() == attempts + again
        self.require_ended()
        return unfinished

    def require_ended(self) -> None:
        """Check that all migrations are recorded as completed, and that no attempt is reported as open."""
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
    """A database on the mongod at the port ``server``, which requires no password."""
    # The tests kill the server, and must not lose what they write themselves.
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


def completion_writes(commands: list[Command]) -> list[tuple[int, int]]:
    """The numbers of the commands that record each migration as completed: in the journal, then its state."""
    found = []
    inserts = [number for number, command in enumerate(commands, 1) if command.name == "insert"]
    for last in inserts[1::2]:
        numbers = range(last + 1, len(commands) + 1)
        writes = (number for number in numbers if commands[number - 1][::2] == ("aggregate", LEASE))
        found.append((next(writes), next(writes)))
    return found


@contextmanager
def annotate_errors(note: str) -> Iterator[None]:
    """Add ``note`` to errors."""
    try:
        yield
    except BaseException as error:
        error.add_note(note)
        raise


def call_later(seconds: float, act: Callable[[], object]) -> None:
    """Call ``act`` after ``seconds``, in another thread."""
    threading.Timer(seconds, act).start()
