"""Read the rows of a subset as an archive of pg_dump."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from psycopg import sql

from monarch.databases.postgres.archive.blocks import rows_as_block
from monarch.databases.postgres.archive.contents import ArchiveContents, TableData
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.subset.catalog import SubsetRelation
from monarch.databases.postgres.subset.rows import all_from, selected_from
from monarch.errors import ServerError

# As pg_dump does it: what rows look like must not depend on the settings of a database or a user.
_SETTINGS = (
    "SELECT set_config('datestyle', 'ISO', true), set_config('intervalstyle', 'postgres', true), "
    "set_config('extra_float_digits', '3', true), set_config('bytea_output', 'hex', true), "
    "set_config('search_path', '', true), set_config('client_encoding', %s, true)"
)


class SubsetArchive:
    """Reads tables in the transaction of ``cursor``.

    :param whole: the numbers of the tables whose rows are all read.
    :param rows: how many rows are selected of each table; of others none is.
    :param kept: the columns that are kept, of tables of which some are left out.
    """

    def __init__(
        self,
        cursor: Cursor,
        whole: set[int],
        rows: Mapping[int, int],
        tables: Mapping[int, SubsetRelation],
        kept: Mapping[int, frozenset[str]],
    ) -> None:
        self._cursor = cursor
        self._whole = whole
        self._rows = rows
        self._tables = tables
        self._kept = kept

    def read(self, contents: ArchiveContents, begins: Callable[[TableData], None]) -> Iterator[bytes]:
        """Yield the bytes of ``contents`` and of the blocks of its tables.

        :param begins: called when the rows of a table begin.
        :raises ServerError: if ``contents`` lack a table of which rows are selected.
        """
        missing = {oid for oid, rows in self._rows.items() if rows} - {one.oid for one in contents.tables}
        if missing:
            title = self._tables[min(missing)].title
            raise ServerError(f"pg_dump does not dump the rows of {title}.")
        # A server that knows no encoding converts nothing.
        own = self._cursor.connection.info.parameter_status("client_encoding")
        encoding = own if contents.encoding == "SQL_ASCII" else contents.encoding
        self._cursor.execute(_SETTINGS, (encoding,))
        yield contents.raw
        for entry in contents.tables:
            begins(entry)
            yield from rows_as_block(contents.integer_size, entry.dump_id, self._copied(entry))
        self._cursor.execute("SELECT set_config('client_encoding', %s, true)", (own,))

    def _copied(self, entry: TableData) -> Iterator[bytes]:
        """Yield the selected rows of a table in COPY's text format, with the columns of its ``entry``."""
        expected = self._rows.get(entry.oid, 0)
        if not expected:
            return
        table = self._tables[entry.oid]
        query = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT").format(
            self._columns(table, entry), self._source(table), condition_of(table)
        )
        number = 0
        with self._cursor.copy(query) as copy:
            for row in copy:  # the server sends each by itself
                number += 1
                yield bytes(row)
        if number != expected:
            raise ServerError(f"{number:,} rows of {table.title} were read, not {expected:,}.")

    def _source(self, table: SubsetRelation) -> sql.Composed:
        return all_from(table, "kept") if table.oid in self._whole else selected_from(table, "kept")

    def _columns(self, table: SubsetRelation, entry: TableData) -> sql.Composed:
        kept = self._kept.get(table.oid)
        defaults = {column.name: column.default for column in table.columns}
        found: list[sql.Composable] = []
        for name in entry.columns:
            if kept is None or name in kept:
                found.append(sql.SQL("kept.{}").format(sql.Identifier(name)))
            else:
                default: Any = defaults[name] or "NULL"  # printed by the server
                found.append(sql.SQL(default))
        return sql.SQL(", ").join(found)


def condition_of(table: SubsetRelation) -> sql.SQL:
    """Return the WHERE that selects those rows of ``table`` that pg_dump dumps; nothing for all."""
    condition: Any = f" {table.condition}" if table.condition else ""  # of an extension, as pg_dump uses it
    return sql.SQL(condition)
