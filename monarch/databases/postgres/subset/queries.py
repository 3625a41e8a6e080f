"""The queries of dump_table(): which rows of a table they select, and which columns are kept."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.subset.catalog import SubsetRelation
from monarch.databases.postgres.subset.tables import find_column
from monarch.databases.selection import TableQuery
from monarch.errors import UsageError

# Literals of SQL: texts, also those between dollars, and numbers.
_LITERAL = re.compile(r"[eE]?'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|(?<![\w.])\d+(?:\.\d+)?", re.DOTALL)


def is_whole(query: TableQuery) -> bool:
    """Whether ``query`` selects all rows."""
    return not query.where.strip() and not query.limit and query.sample is None


def describe_query(query: TableQuery) -> str:
    """Return what ``query`` selects, for people and without values."""
    words = [_without_values(query.where) or "all rows"]
    if query.order_by:
        words.append(f"order by {_without_values(', '.join(query.order_by))}")
    if query.limit:
        words.append(f"limit {query.limit}")
    if query.sample is not None:
        words.append(f"sample of {query.sample}")
    return " ".join(words)


def _without_values(text: str) -> str:
    return " ".join(_LITERAL.sub("…", text).split())


def select_rows(cursor: Cursor, table: SubsetRelation, query: TableQuery) -> sql.Composed:
    """Return the SELECT of the rows of ``query``, with the same placeholders as its condition.

    :raises psycopg.Error: if the server rejects the condition of a sample.
    """
    # On lines of its own, because it may end with a comment.
    where = _sql(f"(\n{query.where}\n)" if query.where.strip() else "true")
    source = sql.SQL("{}.{} WHERE {}").format(_name(table.schema), _name(table.name), where)
    row = _name(table.name)
    ending = sql.Composed([])
    if query.sample is not None:
        number = query.sample
        if isinstance(number, float):
            counting = sql.SQL("SELECT count(*) AS rows FROM {}").format(source)
            found = cursor.execute(counting, values_of(query)).fetchone()
            number = round(number * int(found["rows"] if found else 0))
        ending = _sampled(table, row, query.seed, number)
    else:
        if query.order_by:
            order = sql.SQL(", ").join(_sql(text) for text in query.order_by)
            ending += sql.SQL(" ORDER BY {}").format(order)
        if query.limit:
            ending += sql.SQL(" LIMIT {}").format(sql.Literal(query.limit))
    return sql.SQL("SELECT {row}.tableoid, {row}.ctid FROM {source}{ending}").format(
        row=row, source=source, ending=ending
    )


def _sampled(table: SubsetRelation, row: sql.SQL, seed: int | None, number: int) -> sql.Composed:
    """Return the end of a SELECT of ``number`` rows at random: the same ones for the same seed.

    They are in the order of a hash of the key, which does not depend on where the rows are on the disk.
    """
    parts = [sql.SQL("{}.{}").format(row, _name(name)) for name in table.key]
    key = sql.SQL("ROW({})").format(sql.SQL(", ").join(parts)) if parts else sql.SQL("{}.*").format(row)
    chosen = random.getrandbits(63) if seed is None else seed % (1 << 63)
    return sql.SQL(
        " ORDER BY pg_catalog.hashtextextended(({key})::text, {seed}), ({key})::text LIMIT {number}"
    ).format(key=key, seed=sql.Literal(chosen), number=sql.Literal(number))


def values_of(query: TableQuery) -> Sequence[Any] | Mapping[str, Any]:
    """Return the values of ``query`` as psycopg needs them."""
    # Without a list psycopg would not look for placeholders, and %% would stay.
    return query.values if query.values else []


def _sql(text: str) -> sql.SQL:
    trusted: Any = text  # of the query set, which is the code of the team
    return sql.SQL(trusted)


def _name(name: str) -> sql.SQL:
    """Return ``name`` in quotes, for a statement with placeholders."""
    return _sql(sql.Identifier(name).as_string().replace("%", "%%"))


def kept_columns(table: SubsetRelation, query: TableQuery) -> frozenset[str] | None:
    """Return the names of the columns of ``table`` that ``query`` keeps; None for all.

    :raises UsageError: if one does not exist, or a row cannot be without one that is left out.
    """
    if query.columns is None:
        return None
    who = f"columns= of {table.title} names"
    kept = {find_column(table, name, who) for name in query.columns}
    for name, needed_by in _required_columns(table):
        if name not in kept:
            raise UsageError(
                f"columns= of {table.title} leaves out {name!r}, which {needed_by}.", "Name it, too."
            )
    return frozenset(kept)


def _required_columns(table: SubsetRelation) -> Iterator[tuple[str, str]]:
    """Yield the columns that every row needs, and why."""
    for key in table.keys:
        for name in key.columns:
            yield name, "the primary key needs" if key.is_primary else f"the unique index {key.name!r} needs"
    for name in table.partitioned_by:
        yield name, "tells the partition"
    for column in table.columns:
        if column.is_identity:
            yield column.name, "is an identity"
        if column.required and column.default is None and not column.is_generated:
            yield column.name, "is NOT NULL and has no default"
