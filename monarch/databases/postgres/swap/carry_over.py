"""Giving a new database what belongs to the old one and not to its contents: owner, rights, settings."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from monarch.databases.postgres.connection.client import Connection, Cursor, rows_as_dicts
from monarch.databases.postgres.swap.target import Target

_SETTINGS = """
    SELECT pg_get_userbyid(nullif(setrole, 0)) AS role, unnest(setconfig) AS setting
    FROM pg_db_role_setting WHERE setdatabase = %s
"""
_RIGHTS = """
    SELECT privilege_type AS right, is_grantable AS with_option,
           CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END AS grantee
    FROM pg_database, aclexplode(datacl) WHERE oid = %s
"""
_HAS_RIGHTS = "SELECT datacl IS NOT NULL AS found FROM pg_database WHERE oid = %s"
_DEFAULT_TABLESPACE = "pg_default"
_COMMENT = "SELECT shobj_description(%s, 'pg_database') AS comment"


def create_like(connection: Connection, target: Target, name: str) -> None:
    """Create the empty database ``name`` with the encoding, the locale and the tablespace of ``target``."""
    row = target.described
    options: list[tuple[str, str]] = [
        ("ENCODING", target.encoding),
        ("LC_COLLATE", row["datcollate"]),
        ("LC_CTYPE", row["datctype"]),
    ]
    # PostgreSQL 15 has locale providers, 16 rules; 17 calls the locale otherwise.
    provider = row.get("datlocprovider", "c")
    locale = row.get("datlocale", row.get("daticulocale"))
    if provider in ("i", "b") and locale:
        options.append(("LOCALE_PROVIDER", {"i": "icu", "b": "builtin"}[provider]))
        options.append(({"i": "ICU_LOCALE", "b": "BUILTIN_LOCALE"}[provider], locale))
        if row.get("daticurules"):
            options.append(("ICU_RULES", row["daticurules"]))
    given = [sql.SQL("{} {}").format(sql.SQL(key), sql.Literal(value)) for key, value in options]
    # Only superusers may name the default one.
    if target.tablespace != _DEFAULT_TABLESPACE:
        given.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(target.tablespace)))
    connection.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {} {}").format(
            sql.Identifier(name), sql.Identifier(target.owner), sql.SQL(" ").join(given)
        )
    )


def carry_over(connection: Connection, target: Target, name: str) -> None:
    """Give the database ``name`` the rights, the settings, the limit and the comment of ``target``."""
    with connection.transaction():
        cursor = rows_as_dicts(connection)
        new = sql.Identifier(name)
        _carry_rights(cursor, target, new)
        for row in cursor.execute(_SETTINGS, (target.number,)).fetchall():
            _carry_setting(cursor, row["role"], row["setting"], new)
        limit = target.described["datconnlimit"]
        if limit != -1:
            cursor.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(new, sql.Literal(limit)))
        comment = cursor.execute(_COMMENT, (target.number,)).fetchone()
        if comment is not None and comment["comment"] is not None:
            text = sql.Literal(comment["comment"])
            cursor.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(new, text))


def _carry_rights(cursor: Cursor, target: Target, new: sql.Identifier) -> None:
    has_rights = cursor.execute(_HAS_RIGHTS, (target.number,)).fetchone()
    if has_rights is None or not has_rights["found"]:
        return  # those that every new database has
    cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(new))
    for row in cursor.execute(_RIGHTS, (target.number,)).fetchall():
        grantee = sql.SQL("PUBLIC") if row["grantee"] is None else sql.Identifier(row["grantee"])
        option = sql.SQL(
            " WITH GRANT OPTION" if row["with_option"] and row["grantee"] != target.owner else ""
        )
        right: Any = row["right"]  # a word of the server's
        cursor.execute(
            sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(sql.SQL(right), new, grantee, option)
        )


def _carry_setting(cursor: Cursor, role: str | None, setting: str, new: sql.Identifier) -> None:
    name, _, value = setting.partition("=")
    # Set here first, for this transaction: then the server knows how its value is written.
    cursor.execute("SELECT set_config(%s, %s, true)", (name, value))
    who = sql.SQL("DATABASE {}").format(new)
    if role is not None:
        who = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), new)
    parts = sql.SQL(".").join(sql.Identifier(part) for part in name.split("."))
    cursor.execute(sql.SQL("ALTER {} SET {} FROM CURRENT").format(who, parts))
    cursor.execute(sql.SQL("SET LOCAL {} TO DEFAULT").format(parts))
