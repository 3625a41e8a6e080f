"""The lease in PostgreSQL: the only row of ``monarch_history.lease``, in the environment's own database.

It is taken in one transaction that locks the row, and renewed and given back by single statements. Times are
the server's. The row stays when nobody holds the lease, so that the fencing number never falls.

Whoever writes the history locks the row, FOR SHARE, and looks for its own fencing number in it, in the
transaction that writes. So another run takes the lease before that transaction, which then writes nothing, or
after it. An advisory lock would not do: it ends with its session, and the work of that session may go on.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

from monarch.databases.lease import SECONDS, Holder, Lease, LeaseHeld
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.connection.encoding import storable_json
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.schema import create_schema, has_schema
from monarch.errors import LeaseLost, MonarchError
from monarch.system import process_identity as owner
from monarch.system.ci import UNKNOWN_ORIGIN, Origin

# Seconds in which a server must answer at the end of a run.
ANSWER = 5.0
_RENEW_EVERY = SECONDS / 3
# Less than `SECONDS`: a statement sent at the last moment must arrive before another run may begin.
_TRUSTED = SECONDS / 2
_FOUND = """
    SELECT fence, lineage, run, holder, taken_at, expires_at <= clock_timestamp() AS expired,
           extract(epoch FROM clock_timestamp() - taken_at)::float AS age
    FROM monarch_history.lease JOIN monarch_history.heartbeat USING (id)
"""
_EXTEND = "UPDATE monarch_history.heartbeat SET expires_at = clock_timestamp() + make_interval(secs => %s)"
_FREE = """
    UPDATE monarch_history.lease SET run = NULL, holder = NULL
    WHERE fence = %s AND run IS NOT DISTINCT FROM %s
