"""A value for each thing in a database that changes whenever anything in it changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from psycopg import sql

from monarch.databases.postgres.catalog.definitions import read_definitions
from monarch.databases.postgres.catalog.tables import Table, list_relations
from monarch.databases.postgres.connection.client import Cursor

# What a row looks like as a text must not depend on the settings of a database.
_SETTINGS = (
    "SELECT set_config('datestyle', 'ISO', true), set_config('timezone', 'UTC', true), "
    "set_config('intervalstyle', 'postgres', true), set_config('extra_float_digits', '1', true), "
    "set_config('bytea_output', 'hex', true), set_config('search_path', '', true)"
)
# "row.*" is the whole row even if a column has that name. The order of rows does not matter. Two sums with
# different seeds are as good as one of 128 bits. OFFSET keeps the server from making each text twice, which
# takes most of the time.
_HASH = """
    SELECT concat_ws(' ', count(*), sum(hashtextextended(text, 0)::numeric),
                     sum(hashtextextended(text, 1)::numeric)) AS hash
    FROM (SELECT (row.*)::text AS text FROM {} OFFSET 0) AS rows
"""


def hash_contents(cursor: Cursor, tables: Iterable[Table]) -> dict[Table, str]:
    """Return a hash of the rows of each of ``tables``, in the transaction that the caller has open."""
    whole = sql.SQL("ONLY {} AS row")
    return hash_rows(cursor, {table: whole.format(table.identifier) for table in tables})


def hash_rows(cursor: Cursor, sources: Mapping[Table, sql.Composable]) -> dict[Table, str]:
    """Return a hash of some rows of each table, in the transaction that the caller has open.

    :param sources: what follows FROM for these rows, which are called "row" in it.
    """
    cursor.execute(_SETTINGS)
    found = {}
    for table, source in sources.items():
        row = cursor.execute(sql.SQL(_HASH).format(source)).fetchone()
        assert row is not None
        found[table] = str(row["hash"])
    return found


def take_fingerprint(cursor: Cursor) -> dict[str, object]:
    """Return a value for each table with its rows, and for each other thing with its definition.

    The caller has a transaction open.
    """
    definitions = read_definitions(cursor)
    tables = [one for one in list_relations(cursor) if one.kind == "table"]
    rows = hash_contents(cursor, [one.table for one in tables])
    found: dict[str, object] = {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in definitions.items()
    }
    for one in tables:
        found[one.table.title] = (found.pop(f"table {one.quoted}", ""), rows[one.table])
    return found
