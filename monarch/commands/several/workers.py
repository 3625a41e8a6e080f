"""Migrating several databases at once, in processes of their own."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from monarch.commands.console.lines import show
from monarch.commands.console.text import printable
from monarch.commands.reports.story import Finished, Story
from monarch.errors import RunInterrupted, ServerError
from monarch.system.subprocesses import start_helper

if TYPE_CHECKING:
    from pathlib import Path

    from monarch.commands.several.fleet import Order
    from monarch.databases.several.targets import ChosenDatabase

_MODULE = "monarch.commands.several.worker"
_LOOK_EVERY = 0.2

Hear = Callable[[Story, dict[str, Any]], None]


class MigrationWorkers:
    """At most ``jobs`` processes, each of which migrates one of the ``targets`` after the other.

    ``hear`` is called with each event of a database but the last, and ``ended`` with its story at its end;
    never two at once.
    """

    def __init__(
        self,
        root: Path,
        order: Order,
        targets: tuple[ChosenDatabase, ...],
        hear: Hear,
        ended: Callable[[Story], None],
    ) -> None:
        self._root = root
        self._order = order
        self._targets = iter(targets)
        self._hear = hear
        self._ended = ended
        self._lock = threading.Lock()
        self._stop = False
        self._processes: list[Any] = []

    def run(self, jobs: int, *, keep_going: bool) -> None:
        """Migrate all of them; begin no more after one has failed, unless ``keep_going``.

        :raises RunInterrupted: on Ctrl-C, once each process has recorded what it was doing.
        """
        threads = [threading.Thread(target=self._serve, args=(keep_going,)) for _ in range(jobs)]
        interrupted = False
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            try:
                for thread in threads:
                    thread.join(_LOOK_EVERY)
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

    def _serve(self, keep_going: bool) -> None:
        """Give a process one database after the other, until there are no more."""
        target, worker = self._next(), None
        while target is not None:
            story = Story(target.environment.label)
            if target.error is not None:
                story.fail(target.error)
            else:
                worker = worker or self._start()
                self._migrate(worker, story)
            with self._lock:
                self._ended(story)
                if story.error is not None and (not keep_going or story.exit_code == 130):
                    self._stop = True
            if worker is not None and worker.has_ended:
                worker = None
            target = self._next()
        if worker is not None:
            worker.close()

    def _start(self) -> _Worker:
        left = None if self._order.end is None else self._order.end - time.monotonic()
        worker = _Worker({"root": str(self._root), "how": dict(self._order.how), "left": left})
        self._processes.append(worker.process)
        return worker

    def _migrate(self, worker: _Worker, story: Story) -> None:
        for event in worker.migrate(story.environment):
            record(story, event)
            if event["event"] == "summary":
                return
            with self._lock:
                self._hear(story, event)
        worker.has_ended = True
        how = worker.end()
        story.fail(
            ServerError(
                f"The process that migrated {story.environment!r} has ended ({how}).",
                f"See what is left: monarch list_migrations {story.environment}",
            )
        )


class _Worker:
    """One process, and the database that it works on."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._label = ""
        self.has_ended = False
        self.process = start_helper([sys.executable, "-m", _MODULE], self._print)
        self._send(order)

    def migrate(self, label: str) -> Iterator[dict[str, Any]]:
        """Yield the events of migrating the database ``label``; they end early if the process does."""
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
        show(f"[{printable(self._label)}] {line}", err=True)


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def record(story: Story, event: dict[str, Any]) -> None:
    """Record in ``story`` what an ``event`` of its run says."""
    match event["event"]:
        case "planned":
            story.planned = tuple(event["migrations"])
        case "started":
            story.running = event["migration"]
        case "backed_up":
            story.backup = event["name"]
        case "finished":
            story.running = None
            names = ("migration", "seconds", "documents", "echoed")
            story.done.append(Finished(**{name: event[name] for name in names}))
        case "summary":
            story.error, story.hint = event["error"], event["hint"]
            story.exit_code = event["exit_code"]
            story.only_in_database = tuple(event["only_in_database"])
            if event["file"] is not None:
                story.place = event["file"], event["line"]
