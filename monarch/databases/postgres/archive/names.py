"""Names as SQL writes them: those of tables, and the list of columns of a COPY statement."""

from __future__ import annotations

import re
from string import ascii_uppercase

_NAME = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\W\d][\w$]*))\s*')

# The server folds those letters only, in every encoding of more than one byte.
_FOLDED = {ord(letter): letter.lower() for letter in ascii_uppercase}


def parse_name(text: str) -> tuple[str, ...] | None:
    """Return the parts of a name such as ``billing."Old orders"``, without quotes; None if it is none.

    What is not quoted is in lower case, as in SQL.
    """
    found, end = _parse_list(text, 0, ".")
    return found if end == len(text) else None


def parse_list(text: str) -> tuple[str, ...] | None:
    """Return the names in ``text``, which have commas between them; None if it is no such list."""
    found, end = _parse_list(text, 0, ",")
    return found if found and end == len(text) else None


def parse_copy_columns(statement: str) -> tuple[str, ...] | None:
    """Return the columns of a COPY statement of pg_dump; None if it is no such statement."""
    if not statement.startswith("COPY "):
        return None
    _table, end = _parse_list(statement, len("COPY "), ".")
    if not _table:
        return None
    if statement.startswith("FROM stdin", end):  # a table without columns
        return ()
    if not statement.startswith("(", end):
        return None
    columns, end = _parse_list(statement, end + 1, ",")
    return columns if columns and statement.startswith(") FROM stdin", end) else None


def _parse_list(text: str, begin: int, separator: str) -> tuple[tuple[str, ...], int]:
    """Return the names from ``begin`` on, and where they end; no names if that is none."""
    names: list[str] = []
    while True:
        found = _NAME.match(text, begin)
        if found is None:
            return (), begin
        quoted, plain = found.groups()
        names.append(plain.translate(_FOLDED) if quoted is None else quoted.replace('""', '"'))
        begin = found.end()
        if not text.startswith(separator, begin):
            return tuple(names), begin
        begin += 1
