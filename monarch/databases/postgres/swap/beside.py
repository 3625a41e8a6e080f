"""A database beside that of an environment, for as long as something is tried in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from monarch.databases.postgres.connection.client import Connection, rows_as_dicts
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.maintenance import connect_for_maintenance, try_lock
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.swap.carry_over import carry_over, create_like
from monarch.databases.postgres.swap.leftovers import drop, find_leftovers
from monarch.databases.postgres.swap.target import read_target
from monarch.errors import AccessDenied, MonarchError

# The characters at the end of a name that no other has.
_RANDOM = 8
_ALIKE = """
    SELECT datname AS name FROM pg_database
    WHERE starts_with(datname, %s) AND length(datname) = %s AND datname ~ '_scratch_[0-9a-f]{8}$'
"""


@contextmanager
def created(session: Session, name: str) -> Iterator[None]:
    """Create the empty database ``name``, like that of ``session``; drop it when the context ends.

    :raises AccessDenied: if the user of ``session`` may not create databases.
    :raises ServerError: if it cannot be created or dropped.
    """
    environment = session.environment
    target = session.transact(read_target)
    if not target.may_create:
        raise AccessDenied(f"User {target.user!r} may not create the database {name!r}.")
    with explained(environment):
        connection = connect_for_maintenance(environment)
    with connection:
        with explained(environment):
            _drop_abandoned(connection, name)
            # Before it is there, so that nobody takes it for one that was abandoned.
            try_lock(connection, _lock_of(name))
            create_like(connection, target, name)
            carry_over(connection, target, name)
        try:
            yield
        except BaseException:
            with suppress(MonarchError):  # the first error is what counts
                _drop(session, name)
            raise
        _drop(session, name)


def _drop_abandoned(connection: Connection, name: str) -> None:
    """Drop what a process that was killed has left of this kind: the locks of its session are gone."""
    begin, length = name[:-_RANDOM], len(name)
    for row in rows_as_dicts(connection).execute(_ALIKE, (begin, length)).fetchall():
        if try_lock(connection, _lock_of(row["name"])):
            # A copy into it may have been cut off, too.
            for one in (*find_leftovers(connection, row["name"]), row["name"]):
                drop(connection, one)


def _lock_of(name: str) -> str:
    # Another one than that of a swap, which a copy into it takes.
    return f"scratch {name}"


def _drop(session: Session, name: str) -> None:
    environment = session.environment
    with explained(environment), connect_for_maintenance(environment) as connection:
        drop(connection, name)
