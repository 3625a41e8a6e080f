"""Write the rows of a subset into an archive of pg_dump."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from monarch.databases.postgres.archive.blocks import write_rows
from monarch.databases.postgres.archive.contents import ArchiveContents, TableData
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.subset.catalog import SubsetRelation
from monarch.databases.postgres.subset.rows import all_from, selected_from
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.system.streams import Sink

# As pg_dump does it: what rows look like must not depend on the settings of a database or a user.
_SETTINGS = (
    "SELECT set_config('datestyle', 'ISO', true), set_config('intervalstyle', 'postgres', true), "
    "set_config('extra_float_digits', '3', true), set_config('bytea_output', 'hex', true), "
    "set_config('search_path', '', true), set_config('client_encoding', %s, true)"
)
_REPORTED = 1 << 20


@dataclass(frozen=True)
class WrittenTable:
    """What was written of the table with the number ``oid``; ``bytes`` are those of its rows as text."""

    oid: int
    rows: int
    bytes: int


class SubsetWriter:
    """Writes tables in the transaction of ``cursor``.

    :param whole: the numbers of the tables whose rows are all written.
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

    def write(self, contents: ArchiveContents, sink: Sink, progress: Progress) -> tuple[WrittenTable, ...]:
        """Write ``contents`` and the blocks of its tables, and return what was written.

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
        sink.write(contents.raw)
        written = []
        for entry in contents.tables:
            rows = _CountedRows(self._copied(entry), progress)
            size = write_rows(sink, contents.integer_size, entry.dump_id, rows)
            written.append(WrittenTable(entry.oid, rows.number, size))
        self._cursor.execute("SELECT set_config('client_encoding', %s, true)", (own,))
        return tuple(written)

    def _copied(self, entry: TableData) -> Iterator[bytes]:
        """Yield the selected rows of a table in COPY's text format, with the columns of its ``entry``."""
        if not self._rows.get(entry.oid):
            return
        table = self._tables[entry.oid]
        query = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT").format(
            self._columns(table, entry), self._source(table), condition_of(table)
        )
        with self._cursor.copy(query) as copy:
            for row in copy:
                yield bytes(row)

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


class _CountedRows:
    """The ``rows`` of a table, counted while they are read."""

    def __init__(self, rows: Iterator[bytes], progress: Progress) -> None:
        self._rows = rows
        self._progress = progress
        self.number = 0

    def __iter__(self) -> Iterator[bytes]:
        number = size = 0
        for row in self._rows:  # the server sends each row by itself
            number += 1
            size += len(row)
            yield row
            if size >= _REPORTED:
                self._progress.transferred(number, size)
                self.number += number
                number = size = 0
        self._progress.transferred(number, size)
        self.number += number


def condition_of(table: SubsetRelation) -> sql.SQL:
    """Return the WHERE that selects those rows of ``table`` that pg_dump dumps; nothing for all."""
    condition: Any = f" {table.condition}" if table.condition else ""  # of an extension, as pg_dump uses it
    return sql.SQL(condition)
