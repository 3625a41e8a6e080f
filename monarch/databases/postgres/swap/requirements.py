"""What a server lacks to hold the contents of a source, found before anything begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.sources.base import Needs
from monarch.databases.postgres.swap.target import Target
from monarch.errors import UsageError

_AVAILABLE = """
    SELECT name, bool_or(NOT superuser OR trusted) AS for_all FROM pg_available_extension_versions
    GROUP BY name
"""
_COLLATIONS = "SELECT collname AS name FROM pg_collation"
_ROLES = "SELECT rolname AS name, pg_has_role(oid, 'MEMBER') AS is_ours FROM pg_roles"
_TABLESPACES = "SELECT spcname AS name FROM pg_tablespace"
_MOST_NAMED = 5


@dataclass(frozen=True)
class Adaptation:
    """How to write into a server that lacks something: ``arguments`` of pg_restore, ``notes`` for people."""

    arguments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
    _require_extensions(cursor, target, needs, name)
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
    return Adaptation(tuple(arguments), tuple(notes))


def _require_encoding(target: Target, needs: Needs, name: str) -> None:
    if needs.encoding in (None, target.encoding) or target.encoding in ("UTF8", "SQL_ASCII"):
        return
    raise UsageError(
        f"{name!r} has the encoding {target.encoding}, which lacks characters of {needs.encoding}.",
        "Use a database with the encoding UTF8.",
    )


def _require_extensions(cursor: Cursor, target: Target, needs: Needs, name: str) -> None:
    available = {row["name"]: row["for_all"] for row in cursor.execute(_AVAILABLE).fetchall()}
    missing = [extension for extension in needs.extensions if extension not in available]
    if missing:
        raise UsageError(
            f"The server of {name!r} lacks {_listed('the extension', missing)}.",
            "Install it on that server, or use another server.",
        )
    refused = [one for one in needs.extensions if not available[one]]
    if refused and not target.is_superuser:
        raise UsageError(
            f"Only a superuser may create {_listed('the extension', refused)} in {name!r}.",
            "Use a superuser in migrations/settings.py for this.",
        )


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
    if strangers:
        arguments.append("--no-privileges")
        notes.append(f"{name!r} lacks {_listed('', strangers)}, who have rights: no rights are carried over.")
    return arguments, notes


def _names(cursor: Cursor, query: str) -> set[str]:
    return {row["name"] for row in cursor.execute(query.encode()).fetchall()}


def _listed(what: str, names: Iterable[str]) -> str:
    found = list(names)
    shown = ", ".join(repr(name) if not what else name for name in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
    return f"{what} {shown}{more}".strip()
