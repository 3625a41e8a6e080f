"""What a server lacks to hold the contents of a source, found before anything begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from monarch.databases.postgres.connection.client import Connection, Cursor, rows_as_dicts
from monarch.databases.postgres.sources.base import NO_ENCODING, Needs
from monarch.databases.postgres.swap.target import Target
from monarch.errors import UsageError

_AVAILABLE = """
    SELECT name, bool_or(NOT superuser OR trusted) AS for_all FROM pg_available_extension_versions
    GROUP BY name
"""
_COLLATIONS = "SELECT collname AS name FROM pg_collation"
_INSTALLED = "SELECT extname AS name FROM pg_extension"
_ROLES = """
    SELECT rolname AS name, pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int < 160000
        THEN 'MEMBER' ELSE 'SET' END) AS is_ours FROM pg_roles
"""
_TABLESPACES = "SELECT spcname AS name FROM pg_tablespace"
_MOST_NAMED = 5


@dataclass(frozen=True)
class Adaptation:
    """How to write into a server that lacks something: ``arguments`` of pg_restore, ``notes`` for people.

    ``untrusted`` are extensions which only some users may create; the catalog does not say who. With
    ``checks_texts`` the texts may not be valid in its encoding: COPY does not check those without one.
    """

    arguments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    untrusted: tuple[str, ...] = ()
    checks_texts: bool = False


def adapt(cursor: Cursor, target: Target, needs: Needs, source: str, name: str) -> Adaptation:
    """Compare what the contents of ``source`` need with what the server of the environment ``name`` has.

    :raises UsageError: if they cannot be written there.
    """
    if needs.major > target.major:
        raise UsageError(
            f"{source} needs PostgreSQL {needs.major}, and {name!r} has {target.major}.",
            f"Use a server of version {needs.major} or newer.",
        )
    _require_encoding(target, needs, name)
    untrusted = _find_untrusted(cursor, target, needs, name)
    _require_rights(target, needs, source, name)
    missing = sorted(set(needs.collations) - _names(cursor, _COLLATIONS))
    if missing:
        raise UsageError(
            f"The server of {name!r} lacks {_listed('the collation', missing)}.",
            "Install that locale on the server, and run pg_import_system_collations() in its databases.",
        )
    arguments, notes = _roles(cursor, target, needs, name)
    lacking = sorted(set(needs.tablespaces) - _names(cursor, _TABLESPACES))
    if lacking:
        arguments.append("--no-tablespaces")
        notes.append(
            f"The server of {name!r} lacks {_listed('the tablespace', lacking)}: its default is used."
        )
    if needs.locale not in (None, target.locale):
        notes.append(f"{name!r} sorts texts by {target.locale}, and {source} by {needs.locale}.")
    checks_texts = needs.encoding == NO_ENCODING != target.encoding
    return Adaptation(tuple(arguments), tuple(notes), untrusted, checks_texts)


def _require_encoding(target: Target, needs: Needs, name: str) -> None:
    if needs.encoding in (None, target.encoding) or target.encoding in ("UTF8", "SQL_ASCII"):
        return
    raise UsageError(
        f"{name!r} has the encoding {target.encoding}, which lacks characters of {needs.encoding}.",
        "Use a database with the encoding UTF8.",
    )


def require_comparable(target: Target, needs: Needs, source: str, name: str) -> None:
    """Check that the texts of ``source`` are the same bytes in the environment ``name``, as hashes need it.

    :raises UsageError: if the server converts them.
    """
    if needs.encoding in (None, NO_ENCODING, target.encoding) or target.encoding == NO_ENCODING:
        return
    raise UsageError(
        f"{source} has the encoding {needs.encoding}, and {name!r} has {target.encoding}: "
        "hashes of the same texts differ.",
        "Leave out --compare-contents: rows are counted and definitions compared without it, too.",
    )


def _require_rights(target: Target, needs: Needs, source: str, name: str) -> None:
    if needs.event_triggers and not target.is_superuser:
        raise UsageError(
            f"Only a superuser may create {_listed('the event trigger', needs.event_triggers)} in {name!r}.",
            f"Use a superuser in migrations/settings.py for this, or drop it in {source}.",
        )
    if needs.hidden and not target.sees_all:
        raise UsageError(
            f"User {target.user!r} of {name!r} would not see the rows of {_listed('', needs.hidden)}, "
            "because of FORCE ROW LEVEL SECURITY.",
            "Use a role with BYPASSRLS.",
        )


def _find_untrusted(cursor: Cursor, target: Target, needs: Needs, name: str) -> tuple[str, ...]:
    available = {row["name"]: row["for_all"] for row in cursor.execute(_AVAILABLE).fetchall()}
    missing = [extension for extension in needs.extensions if extension not in available]
    if missing:
        raise UsageError(
            f"The server of {name!r} lacks {_listed('the extension', missing)}.",
            "Install it on that server, or use another server.",
        )
    if target.is_superuser:
        return ()
    return tuple(one for one in needs.extensions if not available[one])


def try_extensions(connection: Connection, extensions: Iterable[str], name: str) -> None:
    """Check that ``extensions`` can be created in the database of ``connection``, and undo it.

    :raises UsageError: if this user may not.
    """
    installed = _names(rows_as_dicts(connection), _INSTALLED)
    for extension in extensions:
        if extension in installed:
            continue
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(sql.SQL("CREATE EXTENSION {} CASCADE").format(sql.Identifier(extension)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise UsageError(
                f"Only a superuser may create {_listed('the extension', [extension])} in {name!r}.",
                "Use a superuser in migrations/settings.py for this.",
            ) from error


def _roles(cursor: Cursor, target: Target, needs: Needs, name: str) -> tuple[list[str], list[str]]:
    roles = {row["name"]: row["is_ours"] for row in cursor.execute(_ROLES).fetchall()}
    arguments, notes = [], []
    absent = [role for role in needs.roles if not roles.get(role)]
    if absent:
        arguments.append("--no-owner")
        who = target.user
        if target.owner != target.user and not needs.extensions:
            who = target.owner
            arguments.append(f"--role={target.owner}")
        notes.append(
            f"{name!r} lacks {_listed('', absent)}, to whom things belong, or user {target.user!r} may not "
            f"act for them: everything will belong to {who!r}."
        )
    strangers = [role for role in needs.grantees if role not in roles]
    strangers += [role for role in needs.granters if not roles.get(role)]
    if strangers:
        arguments.append("--no-privileges")
        notes.append(
            f"{name!r} lacks {_listed('', strangers)}, who have or give rights: none are carried over."
        )
    return arguments, notes


def _names(cursor: Cursor, query: str) -> set[str]:
    return {row["name"] for row in cursor.execute(query.encode()).fetchall()}


def _listed(what: str, names: Iterable[str]) -> str:
    found = list(names)
    shown = ", ".join(repr(name) if not what else name for name in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
    return f"{what} {shown}{more}".strip()
