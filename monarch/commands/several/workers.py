"""Working on several databases at once, in processes of their own."""

from __future__ import annotations

import json
import signal
import sys
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
from monarch.system.subprocesses import start_helper

if TYPE_CHECKING:
    from pathlib import Path

    from monarch.databases.several.targets import ChosenDatabase

_MODULE = "monarch.commands.several.worker"
_LOOK_EVERY = 0.2

State = TypeVar("State")


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
        self._processes: list[Any] = []

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
        if interrupted:
            raise RunInterrupted("Interrupted.", "What is done is recorded: the same command goes on.")

    def _interrupt(self) -> None:
        self._stop = True
        for process in list(self._processes):
            with suppress(OSError):
                process.send_signal(signal.SIGINT)

    def _next(self) -> ChosenDatabase | None:
        with self._lock:
            return None if self._stop else next(self._targets, None)

    def _serve(self, ended: threading.Event) -> None:
        try:
            self._serve_all()
        finally:
            ended.set()

    def _serve_all(self) -> None:
        """Give a process one database after the other, until there are no more."""
        target, worker = self._next(), None
        while target is not None:
            with self._lock:
                state = self._task.begin(target)
            error = target.error
            if error is None:
                worker = worker or self._start()
                error = self._work(worker, target.environment.label, state)
            with self._lock:
                if error is not None:
                    self._task.fail(state, error)
                if not self._task.end(state):
                    self._stop = True
            if worker is not None and worker.has_ended:
                worker = None
            target = self._next()
        if worker is not None:
            worker.close()

    def _start(self) -> _Worker:
        worker = _Worker({**self._task.order(), "loudness": levels.for_worker()})
        self._processes.append(worker.process)
        return worker

    def _work(self, worker: _Worker, label: str, state: State) -> MonarchError | None:
        """Let ``worker`` work on a database; return the error if it has ended meanwhile."""
        for event in worker.events_of(label):
            with self._lock:
                if self._task.hear(state, event):
                    return None
        worker.has_ended = True
        return ServerError(
            f"The process that worked on {label!r} has ended ({worker.end()}).",
            f"See what is left: monarch list_migrations {label}",
        )


class _Worker:
    """One process, and the database that it works on."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._label = ""
        self.has_ended = False
        self.process = start_helper([sys.executable, "-m", _MODULE], self._print)
        self._send(order)

    def events_of(self, label: str) -> Iterator[dict[str, Any]]:
        """Yield the events of the database ``label``; they end early if the process does."""
        self._label = label
        self._send(label)
        for line in _open(self.process.stdout):
            with suppress(ValueError):  # it was cut off
                event = json.loads(line)
                yield event

    def close(self) -> None:
        """Let the process end, which has nothing more to do."""
        with suppress(OSError):
            _open(self.process.stdin).close()
        self.process.wait()

    def end(self) -> str:
        """Return how the process has ended."""
        code = self.process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _send(self, value: Any) -> None:
        with suppress(OSError):  # it has ended, which its output shows
            stdin = _open(self.process.stdin)
            stdin.write(json.dumps(value).encode() + b"\n")
            stdin.flush()

    def _print(self, line: str) -> None:
        label = printable(self._label)
        if not levels.relay(label, line):
            show(f"[{label}] {line}", err=True)


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
