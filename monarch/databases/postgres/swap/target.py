"""The database whose contents are replaced, as its server describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monarch.databases.postgres.connection.client import Cursor

_TARGET = """
    SELECT d.oid::bigint AS number, datname AS name, pg_get_userbyid(datdba) AS owner,
           pg_encoding_to_char(encoding) AS encoding, datcollate AS locale, spcname AS tablespace,
           current_setting('server_version_num')::int / 10000 AS major, current_user AS user,
           rolsuper AS is_superuser, rolcreatedb OR rolsuper AS may_create,
           pg_has_role(datdba, 'MEMBER') AS owns, to_jsonb(d) AS described
    FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace JOIN pg_roles ON rolname = current_user
    WHERE datname = current_database()
"""
_SLOTS = "SELECT slot_name AS name FROM pg_replication_slots WHERE database = %s ORDER BY 1"
_SUBSCRIPTIONS = "SELECT count(*) AS number FROM pg_subscription WHERE subdbid = %s"
_ROLES_WITH_SETTINGS = """
    SELECT DISTINCT pg_get_userbyid(setrole) AS name FROM pg_db_role_setting
    WHERE setdatabase = %s AND setrole <> 0 ORDER BY 1
"""


@dataclass(frozen=True)
class Target:
    """The database called ``name``, and the rights of the connected ``user`` on it.

    ``refusal`` is why this user may not replace it by another database, in words; None if nothing forbids it.
    ``described`` is its row in pg_database.
    """

    number: int
    name: str
    owner: str
    user: str
    encoding: str
    locale: str
    tablespace: str
    major: int
    is_superuser: bool
    may_create: bool
    described: dict[str, Any]
    refusal: str | None


def read_target(cursor: Cursor) -> Target:
    """Return the database of ``cursor``."""
    row = cursor.execute(_TARGET.encode()).fetchone()
    assert row is not None
    refusal = _refusal(cursor, row)
    owns = row.pop("owns")
    if not row["may_create"]:
        refusal = f"user {row['user']!r} may not create databases"
    elif not owns:
        refusal = f"it belongs to {row['owner']!r}, and user {row['user']!r} may not rename it"
    return Target(**row, refusal=refusal)


def _refusal(cursor: Cursor, row: dict[str, Any]) -> str | None:
    slots = [one["name"] for one in cursor.execute(_SLOTS, (row["name"],)).fetchall()]
    if slots:
        return f"the replication slot {slots[0]!r} belongs to it"
    if row["is_superuser"]:  # only superusers may read all of them
        subscriptions = cursor.execute(_SUBSCRIPTIONS, (row["number"],)).fetchone()
        if subscriptions is not None and subscriptions["number"]:
            return "it has a subscription"
        return None
    others = [one["name"] for one in cursor.execute(_ROLES_WITH_SETTINGS, (row["number"],)).fetchall()]
    others = [name for name in others if name != row["user"]]
    return f"only a superuser may carry over the settings of role {others[0]!r} in it" if others else None
