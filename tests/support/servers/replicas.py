"""A replica set of three members, and failures of its primary.

Runs of migrations are separate processes that pause where a test has to act.
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

# With the defaults an election takes twelve seconds, and a frozen server is detected after fifteen.
SETTINGS = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200, "heartbeatTimeoutSecs": 1}
OPTIONS = "replicaSet=rs&heartbeatFrequencyMS=500&connectTimeoutMS=1000"
# Far longer than anything here takes, even on a busy machine.
SECONDS = 90

Document = dict[str, Any]


class ReplicaSet:
    """Three members, two of which are a majority."""

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
        """Step the primary down, as for maintenance."""
        step_down(self.client)

    def kill(self) -> None:
        """Kill the primary. `settle` starts it again."""
        self._primary().kill()

    def freeze(self) -> None:
        """Stop the process of the primary until the others have elected another one."""
        frozen = self._primary()
        frozen.process.send_signal(signal.SIGSTOP)
        # Not for longer: the third member replicates from it, so no write would get a majority.
        others = [member for member in self._members if member is not frozen]
        await_true(lambda: any(is_primary(member) for member in others))
        frozen.process.send_signal(signal.SIGCONT)

    def leave_without_primary(self) -> None:
        """Kill both secondaries, so that the primary has to step down. `settle` starts them again."""
        primary = self._primary()
        for member in self._members:
            if member is not primary:
                member.kill()
        await_true(lambda: not is_primary(primary))

    def lose_writes(self, write: Callable[[], None]) -> None:
        """Call ``write`` when the secondaries are dead and the primary has not noticed; then kill it as well.

        The secondaries are started again without those writes.
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
        """Start killed members, and wait for one primary and secondaries that are up to date."""
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


# Failures of a primary.
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
    """Step the primary down; it cannot be elected again at once."""
    client.admin.command("replSetStepDown", 2, secondaryCatchUpPeriodSecs=2)


def is_primary(member: Mongod) -> bool:
    try:
        with MongoClient[Document](
            "127.0.0.1", member.port, directConnection=True, serverSelectionTimeoutMS=1000
        ) as client:
            return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass(frozen=True)
class RunResult:
    """The exit code of a run, the keys of the completed migrations, or its error."""

    code: int
    done: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""


class Run:
    """``migrate dev`` of the project in ``root``, in a separate process.

    It pauses at the ``stops``: "started" and "finished" of a migration, "waiting" for another run,
    "committing", "committed" and "failing"; and where a migration calls `pause_at`. ``patience`` is how long
    it retries an unreachable server, in seconds.
    """

    def __init__(
        self, root: Path, *, retry: bool = False, stops: Collection[str] = (), patience: float = 30
    ) -> None:
        self._pipe, theirs = Pipe()
        self._process = KillableProcess(_migrate, str(root), theirs, retry, frozenset(stops), patience)
        self._process.start()
        self._running = True
        # Otherwise this process would not notice the end of the other one.
        theirs.close()

    def await_pause(self, where: str) -> None:
        """Wait until the run pauses at ``where``."""
        assert self.next() == where

    def go_on(self) -> None:
        self._pipe.send(None)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self._running = False
        self._process.kill()
        assert self._process.end() == -signal.SIGKILL

    def abandon(self) -> None:
        """Kill the run if a failed test has not waited for its end."""
        if self._running:
            self._running = False
            with suppress(ProcessLookupError):  # it has ended already
                self._process.kill()
            self._process.end()

    def end(self, *, again_at: str | None = None) -> RunResult:
        """Wait for the end of the run. It may pause at ``again_at`` again, where it goes on at once."""
        while (result := self.next()) == again_at and again_at is not None:
            self.go_on()
        assert isinstance(result, RunResult), result
        self._running = False
        assert self._process.end() == 0
        return result

    def next(self) -> object:
        """Where the run pauses next, or its result."""
        assert self._pipe.poll(SECONDS)
        return self._pipe.recv()


_pipe: Connection | None = None


def pause_at(where: str) -> None:
    """In a run: report to the test that it has reached ``where``, and wait for `Run.go_on`."""
    assert _pipe is not None
    _pipe.send(where)
    _pipe.recv()


