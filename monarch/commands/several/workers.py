"""Working on several databases at once, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar

from monarch.commands.console.lines import show
from monarch.commands.console.text import printable
from monarch.commands.loudness import levels
from monarch.errors import MonarchError, RunInterrupted, ServerError
from monarch.settings.search import chosen_at
from monarch.system.secrets import MASKS_KEY_VARIABLE
from monarch.system.subprocesses import start_helper

if TYPE_CHECKING:
    from pathlib import Path

    from monarch.databases.several.targets import ChosenDatabase

_MODULE = "monarch.commands.several.worker"
_LOOK_EVERY = 0.2
# In seconds, how long to wait for what was printed: a migration may have closed its standard error.
_PATIENCE = 2.0
# What a process writes to standard output once a signal interrupts it in order, and to standard error after
# each database.
READY = b"null\n"
CAUGHT_UP = "\0"

State = TypeVar("State")


def lost(label: str) -> MonarchError:
    """Return the error of a database that was begun, and of whose end nobody could be told."""
    return MonarchError(
        "It was begun, and its end could not be reported.", f"See: monarch list_migrations {label}"
    )


class Task(ABC, Generic[State]):
    """What is done with each of several databases. No two threads call its methods at once."""

    @abstractmethod
    def order(self) -> dict[str, Any]:
        """Return what a process is told first; see `monarch.commands.several.worker`."""

    @abstractmethod
    def begin(self, target: ChosenDatabase) -> State:
        """Return the state of a database that is begun now."""

    @abstractmethod
    def hear(self, state: State, event: dict[str, Any]) -> bool:
        """Take an event of a process; return whether it is the last one of this database."""

    @abstractmethod
    def fail(self, state: State, error: MonarchError) -> None:
        """Record that a database has failed."""

    @abstractmethod
    def lose(self, state: State) -> None:
        """Keep a database that was begun, of which it cannot be told what becomes of it. Prints nothing."""

    @abstractmethod
    def end(self, state: State) -> bool:
        """Report what became of a database; return whether others may begin."""


def of_project(root: Path) -> dict[str, Any]:
    """Return the part of an order that says which project it is about."""
    return {"root": str(root), "chosen": chosen_at(root)}


class WorkerProcesses(Generic[State]):
    """Processes, each of which works on one of the ``targets`` after the other."""

    def __init__(self, task: Task[State], targets: tuple[ChosenDatabase, ...]) -> None:
        self._task = task
        self._targets = iter(targets)
        self._lock = threading.Lock()
        self._stop = False
        self._workers: list[_Worker] = []
        self._failure: BaseException | None = None

    def run(self, jobs: int) -> None:
        """Work on all of them, ``jobs`` at once.

        :raises RunInterrupted: on Ctrl-C, once each process has recorded what it was doing.
        """
        ended = [threading.Event() for _ in range(jobs)]
        for one in ended:
            threading.Thread(target=self._serve, args=(one,)).start()
        interrupted = False
        while not all(one.is_set() for one in ended):
            try:
                # Not Thread.join: if a signal interrupts it, Python 3.11 takes the thread for ended.
                for one in ended:
                    one.wait(_LOOK_EVERY)
            except KeyboardInterrupt:
                interrupted = True
                self._interrupt()
        if self._failure is not None:
            raise self._failure
        if interrupted:
            raise RunInterrupted("Interrupted.", "What is done is recorded: the same command goes on.")

    def _interrupt(self) -> None:
        """Interrupt what has begun, and begin nothing more."""
        with self._lock:
            self._stop = True
            for worker in self._workers:
                if worker.is_busy:
                    with suppress(OSError):
                        worker.process.send_signal(signal.SIGINT)

    def _next(self) -> ChosenDatabase | None:
        with self._lock:
            return None if self._stop else next(self._targets, None)

    def _serve(self, ended: threading.Event) -> None:
        try:
            self._serve_all()
        except BaseException as error:  # such as output that nobody reads: the others end what they do
            self._stop, self._failure = True, error
        finally:
            ended.set()

    def _serve_all(self) -> None:
        """Give a process one database after the other, until there are no more."""
        target, worker = self._next(), None
        try:
            while target is not None:
                if worker is None and target.error is None:
                    worker = self._start()
                if not self._work_on(target, worker):
                    return
                if worker is not None and worker.has_ended:
                    worker = None
                target = self._next()
        finally:
            if worker is not None:
                worker.close()

    def _start(self) -> _Worker:
        # The key of masks is in the environment of no program; its pipe is for this one alone.
        key = os.environ.get(MASKS_KEY_VARIABLE)
        worker = _Worker({**self._task.order(), "loudness": levels.for_worker(), "masks_key": key})
        self._workers.append(worker)
        return worker

    def _work_on(self, target: ChosenDatabase, worker: _Worker | None) -> bool:
        """Let ``worker`` work on a database; return False if nothing more is to be begun."""
        label, error = target.environment.label, target.error
        if worker is not None and error is None and not worker.await_ready():
            error = worker.failed(label)
        with self._lock:
            if self._stop:  # interrupted meanwhile
                return False
            state = self._task.begin(target)
            if worker is not None and error is None:
                worker.begin(label)
        if worker is not None and error is None:
            try:
                error = self._hear_all(worker, label, state)
            except BaseException:  # nobody hears of it any more, but it must not be taken for not begun
                with self._lock:
                    self._task.lose(state)
                raise
        with self._lock:
            if error is not None:
                self._task.fail(state, error)
            if not self._task.end(state):
                self._stop = True
        return True

    def _hear_all(self, worker: _Worker, label: str, state: State) -> MonarchError | None:
        """Take the events of a database; return the error if its process has ended meanwhile."""
        for event in worker.events():
            with self._lock:
                if self._task.hear(state, event):
                    worker.is_busy = False
                    worker.catch_up()
                    return None
        return worker.failed(label)


class _Worker:
    """One process, and the database that it works on."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._label = ""
        self._is_ready = False
        self._caught_up = threading.Event()
        # Whether it works on a database, so that a signal interrupts that.
        self.is_busy = False
        self.has_ended = False
        self.process = start_helper(_MODULE, self._print)
        self._send(order)

    def await_ready(self) -> bool:
        """Wait until it can be interrupted; return False if it has ended before."""
        if not self._is_ready:
            self._is_ready = _open(self.process.stdout).readline() == READY
        return self._is_ready

    def begin(self, label: str) -> None:
        """Let it work on the database ``label``."""
        self._label, self.is_busy = label, True
        self._caught_up.clear()
        self._send(label)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events of its database; they end early if the process does."""
        for line in _open(self.process.stdout):
            with suppress(ValueError):  # it was cut off
                event = json.loads(line)
                yield event

    def catch_up(self) -> None:
        """Wait until all is printed that was printed for its database, but not long."""
        self._caught_up.wait(_PATIENCE)

    def close(self) -> None:
        """Let the process end what it does, and itself."""
        with suppress(OSError):
            _open(self.process.stdin).close()
        for _ in _open(self.process.stdout):  # or it would wait for a reader
            pass
        self.process.wait()

    def failed(self, label: str) -> ServerError:
        """Return the error of a process that has ended."""
        self.has_ended, self.is_busy = True, False
        code = self.process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ServerError(
            f"The process that worked on {label!r} has ended ({how}).",
            f"See what is left: monarch list_migrations {label}",
        )

    def _send(self, value: Any) -> None:
        with suppress(OSError):  # it has ended, which its output shows
            stdin = _open(self.process.stdin)
            stdin.write(json.dumps(value).encode() + b"\n")
            stdin.flush()

    def _print(self, line: str) -> None:
        if line.endswith(CAUGHT_UP):
            line = line.removesuffix(CAUGHT_UP)
            self._caught_up.set()
        label = printable(self._label)
        if line and not levels.relay(label, line):
            show(f"[{label}] {line}", err=True)


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
