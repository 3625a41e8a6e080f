"""Waiting for the lease of a database."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from monarch.databases.base import Database
from monarch.databases.history import IncompleteDatabase, Record
from monarch.databases.lease import Lease, LeaseHeld
from monarch.databases.transfer import TransferDatabase
from monarch.errors import DeadlineReached, ServerError
from monarch.progress import Progress, Question, ask_nothing
from monarch.system.ci import UNKNOWN_ORIGIN, Origin

# How many seconds a server may be unavailable that has answered before: during an election, for example.
_PATIENCE = 30.0
# Seconds between two attempts, varied so that runs that wait do not ask all at the same moment.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0


class _WaitingRun:
    """A run that waits for the lease: its time limits, its pauses, and what it has reported."""

    def __init__(self, progress: Progress, wait: float | None, deadline: float | None) -> None:
        self._progress = progress
        limit = min((seconds for seconds in (wait, deadline) if seconds is not None), default=None)
        self._limit_is_wait = limit == wait
        self._end = None if limit is None else time.monotonic() + limit
        self._pause = _FIRST_PAUSE
        self._reported: str | None = None
        self._answered = 0.0

    def wait_for_holder(self, held: LeaseHeld) -> None:
        """Report the holder, if it is another one than before, and pause.

        :raises LeaseHeld: if the time is over.
        :raises DeadlineReached: if it is, and the deadline came first.
        """
        left = self._left()
        if left is not None and left <= 0:
            if self._limit_is_wait:
                raise held
            raise DeadlineReached(f"The deadline was reached: {held.message}", held.hint) from held
        if held.run != self._reported:
            self._progress.waiting(held.message.removesuffix("."))
            self._reported = held.run
        self._answered = time.monotonic()
        self._sleep(left)

    def wait_for_server(self, error: ServerError) -> None:
        """Pause if the server has answered before.

        :raises ServerError: ``error``, if it has not, or is unavailable for too long.
        """
        left = self._left()
        is_away = time.monotonic() - self._answered > _PATIENCE
        if self._reported is None or is_away or (left is not None and left <= 0):
            raise error
        self._sleep(left)

    def _left(self) -> float | None:
        return None if self._end is None else self._end - time.monotonic()

    def _sleep(self, left: float | None) -> None:
        nap = self._pause * random.uniform(0.5, 1.5)
        time.sleep(nap if left is None else min(nap, left))
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)


class DeadlineClock:
    """A deadline of some ``seconds``, or none, that a person's time to read and answer moves back.

    ``end`` is the deadline by the clock of `time.monotonic`.
    """

    def __init__(self, seconds: float | None) -> None:
        self.end = None if seconds is None else time.monotonic() + seconds

    def stopped(self, question: Question) -> Question:
        """Return ``question`` as a function that stops the clock while it is asked."""

        def ask() -> None:
            began = time.monotonic()
            question()
            if self.end is not None:
                self.end += time.monotonic() - began

        return ask

    def left(self) -> float | None:
        """Return the seconds until the deadline; negative if it has passed."""
        return None if self.end is None else self.end - time.monotonic()


@contextmanager
def hold(
    database: Database,
    purpose: str,
    progress: Progress,
    *,
    wait: float | None = 0,
    deadline: float | None = None,
    origin: Origin = UNKNOWN_ORIGIN,
) -> Iterator[Lease]:
    """Hold the lease of ``database``, and finish a copy into it that was cut off.

    Waits up to ``wait`` seconds, or without limit if it is None, but not longer than ``deadline`` seconds;
    reports the run that it waits for.

    :raises LeaseHeld: naming the holder, if it is still held after ``wait``.
    :raises DeadlineReached: if it is still held after ``deadline``.
    """
    waiting = _WaitingRun(progress, wait, deadline)
    with ExitStack() as stack:
        while True:
            try:
                lease = stack.enter_context(database.lease(purpose, origin))
                break
            except LeaseHeld as held:
                waiting.wait_for_holder(held)
            except ServerError as error:
                waiting.wait_for_server(error)
        recovered = database.recover(lease) if isinstance(database, TransferDatabase) else None
        if recovered is not None:
            progress.recovered(recovered)
        yield lease


def whole_history(
    database: Database, environment: str, progress: Progress, confirm: Question = ask_nothing
) -> Mapping[str, Record]:
    """Read the history; if a copy into the database was cut off, ``confirm``, and finish that first."""
    try:
        return database.history.read()
    except IncompleteDatabase:
        confirm()
        with hold(database, f"finishing what was cut off on {environment}", progress):
            return database.history.read()