class _PausingProgress(Progress):
    def __init__(self, stops: Collection[str]) -> None:
        self._stops = stops

    def started(self, key: str) -> None:
        self._pause("started")

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        self._pause("finished")

    def waiting(self, why: str) -> None:
        self._pause("waiting")

    def _pause(self, where: str) -> None:
        if where in self._stops:
            pause_at(where)


def _migrate(root: str, pipe: Connection, retry: bool, stops: Collection[str], patient: float) -> None:
    global _pipe
    _pipe = pipe
    patience.PATIENCE, patience._ONCE = patient, min(patient, patience._ONCE)
    _pause_around_commits(stops)
    try:
        migrated = Project(root).migrate("dev", retry=retry, progress=_PausingProgress(stops))
    except MonarchError as error:
        sys.stderr.write(f"{error.message}\n")  # pytest shows it where a test fails
        pipe.send(RunResult(error.exit_code, (), error.message, error.hint or ""))
    else:
        pipe.send(RunResult(0, tuple(done.key for done in migrated.done)))


def _pause_around_commits(stops: Collection[str]) -> None:
    """Pause where neither a migration nor a `Progress` is called."""
    commit, fail = ClientSession.commit_transaction, MongoOpenAttempt.fail

    def committing(session: ClientSession) -> None:
        if "committing" in stops:
            pause_at("committing")
        commit(session)
        if "committed" in stops:
            pause_at("committed")

    def failing(attempt: MongoOpenAttempt, *arguments: Any) -> None:
        if "failing" in stops:
            pause_at("failing")
        fail(attempt, *arguments)

    ClientSession.commit_transaction = committing  # type: ignore[method-assign,assignment]
    MongoOpenAttempt.fail = failing  # type: ignore[method-assign,assignment]


START = (
    "from bson import ObjectId\n"
    "from tests.support.servers.replicas import pause_at, step_down\n"
    "attempt = ObjectId()\n"
)


def use_transaction(folder: Folder, key: str) -> None:
    """Set ``transaction = True`` in an existing migration."""
    path = folder.path / "migrations" / f"{key}.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    def run", "    transaction = True\n\n    def run"), encoding="utf-8")


class ReplicaProject:
    """A project whose ``dev`` is a separate database on the replica set."""

    def __init__(self, folder: Folder, replicas: ReplicaSet, options: str = "") -> None:
        self.folder = folder
        self.replicas = replicas
        self._runs: list[Run] = []
        self.database: Database[Document] = replicas.client[folder.db_name]
        folder.settings(dev={"uri": f"{replicas.uri}{options}", "db_name": folder.db_name})

    def migration(self, name: str, body: str, *, transaction: bool = False) -> str:
        """Write a migration and return its key. ``body`` may use `pause_at`, and ``attempt``, a new id."""
        key = self.folder.migration(name, START + body)
        if transaction:
            use_transaction(self.folder, key)
        return key

    def run(self, *, retry: bool = False, stops: Collection[str] = (), patience: float = 30) -> Run:
        run = Run(self.folder.path, retry=retry, stops=stops, patience=patience)
        self._runs.append(run)
        return run

    def clear(self) -> None:
        """Kill the runs, repair the replica set and drop the database."""
        for run in self._runs:
            run.abandon()
        self.replicas.settle()
        # An abandoned transaction stays open for a minute, and would block the drop.
        self.replicas.client.admin.command("killAllSessions", [])
        self.replicas.client.drop_database(self.database)

    def states(self) -> dict[str, str]:
        """The states in the history, by key."""
        return {row["key"]: row["state"] for row in self.database.mongo_migration_history.find()}

    def reported_states(self) -> dict[str, str]:
        """The states that monarch reports, by key."""
        statuses = Project(self.folder.path).list_migrations("dev")
        return {status.key: status.state.value for status in statuses}

    def outcomes(self, key: str) -> list[str | None]:
        """The outcomes of the attempts at a migration in the journal, oldest first."""
        entries = self.database.mongo_migration_journal.find({"key": key}, sort=[("started_at", 1)])
        return [entry.get("outcome") for entry in entries]

    def parts(self) -> dict[ObjectId, list[int]]:
        """The numbers that each attempt has written, in their order."""
        parts: dict[ObjectId, list[int]] = {}
        for document in self.database.ran.find(sort=[("attempt", 1), ("n", 1)]):
            parts.setdefault(document["attempt"], []).append(document["n"])
        return parts
