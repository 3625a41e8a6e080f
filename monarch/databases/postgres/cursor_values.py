"""Cursors of psycopg among the values of a query set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from monarch.databases.selection import CursorValues


class PostgresCursorValues(CursorValues):
    """The values of the first column of a cursor replace it, as a list: ``id = ANY(%s)``."""

    def is_cursor(self, value: object) -> bool:
        return isinstance(value, psycopg.Cursor)

    def ids(self, cursor: Any) -> Iterator[Any]:
        for row in cursor.fetchall():
            yield next(iter(row.values() if isinstance(row, Mapping) else row))

    def condition(self, key: Any, ids: list[Any]) -> tuple[Any, Any]:
        return key, ids
