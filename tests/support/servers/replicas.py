"""A replica set of three members, and what can happen to its primary.

Runs of migrations on it are processes of their own that stop where a test wants to act.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError

from monarch import Project
from monarch.databases.mongo.connection import retry as patience
from monarch.databases.mongo.history.attempt import MongoOpenAttempt
from monarch.errors import MonarchError
from monarch.progress import Progress
from tests.support.runs.copy_kills import KillableProcess
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Mongod

# An election takes twelve seconds otherwise, and that a server is frozen is noticed after fifteen.
SETTINGS = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200, "heartbeatTimeoutSecs": 1}
OPTIONS = "replicaSet=rs&heartbeatFrequencyMS=500&connectTimeoutMS=1000"
# Far more than anything takes here, also on a machine that is busy.
SECONDS = 90

Document = dict[str, Any]


class ReplicaSet:
    """Three members, of which two are enough."""

    def __init__(self, members: tuple[Mongod, ...]) -> None:
        self._members = members
        self.uri = f"mongodb://{','.join(self.hosts)}/?{OPTIONS}"
        self.client: MongoClient[Document] = MongoClient(self.uri)

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(f"127.0.0.1:{member.port}" for member in self._members)

    def initiate(self) -> None:
        members = [{"_id": number, "host": host} for number, host in enumerate(self.hosts)]
        with MongoClient[Document](self.hosts[0], directConnection=True) as client:
            config = {"_id": "rs", "members": members, "settings": SETTINGS}
            client.admin.command("replSetInitiate", config)
        self.settle()

    def step_down(self) -> None:
        """The primary gives its place to another one, as for maintenance."""
        step_down(self.client)

    def kill(self) -> None:
        """The primary dies. Comes back with `settle`."""
        self._primary().kill()

    def freeze(self) -> None:
        """The primary stands still until the others have elected another one."""
        frozen = self._primary()
        frozen.process.send_signal(signal.SIGSTOP)
        # Not for longer: the third one reads from it, and so nothing would be acknowledged by most.
        others = [member for member in self._members if member is not frozen]
        await_true(lambda: any(is_primary(member) for member in others))
        frozen.process.send_signal(signal.SIGCONT)

    def leave_without_primary(self) -> None:
        """Two of three die, so that the third one may not be primary any more. `settle` brings them back."""
        primary = self._primary()
        for member in self._members:
            if member is not primary:
                member.kill()
        await_true(lambda: not is_primary(primary))

    def lose_what_is_written_now(self, write: Callable[[], None]) -> None:
        """Call ``write`` while the others are dead and the primary does not know it yet; then it dies too.

        The others go on without what it had.
        """
        primary = self._primary()
        others = [member for member in self._members if member is not primary]
        for member in others:
            member.kill()
        write()
        await_true(lambda: not is_primary(primary))
        primary.kill()
        for member in others:
            member.start()
        await_true(lambda: any(is_primary(member) for member in others))
        self.settle()

    def settle(self) -> None:
        """Start who was killed, and wait until there is one primary, and the others have what it has."""
        for member in self._members:
            if member.process.poll() is not None:
                member.start()
        await_true(self._is_whole)

    def _primary(self) -> Mongod:
        self.client.admin.command("ping")
        address = self.client.primary
        return next(member for member in self._members if address and member.port == address[1])

    def _is_whole(self) -> bool:
        try:
            members = self.client.admin.command("replSetGetStatus")["members"]
        except PyMongoError:
            return False
        states = sorted(member["stateStr"] for member in members)
        have = {str(member["optime"]) for member in members if "optime" in member}
        return states == ["PRIMARY", "SECONDARY", "SECONDARY"] and len(have) == 1


# What can happen to a primary.
DISTURBANCES: dict[str, Callable[[ReplicaSet], None]] = {
    "stepped down": ReplicaSet.step_down,
    "killed": ReplicaSet.kill,
    "frozen": ReplicaSet.freeze,
}


@contextmanager
def run_replicas() -> Iterator[ReplicaSet]:
    with ExitStack() as stack:
        members = tuple(stack.enter_context(Mongod("--replSet", "rs")) for _ in range(3))
        replicas = ReplicaSet(members)
        with replicas.client:
            replicas.initiate()
            yield replicas


def step_down(client: MongoClient[Document]) -> None:
    """Let the primary be another one. Who was it a moment ago is not elected again at once."""
    client.admin.command("replSetStepDown", 2, secondaryCatchUpPeriodSecs=2)


def is_primary(member: Mongod) -> bool:
    try:
        with MongoClient[Document](
            "127.0.0.1", member.port, directConnection=True, serverSelectionTimeoutMS=1000
        ) as client:
            return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False


def await_true(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass(frozen=True)
class Ended:
    """How a run ended: what it has done, or what it said."""

    code: int
    done: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""


class Run:
    """``migrate dev`` of the project in ``root``, in a process of its own.

    It stops at the ``stops``, which are "started" and "finished" of a migration, "waiting" for another run,
    "committing", "committed" and "failing"; and where a migration says `meet`. With ``patience`` it asks for
    so many seconds a server that is away.
    """

    def __init__(
        self, root: Path, *, retry: bool = False, stops: Collection[str] = (), patience: float = 30
    ) -> None:
        self._pipe, theirs = Pipe()
        self._process = KillableProcess(_migrate, str(root), theirs, retry, frozenset(stops), patience)
        self._process.start()
        self._there = True
        # Or its end would not be heard.
        theirs.close()

    def reaches(self, where: str) -> None:
        """Wait until it stops there."""
        assert self.next() == where

    def go_on(self) -> None:
        self._pipe.send(None)

    def kill(self) -> None:
        """SIGKILL."""
        self._there = False
        self._process.kill()
        assert self._process.end() == -signal.SIGKILL

    def abandon(self) -> None:
        """Leave nothing of it, wherever it is: a test that fails does not wait for its end."""
        if self._there:
            self._there = False
            with suppress(ProcessLookupError):  # it has ended by itself, and nobody has asked how
                self._process.kill()
            self._process.end()

    def end(self) -> Ended:
        """Wait until it has ended by itself."""
        ended = self.next()
        assert isinstance(ended, Ended), ended
        self._there = False
        assert self._process.end() == 0
        return ended

    def next(self) -> object:
        """Where it stops next, or how it ends."""
        assert self._pipe.poll(SECONDS)
        return self._pipe.recv()


_pipe: Connection | None = None


def meet(where: str) -> None:
    """In a run: tell the test that it has come so far, and wait until that lets it go on."""
    assert _pipe is not None
    _pipe.send(where)
    _pipe.recv()


class _Stopping(Progress):
    def __init__(self, stops: Collection[str]) -> None:
        self._stops = stops

    def started(self, key: str) -> None:
        self._stop("started")

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        self._stop("finished")

    def waiting(self, why: str) -> None:
        self._stop("waiting")

    def _stop(self, where: str) -> None:
        if where in self._stops:
            meet(where)


def _migrate(root: str, pipe: Connection, retry: bool, stops: Collection[str], patient: float) -> None:
    global _pipe
    _pipe = pipe
    patience.PATIENCE, patience._ONCE = patient, min(patient, patience._ONCE)
    _stop_around_the_commit(stops)
    try:
        migrated = Project(root).migrate("dev", retry=retry, progress=_Stopping(stops))
    except MonarchError as error:
        sys.stderr.write(f"{error.message}\n")  # pytest shows it where a test fails
        pipe.send(Ended(error.exit_code, (), error.message, error.hint or ""))
    else:
        pipe.send(Ended(0, tuple(done.key for done in migrated.done)))


def _stop_around_the_commit(stops: Collection[str]) -> None:
    """The only moments that neither a migration nor what is told of it can be at."""
    commit, fail = ClientSession.commit_transaction, MongoOpenAttempt.fail

    def committing(session: ClientSession) -> None:
        if "committing" in stops:
            meet("committing")
        commit(session)
        if "committed" in stops:
            meet("committed")

    def failing(attempt: MongoOpenAttempt, *arguments: Any) -> None:
        if "failing" in stops:
            meet("failing")
        fail(attempt, *arguments)

    ClientSession.commit_transaction = committing  # type: ignore[method-assign,assignment]
    MongoOpenAttempt.fail = failing  # type: ignore[method-assign,assignment]


START = (
    "from bson import ObjectId\n"
    "from tests.support.servers.replicas import meet, step_down\n"
    "attempt = ObjectId()\n"
)


def want_transaction(folder: Folder, key: str) -> None:
    """Let a migration that is written say ``transaction = True``."""
    path = folder.path / "migrations" / f"{key}.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    def run", "    transaction = True\n\n    def run"), encoding="utf-8")


class ReplicaProject:
    """A project whose ``dev`` is a database of its own on the replica set."""

    def __init__(self, folder: Folder, replicas: ReplicaSet, options: str = "") -> None:
        self.folder = folder
        self.replicas = replicas
        self._runs: list[Run] = []
        self.database: Database[Document] = replicas.client[folder.db_name]
        folder.settings(dev={"uri": f"{replicas.uri}{options}", "db_name": folder.db_name})

    def migration(self, name: str, body: str, *, transaction: bool = False) -> str:
        """Write a migration; its key. ``body`` may say `meet`, and ``attempt``, which is new each time."""
        key = self.folder.migration(name, START + body)
        if transaction:
            want_transaction(self.folder, key)
        return key

    def run(self, *, retry: bool = False, stops: Collection[str] = (), patience: float = 30) -> Run:
        run = Run(self.folder.path, retry=retry, stops=stops, patience=patience)
        self._runs.append(run)
        return run

    def clear(self) -> None:
        """Leave nothing of it on the replica set, which is whole afterwards."""
        for run in self._runs:
            run.abandon()
        self.replicas.settle()
        # A transaction that was left open lasts for a minute, and nothing is dropped meanwhile.
        self.replicas.client.admin.command("killAllSessions", [])
        self.replicas.client.drop_database(self.database)

    def states(self) -> dict[str, str]:
        """What the history says as it stands there, by key."""
        return {row["key"]: row["state"] for row in self.database.mongo_migration_history.find()}

    def told(self) -> dict[str, str]:
        """The state of each migration as monarch tells it."""
        statuses = Project(self.folder.path).list_migrations("dev")
        return {status.key: status.state.value for status in statuses}

    def outcomes(self, key: str) -> list[str | None]:
        """How the attempts at a migration have ended, by the journal, the first one first."""
        entries = self.database.mongo_migration_journal.find({"key": key}, sort=[("started_at", 1)])
        return [entry.get("outcome") for entry in entries]

    def parts(self) -> dict[ObjectId, list[int]]:
        """What the attempts have written, each in its order."""
        parts: dict[ObjectId, list[int]] = {}
        for document in self.database.ran.find(sort=[("attempt", 1), ("n", 1)]):
            parts.setdefault(document["attempt"], []).append(document["n"])
        return parts
