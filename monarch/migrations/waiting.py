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
from monarch.progress import Progress
from monarch.system.ci import UNKNOWN_ORIGIN, Origin

# How many seconds a server may be unavailable that has answered before: during an election, for example.
_PATIENCE = 30.0
# Seconds between two attempts, varied so that runs that wait do not ask all at the same moment.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0


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
    limit = min((seconds for seconds in (wait, deadline) if seconds is not None), default=None)
    end = None if limit is None else time.monotonic() + limit
    pause, reported, answered = _FIRST_PAUSE, None, 0.0
    with ExitStack() as stack:
        while True:
            try:
                lease = stack.enter_context(database.lease(purpose, origin))
                break
            except LeaseHeld as held:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    if limit == wait:
                        raise
                    raise DeadlineReached(f"The deadline was reached: {held.message}", held.hint) from held
                if held.run != reported:
                    progress.waiting(held.message.removesuffix("."))
                    reported = held.run
                answered = time.monotonic()
            except ServerError:
                left = None if end is None else end - time.monotonic()
                is_away = time.monotonic() - answered > _PATIENCE
                if reported is None or is_away or (left is not None and left <= 0):
                    raise
            nap = pause * random.uniform(0.5, 1.5)
            time.sleep(nap if left is None else min(nap, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        recovered = database.recover(lease) if isinstance(database, TransferDatabase) else None
        if recovered is not None:
            progress.recovered(recovered)
        yield lease


def whole_history(database: Database, environment: str, progress: Progress) -> Mapping[str, Record]:
    """Read the history; if a copy into the database was cut off, finish that first."""
    try:
        return database.history.read()
    except IncompleteDatabase:
        with hold(database, f"finishing what was cut off on {environment}", progress):
            return database.history.read()
