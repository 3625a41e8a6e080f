"""Which commands the rights of a user are enough for."""

from __future__ import annotations

from collections.abc import Iterable

from monarch.databases.health.judging import BACKUP, COPY_FROM, COPY_TO, DROP, MIGRATE, READ, judge_rights
from monarch.databases.health.observation import Observation
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, LEASE
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.connection.privileges import actions_on, read_privileges
from monarch.databases.mongo.swap.rights import RENAME, WRITES, may_rename

_WHOLE = ("find", "listCollections", "listIndexes")
_CHANGES = ("createIndex", "find", "insert", "remove", "update")


def find_rights(endpoint: DatabaseHandle) -> Observation:
    """Return what the user of ``endpoint`` may do with its database.

    :raises PyMongoError: if the server does not say.
    """
    privileges = read_privileges(endpoint.database.client)
    database = endpoint.environment.db_name
    if privileges is None:  # nobody has to say who it is
        return judge_rights(dict.fromkeys((READ, MIGRATE, COPY_FROM, BACKUP, COPY_TO, DROP)))
    every = actions_on(privileges, database, "")
    own = [every | actions_on(privileges, database, name) for name in (HISTORY, JOURNAL, LEASE)]
    may_record = all({"find", "insert", "update"} <= one for one in own)
    whole = _lacks(_WHOLE, every)
    replaced = _lacks(WRITES, every) or (None if may_rename(every, every) else f"lacks {RENAME}")
    return judge_rights(
        {
            READ: None if "find" in own[0] else "lacks find",
            MIGRATE: _lacks(_CHANGES, every)
            if may_record
            else _lacks(_CHANGES, every) or "may not write its history",
            COPY_FROM: whole,
            BACKUP: whole,
            COPY_TO: replaced,
            DROP: _lacks(("dropDatabase",), every),
        }
    )


def _lacks(needed: Iterable[str], actions: frozenset[str]) -> str | None:
    missing = sorted(set(needed) - actions)
    return f"lacks {', '.join(missing)}" if missing else None
