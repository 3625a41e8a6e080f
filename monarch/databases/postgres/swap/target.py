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
           pg_has_role(datdba, 'USAGE') AND pg_has_role(datdba, CASE WHEN
               current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END) AS owns,
           rolsuper OR rolbypassrls AS sees_all, to_jsonb(d) AS described
    FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace JOIN pg_roles ON rolname = current_user
    WHERE datname = current_database()
"""
# What another database of the same name would not have.
_REFUSALS = (
    (
        "SELECT slot_name AS name FROM pg_replication_slots WHERE database = %(name)s ORDER BY 1",
        "the replication slot {!r} belongs to it",
    ),
    (
        "SELECT gid AS name FROM pg_prepared_xacts WHERE database = %(name)s",
        "it has the prepared transaction {!r}",
    ),
    ("SELECT pubname AS name FROM pg_publication ORDER BY 1", "it has the publication {!r}"),
    # PostgreSQL does not drop a template.
    (
        "SELECT datname AS name FROM pg_database WHERE datname = %(name)s AND datistemplate",
        "{!r} is a template of other databases",
    ),
)
# Those that name tables, or schemas, whose tables are then dropped. The schema public is not.
_PUBLICATIONS = (
    "SELECT pubname AS name FROM pg_publication WHERE oid IN (SELECT prpubid FROM pg_publication_rel"
)
_OF_SCHEMAS = """
    UNION SELECT pnpubid FROM pg_publication_namespace JOIN pg_namespace n ON n.oid = pnnspid
    WHERE nspname <> 'public'
"""
_NAMES_SCHEMAS = 15
_SUBSCRIPTIONS = "SELECT subname AS name FROM pg_subscription WHERE subdbid = %s"
# Settings of other roles in it, and those that only a superuser may change.
_SETTINGS = """
    SELECT split_part(given, '=', 1) AS name FROM pg_db_role_setting CROSS JOIN unnest(setconfig) AS given
    LEFT JOIN pg_settings s ON s.name = split_part(given, '=', 1)
    WHERE setdatabase = %(number)s AND (
        setrole <> 0 AND pg_get_userbyid(setrole) <> %(user)s
        OR s.context IN ('superuser', 'superuser-backend')
    )
"""


@dataclass(frozen=True)
class Target:
    """The database called ``name``, and the rights of the connected ``user`` on it.

    ``refusal`` is why this user may not replace it by another database, in words; None if nothing forbids it.
    ``described`` is its row in pg_database. With ``sees_all`` no row-level
    security holds for this user. Replaced in place, the ``publications`` lose what they name.
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
    sees_all: bool
    described: dict[str, Any]
    publications: tuple[str, ...]
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
    return Target(**row, publications=_publications(cursor, row["major"]), refusal=refusal)


def _publications(cursor: Cursor, major: int) -> tuple[str, ...]:
    more = _OF_SCHEMAS if major >= _NAMES_SCHEMAS else ""
    found = cursor.execute("".join((_PUBLICATIONS, more, ") ORDER BY 1")).encode()).fetchall()
    return tuple(row["name"] for row in found)


def _refusal(cursor: Cursor, row: dict[str, Any]) -> str | None:
    for query, why in _REFUSALS:
        found = cursor.execute(query.encode(), {"name": row["name"], "number": row["number"]}).fetchone()
        if found is not None:
            return why.format(found["name"])
    if row["is_superuser"]:  # only superusers may read all of them
        found = cursor.execute(_SUBSCRIPTIONS, (row["number"],)).fetchone()
        return None if found is None else f"it has the subscription {found['name']!r}"
    found = cursor.execute(_SETTINGS, {"user": row["user"], "number": row["number"]}).fetchone()
    return None if found is None else f"only a superuser may carry over its setting {found['name']!r}"
