"""The rows that are selected: a temporary table of their places.

A row is identified by its table and its ctid. In the transaction of one snapshot that does not change: a row
that the snapshot sees is not moved or removed, except by what rewrites a table, and that waits for the lock
which the transaction holds on each table that it has read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.subset.catalog import SubsetRelation

_CREATE = (
    # The table and its indexes in memory, and sorting in it. More than that is written to the disk.
    "SET LOCAL temp_buffers = '64MB'",
    "SET LOCAL work_mem = '64MB'",
    """CREATE TEMPORARY TABLE monarch_rows (
        relation oid NOT NULL, place tid NOT NULL, step integer NOT NULL, onward boolean NOT NULL,
        PRIMARY KEY (relation, place)
    ) ON COMMIT DROP""",
    "CREATE INDEX ON pg_temp.monarch_rows (step)",
    # No query of a query set can write from here on. What is temporary can be written nevertheless.
    "SET TRANSACTION READ ONLY",
)
_ADD = """
    INSERT INTO pg_temp.monarch_rows SELECT DISTINCT found.relation, found.place, {}::integer, {}::boolean
    FROM (
        {}
    ) AS found (relation, place) ORDER BY 1, 2 ON CONFLICT (relation, place) {}
"""
_ONWARD = "DO UPDATE SET step = excluded.step, onward = true WHERE NOT monarch_rows.onward"
# More rows than these are read with a plan for that many: the server would expect one, and read the whole
# other table for each.
_FEW = 200


class SelectedRows:
    """The places of the selected rows of tables that are not whole. The transaction of ``cursor`` is open.

    Each row has the ``step`` in which it was added. Those that are ``onward`` are followed by follow().
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._is_analyzed = True
        for statement in _CREATE:
            cursor.execute(statement.encode())

    def add(
        self,
        select: sql.Composable,
        step: int,
        *,
        onward: bool = False,
        values: Sequence[Any] | Mapping[str, Any] | None = None,
    ) -> int:
        """Add the rows of ``select``, which has the tableoid and the ctid; return how many were new.

        A row that was not onward is new once more when it is added as such.
        """
        conflict = sql.SQL(_ONWARD if onward else "DO NOTHING")
        query = sql.SQL(_ADD).format(sql.Literal(step), sql.Literal(onward), select, conflict)
        self._cursor.execute(query, values)
        new = self._cursor.rowcount
        self._is_analyzed &= new == 0
        return new

    def counts(self, step: int | None = None) -> dict[int, int]:
        """Return the number of rows of each table that has some, of all steps or of one.

        The statements that read them are planned with these numbers.
        """
        condition = sql.SQL("true") if step is None else sql.SQL("step = {}").format(sql.Literal(step))
        query = sql.SQL(
            "SELECT relation, count(*) AS rows FROM pg_temp.monarch_rows WHERE {} GROUP BY relation"
        )
        found = self._cursor.execute(query.format(condition)).fetchall()
        counts = {row["relation"]: row["rows"] for row in found}
        if not self._is_analyzed and sum(counts.values()) > _FEW:
            self._cursor.execute("ANALYZE pg_temp.monarch_rows")
            self._is_analyzed = True
        return counts


def selected_from(
    table: SubsetRelation, alias: str, *, step: int | None = None, onward: bool = False
) -> sql.Composed:
    """Return what follows FROM for the selected rows of ``table``, of all steps or of one."""
    more = sql.Composed([])
    if step is not None:
        more += sql.SQL(" AND selected.step = {}").format(sql.Literal(step))
    if onward:
        more += sql.SQL(" AND selected.onward")
    return sql.SQL(
        "pg_temp.monarch_rows selected JOIN ONLY {table} AS {alias}"
        " ON selected.relation = {oid} AND selected.place = {alias}.ctid{more}"
    ).format(table=table.identifier, alias=sql.Identifier(alias), oid=sql.Literal(table.oid), more=more)


def all_from(table: SubsetRelation, alias: str) -> sql.Composed:
    """Return what follows FROM for all rows of ``table``, without those of its children."""
    return sql.SQL("ONLY {} AS {}").format(table.identifier, sql.Identifier(alias))
