"""A database beside that of an environment, for as long as something is tried in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.maintenance import connect_for_maintenance
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.swap.carry_over import carry_over, create_like
from monarch.databases.postgres.swap.leftovers import drop
from monarch.databases.postgres.swap.target import read_target
from monarch.errors import AccessDenied, MonarchError


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
    with explained(environment), connect_for_maintenance(environment) as connection:
        create_like(connection, target, name)
        carry_over(connection, target, name)
    try:
        yield
    except BaseException:
        with suppress(MonarchError):  # the first error is what counts
            _drop(session, name)
        raise
    _drop(session, name)


def _drop(session: Session, name: str) -> None:
    environment = session.environment
    with explained(environment), connect_for_maintenance(environment) as connection:
        drop(connection, name)
