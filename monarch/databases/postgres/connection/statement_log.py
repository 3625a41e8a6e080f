"""The statements that are sent to PostgreSQL, for the log: without literals, parameters and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from monarch.databases.environment import Environment
from monarch.log import CHANGES, DATABASE, READS, is_heard, log

_LONGEST = 200
_LITERALS = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*.*?\*/)
    |(?P<name>"(?:[^"]|"")*")
    |(?P<literal>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | \be'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*'
        | (?<![\w$])\d[\w.]*)
    """,
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
# What is left of a literal or a comment that does not end, or that has another one in it.
_UNSURE = re.compile(r"'|\$\w*\$|/\*|\*/|\\")
_WORD = re.compile(r"\s*([A-Za-z]+)")
_READS = frozenset(
    (
        *(
            "ABORT",
            "BEGIN",
            "CLOSE",
            "DECLARE",
            "DISCARD",
            "EXPLAIN",
            "FETCH",
            "RESET",
            "ROLLBACK",
            "SAVEPOINT",
        ),
        *("RELEASE", "SELECT", "SET", "SHOW", "START", "TABLE", "VALUES", "WITH"),
    )
)
_WRITES = re.compile(
    r"\b(?:INSERT|UPDATE\s+\S+\s+SET|DELETE|MERGE|INTO|ANALYZE)\b"
    r"|\b(?:setval|nextval|lo_\w+|pg_terminate_backend|pg_cancel_backend)\s*\(",
    re.IGNORECASE,
)


def outline(statement: str) -> str:
    """Return ``statement`` with ``?`` for its literals, as one line, and at most its beginning.

    Of one that is not understood, only its first word is left.
    """
    masked = _LITERALS.sub(lambda found: found["name"] or (" " if found["comment"] else "?"), statement)
    line = " ".join(masked.split())
    if _UNSURE.search(re.sub(r'"(?:[^"]|"")*"', "", line)):
        word = _WORD.match(line)
        return f"{word[1] if word else 'a statement'} …"
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def level_of(outlined: str) -> int:
    """Return the level of a statement, from its `outline`."""
    for one in outlined.split(";"):
        word = _WORD.match(one)
        first = word[1].upper() if word else ""
        copies_out = first == "COPY" and re.search(r"\bTO\b", one, re.IGNORECASE)
        if first and ((first not in _READS and not copies_out) or _WRITES.search(one)):
            return CHANGES
    return READS


def logged(kind: type[psycopg.Cursor[Any]]) -> type[psycopg.Cursor[Any]]:
    """Return a class of cursors like ``kind`` that log each statement before it is sent."""

    class LoggedCursor(kind):  # type: ignore[valid-type, misc]
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            _log(self, query)
            return super().execute(query, *arguments, **options)

        def executemany(self, query: Any, *arguments: Any, **options: Any) -> Any:
            _log(self, query)
            return super().executemany(query, *arguments, **options)

        @contextmanager
        def copy(self, statement: Any, *arguments: Any, **options: Any) -> Iterator[psycopg.Copy]:
            _log(self, statement)
            with super().copy(statement, *arguments, **options) as copy:
                yield copy

    return LoggedCursor


def log_connection(environment: Environment, database: str | None) -> None:
    """Log that a connection is opened."""
    who = f" as {environment.username}" if environment.username else ""
    where = f"{database or environment.db_name} of {environment.label} ({environment.server})"
    log(DATABASE, f"connecting to PostgreSQL: {where}{who}")


def _log(cursor: psycopg.Cursor[Any], query: Any) -> None:
    if not is_heard(DATABASE):
        return
    if isinstance(query, sql.Composable):
        query = query.as_string(cursor)
    elif isinstance(query, bytes):
        query = query.decode(errors="replace")
    outlined = outline(str(query))
    log(DATABASE, outlined, level_of(outlined))
