"""How much each table of a database holds, as far as there is time to ask."""

from __future__ import annotations

from monarch.databases.base import Holdings
from monarch.databases.postgres.catalog.tables import Relation, list_relations, read_relations
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.connection.session import Session
from monarch.errors import MonarchError

# The share of the time for counting small tables; without it there are the server's estimates.
_COUNTING = 0.6
# Milliseconds for which it waits for a table that somebody has locked.
_LOCKED = 1_000


def read_holdings(session: Session, seconds: float) -> Holdings:
    """Return what the database holds, without the schema of monarch.

    :raises ServerError: if its tables cannot be listed in that time.
    """

    def count(cursor: Cursor) -> tuple[Relation, ...]:
        _limit(cursor, seconds * _COUNTING)
        return read_relations(cursor)

    def estimate(cursor: Cursor) -> tuple[Relation, ...]:
        _limit(cursor, seconds * (1 - _COUNTING))
        return list_relations(cursor, waiting=False)

    with session.limited(seconds):
        try:
            found = session.transact(count)
        except MonarchError:  # a lock, no right to read one of them, or no time
            found = session.transact(estimate)
    known = [one for one in found if one.rows >= 0]
    uncounted = tuple(one.table.title for one in found if one.rows < 0)
    return Holdings.of(tuple(one.summary() for one in known), uncounted)


def _limit(cursor: Cursor, seconds: float) -> None:
    milliseconds = max(1, int(seconds * 1000))
    cursor.execute(
        "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
        (str(milliseconds), str(min(milliseconds, _LOCKED))),
    )