"""


class PostgresLease(Lease, AbstractContextManager["PostgresLease"]):
    """One run's hold on the lease of a database: taken when its context begins, given back at its end.

    ``purpose`` and ``origin`` tell others what the run does and where it comes from. A holder that died on
    this machine is replaced at once, one on another machine when its time is over.

    :raises LeaseHeld: on entering, if another run holds it, naming that run.
    """

    def __init__(self, session: Session, purpose: str, origin: Origin = UNKNOWN_ORIGIN) -> None:
        self._session = session
        self._run = str(uuid.uuid4())
        self._holder = {**owner.identity(), "run": self._run, "purpose": purpose}
        self._holder |= {name: value for name, value in vars(origin).items() if value is not None}
        self._fence = 0
        self._renewed = 0.0
        self._given_back = threading.Event()

    def __enter__(self) -> PostgresLease:
        asked = _now()
        found = self._session.transact(self._take, patiently=True)
        if found["run"] != self._run:
            name = self._session.environment.label
            hint = (
                "Wait until that run is done. If its process is gone, the lease ends by itself in "
                f"{SECONDS} seconds. To end it now: monarch unlock {name}"
            )
            if owner.is_local(_holder(found)):  # and alive, because it would have been taken
                hint = (
                    "Wait until that run is done: its process still runs here. If it hangs, end that process."
                )
            raise LeaseHeld(f"{name!r} is held by {_describe(found)}.", hint, str(found["run"]))
        self._fence, self.lineage, self._renewed = found["fence"], str(found["lineage"]), asked
        threading.Thread(target=self._renew_until_given_back, name="monarch lease", daemon=True).start()
        return self

    @property
    def environment(self) -> str:
        """The name of the environment that it holds."""
        return self._session.environment.label

    def __exit__(self, *_: object) -> None:
        """Give the lease back. If the server cannot be reached, it ends when its time is over."""
        self._given_back.set()
        with self._session.limited(ANSWER):
            for _try in range(2):  # the connection may have been cut off
                with suppress(MonarchError):
                    self._session.transact(lambda cursor: cursor.execute(_FREE, (self._fence, self._run)))
                    return

    @property
    def run(self) -> str:
        return self._run

    @property
    def fence(self) -> int:
        return self._fence

    def check(self) -> None:
        if _now() - self._renewed > _TRUSTED:
            self.renew()

    def renew(self) -> None:
        while True:
            asked = _now()
            self._session.transact(self._extend, patiently=True)
            # A process that was suspended while it waited for the answer has an old one.
            if _now() - asked <= _TRUSTED:
                self._renewed = asked
                return

    def require(self, cursor: Cursor) -> None:
        """Check in the transaction of ``cursor`` that this run holds the lease, until it ends.

        :raises LeaseLost: if another run has it.
        """
        mine = "SELECT 1 FROM monarch_history.lease WHERE fence = %s AND run = %s FOR SHARE"
        if cursor.execute(mine, (self._fence, self._run)).fetchone() is None:
            raise LeaseLost(
                f"This run has lost the lease of {self._session.environment.label!r}, and stopped.",
                "It was suspended or cut off for longer than the lease lasts, and another run took over.",
            )

    def _extend(self, cursor: Cursor) -> None:
        self.require(cursor)
        cursor.execute(_EXTEND, (SECONDS,))

    def _take(self, cursor: Cursor) -> dict[str, Any]:
        """Take it if it is free, its time is over, or its holder has died here; return what it is then."""
        if not has_schema(cursor):
            create_schema(cursor)
        cursor.execute("SELECT 1 FROM monarch_history.lease FOR UPDATE")
        # A statement of its own: it sees what was committed while the one before waited for the lock.
        found = _one(cursor.execute(_FOUND).fetchone())
        dead = owner.is_local(_holder(found)) and not owner.is_alive(_holder(found))
        if found["run"] is not None and not found["expired"] and not dead:
            return found
        cursor.execute(
            "UPDATE monarch_history.lease "
            "SET fence = fence + 1, run = %s, holder = %s, taken_at = clock_timestamp()",
            (self._run, storable_json(cursor, self._holder)),
        )
        cursor.execute(_EXTEND, (SECONDS,))
        return _one(cursor.execute(_FOUND).fetchone())

    def _renew_until_given_back(self) -> None:
        """Renew it regularly. `check` raises the errors that this ignores."""
        while not self._given_back.wait(_RENEW_EVERY):
            with suppress(MonarchError):
                self.renew()


def find_holder(session: Session) -> Holder | None:
    """Return the holder of the lease, also if its time is over; None if there is none. Writes nothing."""
    found = session.transact(lambda c: c.execute(_FOUND).fetchone() if has_schema(c) else None)
    if found is None or found["holder"] is None:
        return None
    recorded = _holder(found)
    return Holder(
        run=found["run"],
        fence=found["fence"],
        who=owner.describe(recorded),
        purpose=str(recorded.get("purpose", "unknown")),
        job=recorded.get("job"),
        link=recorded.get("link"),
        seconds=found["age"] or 0.0,
        expired=found["expired"],
        alive=owner.is_alive(recorded),
        died=owner.has_died(recorded),
    )


def release(session: Session, holder: Holder) -> bool:
    """Take the lease away from ``holder``; return False if it no longer held it."""
    return session.transact(lambda cursor: cursor.execute(_FREE, (holder.fence, holder.run)).rowcount == 1)


def _now() -> float:
    """Read a clock that runs while the process is suspended and (on Linux) the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _one(row: dict[str, Any] | None) -> dict[str, Any]:
    assert row is not None  # `create_schema` has inserted it
    return row


def _holder(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the recorded fields of the holder; none if something else was written there."""
    recorded = found.get("holder")
    return recorded if isinstance(recorded, Mapping) else {}


def _describe(found: Mapping[str, Any]) -> str:
    holder, since = _holder(found), found.get("taken_at")
    when = f", since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if isinstance(since, datetime) else ""
    return f"{owner.describe(holder)} ({holder.get('purpose', 'unknown')}{when})"
