"""The tables and views of a database, and their rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from psycopg import sql

from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.transfer import CollectionSummary

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_PARTS = re.compile(r'"(?:[^"]|"")*"|[^".]+')
# A table of fewer bytes is counted where an estimate would do: new tables have none.
_COUNTED_BYTES = 8_000_000
_AT_ONCE = 100
_SIZE, _ESTIMATED_SIZE = "pg_table_size(c.oid)", "relpages * current_setting('block_size')::bigint"
_RELATIONS = """
    SELECT nspname AS schema, relname AS name, format('%I.%I', nspname, relname) AS quoted,
           relkind::text AS kind, reltuples::bigint AS rows,
           CASE WHEN relkind = 'r' THEN pg_table_size(c.oid) ELSE 0 END AS bytes,
           (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) AS indexes
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'v', 'm') AND relpersistence <> 't'
        AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'monarch_history')
        AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e'
        )
    ORDER BY nspname, relname
"""


@dataclass(frozen=True, order=True)
class Table:
    """A table by its ``schema`` and ``name``; ``title`` is for people."""

    schema: str
    name: str

    @classmethod
    def from_title(cls, title: str) -> Table:
        """Return the table with this ``title``."""
        parts = [
            (one[1:-1] if one.startswith('"') else one).replace('""', '"') for one in _PARTS.findall(title)
        ]
        return cls("public", parts[0]) if len(parts) == 1 else cls(parts[0], parts[1])

    @property
    def title(self) -> str:
        """Its name, with its schema if that is not "public", quoted where SQL would need it."""
        name = _quoted(self.name)
        return name if self.schema == "public" else f"{_quoted(self.schema)}.{name}"

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in a statement."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True)
class Relation:
    """A table or a view, as the catalog describes it; of a table that was not counted, estimated ``rows``.

    ``quoted`` is its name as the server quotes it.
    """

    table: Table
    quoted: str
    kind: str
    rows: int
    bytes: int
    indexes: int

    def summary(self, rows: int | None = None) -> CollectionSummary:
        """Return its summary, with these ``rows`` if they were counted."""
        found = self.rows if rows is None else rows
        return CollectionSummary(self.table.title, self.kind, found, self.bytes, self.indexes)


def list_relations(cursor: Cursor, *, waiting: bool = True) -> tuple[Relation, ...]:
    """Return the tables and views, sorted by their titles; the rows are the server's estimates.

    :param waiting: whether to wait for locks on tables to know their sizes; else these are estimates too.
    """
    relations = []
    query = _RELATIONS if waiting else _RELATIONS.replace(_SIZE, _ESTIMATED_SIZE)
    for row in cursor.execute(query.encode()).fetchall():
        is_table = row["kind"] == "r"
        relations.append(
            Relation(
                Table(row["schema"], row["name"]),
                row["quoted"],
                "table" if is_table else "view",
                row["rows"] if is_table else 0,
                row["bytes"],
                row["indexes"] if is_table else 0,
            )
        )
    return tuple(sorted(relations, key=lambda one: one.table.title))


def read_relations(cursor: Cursor) -> tuple[Relation, ...]:
    """Return the tables and views, sorted by their titles; what is small or has no estimate is counted."""
    found = list_relations(cursor)
    small = [
        one.table for one in found if one.kind == "table" and (one.bytes < _COUNTED_BYTES or one.rows < 0)
    ]
    counted = count_rows(cursor, small)
    return tuple(replace(one, rows=counted.get(one.table, one.rows)) for one in found)


def count_rows(cursor: Cursor, tables: Iterable[Table]) -> Mapping[Table, int]:
    """Return how many rows each of ``tables`` has, without those of its children."""
    counted: dict[Table, int] = {}
    for some in batched(tables, _AT_ONCE):
        # In one statement, because the server may be far away.
        selects = [
            sql.SQL("SELECT {} AS number, count(*) AS rows FROM ONLY {}").format(number, table.identifier)
            for number, table in enumerate(some)
        ]
        found = cursor.execute(sql.SQL(" UNION ALL ").join(selects)).fetchall()
        counted |= {some[row["number"]]: int(row["rows"]) for row in found}
    return counted


def batched(tables: Iterable[Table], size: int) -> Iterator[list[Table]]:
    """Yield ``tables`` in lists of at most ``size``."""
    rest = list(tables)
    while rest:
        yield rest[:size]
        del rest[:size]


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
