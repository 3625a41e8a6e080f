"""How long pg_dump and pg_restore take for each table."""

from __future__ import annotations

import time

from monarch.databases.postgres.catalog.tables import Table


class TableClock:
    """How many seconds a program has spent on the rows of each table, by what it says while it works."""

    def __init__(self, says: str) -> None:
        self._says = says
        self._table: str | None = None
        self._began = 0.0
        self._seconds: dict[str, float] = {}

    def hear(self, line: str) -> None:
        """Take one line of its output."""
        now = time.monotonic()
        if self._table is not None:
            self._seconds[self._table] = round(now - self._began, 3)
        begun = line.partition(self._says)[2]
        self._table, self._began = (begun.strip('"') or None), now

    def of(self, table: Table) -> float:
        """Return the seconds of ``table``."""
        return self._seconds.get(f"{table.schema}.{table.name}", 0.0)
