"""Which tables of a part are whole, and which rows of the others the query set selects by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import sql

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.subset.catalog import SubsetRelation
from monarch.databases.postgres.subset.follow import FollowedColumns
from monarch.databases.postgres.subset.queries import (
    describe_query,
    is_whole,
    kept_columns,
    select_rows,
    values_of,
)
from monarch.databases.postgres.subset.refusals import query_explained
from monarch.databases.postgres.subset.rows import SelectedRows
from monarch.databases.postgres.subset.tables import SubsetTables
from monarch.databases.selection import Selection, TableQuery
from monarch.errors import UsageError

_SET_PATH = "SELECT set_config('search_path', %s, true)"


class ChosenTables:
    """What a selection names, before foreign keys are looked at.

    ``whole`` are the numbers of the tables whose rows are all selected. ``chosen`` are those from which
    dump_table() selects, ``excluded`` those that exclude() names. ``kept`` are the columns that are kept, of
    tables of which some are left out. ``filters`` say what is selected of each table that is named.
    """

    def __init__(
        self,
        cursor: Cursor,
        environment: Environment,
        tables: SubsetTables,
        rows: SelectedRows,
        search_path: str,
    ) -> None:
        self._cursor = cursor
        self._environment = environment
        self._tables = tables
        self._rows = rows
        self._search_path = search_path
        self.whole: set[int] = set()
        self.chosen: set[int] = set()
        self.excluded: set[int] = set()
        self.kept: dict[int, frozenset[str]] = {}
        self.filters: dict[str, list[str]] = {}

    def choose(self, selection: Selection, followed: Iterable[FollowedColumns]) -> None:
        """Select what ``selection`` names; tables to which ``followed`` lead are not whole by themselves.

        :raises UsageError: if a name is unknown, or a query does not fit its table.
        :raises MonarchError: with the server's message, if it rejects a query.
        """
        # A typo in exclude() would copy a table that must not be copied.
        self.excluded = self._stored(selection.exclude, "exclude() names")
        rest = {one.oid for one in self._tables.stored}
        if selection.only is not None:
            rest = self._stored(selection.only, "only() names")
        history = self._tables.history
        rest = (rest - self.excluded) | (set() if history is None else {history.oid})
        for query in selection.table_queries:
            self._choose(query)
        named = set(self.chosen)
        for one in followed:
            named |= {table.oid for table in self._tables.family(one.target)}
            self.filters.setdefault(one.target.title, []).append(str(one))
        self.whole |= rest - named

    def _stored(self, names: Iterable[str], who: str) -> set[int]:
        found = (self._tables.find(name, who) for name in names)
        return {table.oid for one in found for table in self._tables.family(one)}

    def _choose(self, query: TableQuery) -> None:
        if query.missing_ok and self._tables.find_any(query.table) is None:
            return
        table = self._tables.find(query.table, "dump_table() names")
        family = list(self._tables.family(table))
        for one in family:
            self._keep(one, query)
        self._check_defaults(table, query)
        self.chosen |= {one.oid for one in family}
        self.filters.setdefault(table.title, []).append(describe_query(query))
        if is_whole(query):
            self.whole |= {one.oid for one in family}
            return
        with query_explained(self._environment, table.title):
            # Names without a schema are looked up where the query set's own connection does.
            self._cursor.execute(_SET_PATH, (self._search_path,))
            select = select_rows(self._cursor, table, query)
            self._rows.add(select, 0, onward=True, values=values_of(query))
            self._cursor.execute(_SET_PATH, ("",))

    def _keep(self, table: SubsetRelation, query: TableQuery) -> None:
        kept = kept_columns(table, query)
        if table.oid in self.chosen and self.kept.get(table.oid) != kept:
            raise UsageError(
                f"{table.title} is selected several times, with different columns or once with all.",
                "Use the same columns in each call of dump_table().",
            )
        if kept is not None:
            self.kept[table.oid] = kept

    def _check_defaults(self, table: SubsetRelation, query: TableQuery) -> None:
        """Compute what columns that are left out get instead: the server may refuse it."""
        kept = self.kept.get(table.oid) if query.columns is not None else None
        if kept is None:
            return
        for column in table.columns:
            if column.default is not None and not column.is_generated and column.name not in kept:
                default: Any = column.default  # printed by the server
                with query_explained(self._environment, f"{table.title}, its default of {column.name!r}"):
                    self._cursor.execute(sql.SQL("SELECT {}").format(sql.SQL(default)))
