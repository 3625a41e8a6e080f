"""Waiting until nobody else is at work on a database."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from monarch.databases.base import Database
from monarch.databases.history import IncompleteDatabase, Record
from monarch.databases.lease import Lease, LeaseHeld
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.system.ci import NOWHERE, Origin

# So many seconds a server may be away that has answered before: it is elected anew, say.
_PATIENCE = 30.0
# Between two questions; not all of many that wait ask at the same moment.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0


@contextmanager
def hold(
    database: Database,
    purpose: str,
    progress: Progress,
    *,
    wait: float | None = 0,
    origin: Origin = NOWHERE,
) -> Iterator[Lease]:
    """Hold the lease of ``database``, with whatever a run that was cut off has left there put in order.

    Waits ``wait`` seconds for it, or with None as long as it takes, and tells for whom.

    :raises LeaseHeld: naming the holder, if it does not get it in time.
    """
    with ExitStack() as stack:
        lease = _take(stack, database, purpose, origin, progress, wait)
        mended = database.mend(lease)
        if mended is not None:
            progress.mended(mended)
        yield lease


def _take(
    stack: ExitStack, database: Database, purpose: str, origin: Origin, progress: Progress, wait: float | None
) -> Lease:
    deadline = None if wait is None else time.monotonic() + wait
    pause, told, answered = _FIRST_PAUSE, None, 0.0
    while True:
        try:
            return stack.enter_context(database.lease(purpose, origin))
        except LeaseHeld as held:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise
            if held.run != told:
                progress.waiting(held.message.removesuffix("."))
                told = held.run
            answered = time.monotonic()
        except ServerError:
            left = None if deadline is None else deadline - time.monotonic()
            if told is None or time.monotonic() - answered > _PATIENCE or (left is not None and left <= 0):
                raise
        nap = pause * random.uniform(0.5, 1.5)
        time.sleep(nap if left is None else min(nap, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def whole_history(database: Database, environment: str, progress: Progress) -> Mapping[str, Record]:
    """The history, once a copy into the database that was cut off has been finished."""
    try:
        return database.history.read()
    except IncompleteDatabase:
        with hold(database, f"finishing what was cut off on {environment}", progress):
            return database.history.read()
