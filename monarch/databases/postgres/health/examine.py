"""What can be seen of a server, and of one of its databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from monarch.databases.health.judging import judge_clock, judge_holder
from monarch.databases.health.observation import Check, Health, Observation, observe
from monarch.databases.lease import Holder
from monarch.databases.postgres.connection.client import connect, rows_as_dicts
from monarch.databases.postgres.connection.deadline import deadline
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.maintenance import is_swapping, old_name, staging_name
from monarch.databases.postgres.connection.pooler import is_pooled
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.health.rights import find_rights
from monarch.errors import ServerError

# The oldest that monarch is made for.
OLDEST = 13
# Seconds for one question.
_PATIENCE = 5.0
_FACTS = """
    SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS is_standby,
           current_setting('server_version_num')::int / 10000 AS major, clock_timestamp() AS now
"""
_LEFT = """
    SELECT datname AS name FROM pg_database
    WHERE datname = ANY(%s) OR (starts_with(datname, %s) AND datname ~ '_scratch_[0-9a-f]{8}$')
    ORDER BY datname
"""


def examine(
    session: Session, find_holder: Callable[[], Holder | None], is_far: bool, seconds: float
) -> Iterator[Observation]:
    """Yield what is found of the server and the database of ``session``.

    :param is_far: whether the server is on another machine.
    """
    return observe(PostgresExamination(session, find_holder, is_far).checks(), seconds)


class PostgresExamination:
    """The checks of one database. `server` is the first: the others need what it learns."""

    def __init__(self, session: Session, find_holder: Callable[[], Holder | None], is_far: bool) -> None:
        self._session = session
        self._environment = session.environment
        self._find_holder = find_holder
        self._is_far = is_far
        self._facts: dict[str, Any] = {}
        self._ahead = 0.0
        self._is_encrypted = False
        self._is_pooled = False
        self._is_busy = False

    def checks(self) -> tuple[tuple[str, Check], ...]:
        """Return the checks by their names, in order."""
        later: tuple[tuple[str, Check], ...] = (
            ("version", self.version),
            ("pooler", self.pooler),
            ("security", self.security),
            ("clock", lambda: judge_clock(self._ahead)),
            ("rights", lambda: find_rights(self._session)),
            ("lease", self.lease),
            ("leftovers", self.leftovers),
        )
        return (("server", self.server), *((name, self._reading(check)) for name, check in later))

    def server(self) -> Observation:
        """Reach it, by a connection that repairs nothing, as that of the session would."""
        before = datetime.now(UTC)
        try:
            self._read_facts(before)
        except ServerError:
            if not is_swapping(self._environment):
                raise
            name = self._environment.label
            raise ServerError(
                f"The database of {name!r} refuses connections: a copy into it is at its end, or was cut off "
                "there.",
                f"Wait a minute. Then `monarch list_migrations {name}` lets connections in again.",
            ) from None
        standby = ", a standby: it cannot be written to" if self._facts["is_standby"] else ""
        version = str(self._facts["version"])
        return Observation("server", Health.OK, f"PostgreSQL {version}{standby}.", version=version)

    def _read_facts(self, before: datetime) -> None:
        with (
            explained(self._environment),
            connect(self._environment, autocommit=True) as connection,
            deadline(connection, _PATIENCE),
        ):
            began = datetime.now(UTC)
            row = rows_as_dicts(connection).execute(_FACTS).fetchone()
            after = datetime.now(UTC)
            self._is_encrypted = bool(connection.pgconn.ssl_in_use)
            self._is_pooled = is_pooled(connection)
        assert row is not None
        self._facts = row
        self._ahead = (row["now"] - (max(before, began) + (after - began) / 2)).total_seconds()

    def version(self) -> Observation | None:
        """Whether it is one that monarch is made for."""
        if self._facts["major"] >= OLDEST:
            return None
        return Observation(
            "version",
            Health.WARNING,
            f"PostgreSQL {self._facts['version']} is older than {OLDEST}, the oldest for monarch.",
            f"Upgrade the server to {OLDEST} or newer.",
        )

    def pooler(self) -> Observation | None:
        """Whether there is a pooler in between."""
        if not self._is_pooled:
            return None
        return Observation(
            "pooler",
            Health.WARNING,
            "The server is reached through a pooler, which pg_dump and pg_restore cannot use.",
            "For copies and backups, use the address of the server itself, in an environment of its own.",
        )

    def security(self) -> Observation | None:
        """Whether the connection to a far server is encrypted."""
        if not self._is_far:
            return None
        if self._is_encrypted:
            return Observation("security", Health.OK, "TLS.")
        return Observation(
            "security",
            Health.WARNING,
            "The connection is not encrypted.",
            "Set 'sslmode': 'require' or stricter, if the server has TLS; or keep to a network that nobody "
            "else listens to.",
        )

    def lease(self) -> Observation:
        """Who holds it."""
        holder = self._find_holder()
        self._is_busy = holder is not None and not (holder.died or holder.expired)
        return judge_holder(holder, self._environment.label)

    def leftovers(self) -> Observation:
        """What copies and trials that were killed have left."""
        own = self._environment.db_name
        copies = [staging_name(own), old_name(own)]
        found = [row["name"] for row in self._session.query(_LEFT, (copies, f"{own}_scratch_"))]
        if self._is_busy:
            found = [name for name in found if name not in copies]
        if not found:
            return Observation("leftovers", Health.OK, "Nothing was left behind.")
        hints = []
        if set(found) & set(copies):
            hints.append("The next copy or restore into it removes what a copy has left.")
        if set(found) - set(copies):
            hints.append("If no verify_migration runs, drop the scratch databases.")
        listed = ", ".join(found[:3])
        message = f"Left behind by a run that was killed: {listed}."
        return Observation("leftovers", Health.WARNING, message, " ".join(hints))

    def _reading(self, check: Check) -> Check:
        def run() -> Observation | None:
            with (
                explained(self._environment),
                deadline(self._session.open(), _PATIENCE),
                self._session.reading(),
            ):
                return check()

        return run
