"""Scanning a table in the order of its primary key, one batch after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from psycopg import sql

from monarch.databases.history import ScanPosition
from monarch.databases.postgres.connection.client import Connection, rows_as_dicts
from monarch.errors import UsageError

# Below so many rows by the server's estimate they are counted.
_COUNTED = 100_000
_TABLE = """
    SELECT format('%%I.%%I', nspname, relname) AS name, relkind::text AS kind, reltuples::bigint AS rows,
           EXISTS (SELECT FROM pg_inherits WHERE inhparent = pg_class.oid) AS has_children
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = to_regclass(%s)
"""
_KEY = """
    SELECT attname AS name, format_type(atttypid, atttypmod) AS type
    FROM pg_index CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number
    WHERE indrelid = %s::regclass AND indisprimary AND place <= indnkeyatts ORDER BY place
"""
_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
}


@dataclass(frozen=True)
class ScannedTable:
    """A table as SQL names it, and the names and types of the columns of its primary key."""

    name: str
    rows: int
    key: tuple[tuple[str, str], ...]


def find_table(connection: Connection, name: str) -> ScannedTable | None:
    """Return the table called ``name``, as it is written in SQL; None if there is none.

    :raises UsageError: if it is no table, or has no primary key.
    """
    cursor = rows_as_dicts(connection)
    found = cursor.execute(_TABLE, (name,)).fetchone()
    if found is None:
        return None
    if found["kind"] not in ("r", "p"):
        raise UsageError(
            f"{name} is {_KINDS.get(found['kind'], 'no table')}, and each() goes by the key of a table.",
            "Use self.connection.execute('SELECT …') instead.",
        )
    if found["kind"] == "r" and found["has_children"]:
        raise UsageError(
            f"Other tables inherit from {name}, and their rows may have the same key.",
            "Scan each of these tables, or use self.connection.execute('SELECT …') instead.",
        )
    key = tuple((row["name"], row["type"]) for row in cursor.execute(_KEY, (found["name"],)))
    if not key:
        raise UsageError(
            f"{name} has no primary key, by which each() goes.",
            "Give it one, or use self.connection.execute('SELECT …') instead.",
        )
    return ScannedTable(found["name"], found["rows"], key)


def count_rows(connection: Connection, table: ScannedTable, filter: Mapping[str, Any]) -> int:
    """Return about how many rows of ``table`` match ``filter``."""
    if not filter or filter.get("where") == "true":
        if table.rows > _COUNTED:
            return table.rows
        filter = {}
    query = sql.SQL("SELECT count(*) AS rows FROM {} WHERE {}").format(_name(table), _where(filter))
    row = rows_as_dicts(connection).execute(query, _values(filter)).fetchone()
    return int(row["rows"]) if row else 0


def read_batches(
    connection: Connection,
    table: ScannedTable,
    filter: Mapping[str, Any],
    size: int,
    start: ScanPosition | None,
) -> Iterator[tuple[list[dict[str, Any]], ScanPosition]]:
    """Yield the rows after ``start``, ``size`` at a time, and the position after each batch.

    Positions hold the columns of the key as texts, which the server casts back: a key may have any type.
    """
    position = start or ScanPosition(None, 0)
    if not position.until:
        # What is inserted meanwhile is not scanned: a migration that inserts would never end.
        last = (
            rows_as_dicts(connection)
            .execute(_query(table, filter, descending=True), [*_values(filter), 1])
            .fetchone()
        )
        if last is None:
            return
        position = replace(position, until=(_position(last),))
    while True:
        key = position.after if position.documents else None
        query = _query(table, filter, after=key is not None, bounded=True)
        bounds = [*(key if isinstance(key, list) else ()), *_until(position)]
        found = rows_as_dicts(connection).execute(query, [*_values(filter), *bounds, size]).fetchall()
        if not found:
            return
        position = replace(position, after=_position(found[-1]), documents=position.documents + len(found))
        yield [_without_key(row) for row in found], position


# The column that a query adds: the key of each row, as texts.
_KEY_COLUMN = "monarch_key"


def _query(
    table: ScannedTable,
    filter: Mapping[str, Any],
    *,
    after: bool = False,
    bounded: bool = False,
    descending: bool = False,
) -> sql.Composed:
    columns = [sql.Identifier(name) for name, _ in table.key]
    casts = sql.SQL(", ").join(sql.SQL("%s::text::" + kind) for _, kind in table.key)
    key = sql.SQL(", ").join(columns)
    conditions = [sql.SQL("({})").format(_where(filter))]
    if after:
        conditions.append(sql.SQL("ROW({}) > ROW({})").format(key, casts))
    if bounded:
        conditions.append(sql.SQL("ROW({}) <= ROW({})").format(key, casts))
    order = sql.SQL(", ").join(
        sql.SQL("{} DESC" if descending else "{} ASC").format(column) for column in columns
    )
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(column) for column in columns)
    return sql.SQL("SELECT *, ARRAY[{}] AS {} FROM {} WHERE {} ORDER BY {} LIMIT %s").format(
        texts, sql.Identifier(_KEY_COLUMN), _name(table), sql.SQL(" AND ").join(conditions), order
    )


def _name(table: ScannedTable) -> sql.SQL:
    return sql.SQL(table.name)  # quoted by the server


def _where(filter: Mapping[str, Any]) -> sql.SQL:
    return sql.SQL(filter.get("where", "true"))


def _values(filter: Mapping[str, Any]) -> list[Any]:
    # Without values psycopg would not look for placeholders, and %% would stay.
    return list(filter.get("values", ()))


def _position(row: Mapping[str, Any]) -> list[str]:
    return list(row[_KEY_COLUMN])


def _until(position: ScanPosition) -> list[str]:
    until = position.until[0]
    assert isinstance(until, list)
    return until


def _without_key(row: dict[str, Any]) -> dict[str, Any]:
    del row[_KEY_COLUMN]
    return row
