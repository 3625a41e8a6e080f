"""The lease: one row of the database. It ends with its process, because a file is used by one machine."""

from __future__ import annotations

import json
import secrets
import sqlite3
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from monarch.databases.lease import Holder, Lease, LeaseHeld
from monarch.errors import LeaseLost, ServerError
from monarch.system import process_identity
from monarch.system.ci import Origin
from tests.support.databases.toy.connection import create_tables, explained, tables, writing


class ToyLease(Lease, AbstractContextManager["ToyLease"]):
    """The lease of one run on the environment ``name``, held while its context lasts."""

    def __init__(self, name: str, connection: sqlite3.Connection, purpose: str, origin: Origin) -> None:
        self._name = name
        self._connection = connection
        self._run = secrets.token_hex(8)
        self._fence = 0
        self._holder = {**process_identity.identity(), **vars(origin), "purpose": purpose}

    def __enter__(self) -> ToyLease:
        create_tables(self._connection)
        with writing(self._connection):
            held = find_holder(self._connection)
            if held is not None and held.alive:
                since = datetime.now(UTC) - timedelta(seconds=held.seconds)
                raise LeaseHeld(
                    f"{self._name!r} is held by {held.who} ({held.purpose}, since {since:%H:%M} UTC).",
                    f"Wait until that run is done. To end it now: monarch unlock {self._name}",
                    str(held.run),
                )
            taken = json.dumps({**self._holder, "taken_at": datetime.now(UTC).isoformat()})
            self._connection.execute(
                "UPDATE monarch_lease SET fence = fence + 1, run = ?, holder = ?", (self._run, taken)
            )
            (self._fence,) = self._connection.execute("SELECT fence FROM monarch_lease").fetchone()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ServerError):  # it ends with this process anyway
            free(self._connection, self._run)

    @property
    def run(self) -> str:
        return self._run

    @property
    def fence(self) -> int:
        return self._fence

    def renew(self) -> None:
        self.check()

    def check(self) -> None:
        self.check_in(self._connection)

    def check_in(self, connection: sqlite3.Connection) -> None:
        """Check the lease through ``connection``: in a transaction, it cannot change until the end."""
        with explained():
            if connection.execute("SELECT run FROM monarch_lease").fetchone() != (self._run,):
                raise LeaseLost(f"This run has lost the lease of {self._name!r}, and stopped.")


def find_holder(connection: sqlite3.Connection) -> Holder | None:
    """Return the holder of the lease, even if its process has ended; None if there is none."""
    if "monarch_lease" not in tables(connection):
        return None
    with explained():
        fence, run, text = connection.execute("SELECT fence, run, holder FROM monarch_lease").fetchone()
    if run is None:
        return None
    recorded: dict[str, Any] = json.loads(text)
    alive = process_identity.is_alive(recorded)
    seconds = (datetime.now(UTC) - datetime.fromisoformat(recorded["taken_at"])).total_seconds()
    who, purpose = process_identity.describe(recorded), recorded["purpose"]
    job, link = recorded["job"], recorded["link"]
    return Holder(run, fence, who, purpose, job, link, seconds, expired=not alive, alive=alive)


def free(connection: sqlite3.Connection, run: str | None) -> bool:
    """Free the lease of ``run``; return False if ``run`` does not hold it."""
    with explained():
        freed = connection.execute("UPDATE monarch_lease SET run = NULL, holder = NULL WHERE run = ?", (run,))
        return freed.rowcount == 1
