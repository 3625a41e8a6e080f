"""A part of a database: the rows that a selection selects, and those that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from psycopg import sql

from monarch.databases.environment import Environment
from monarch.databases.postgres.archive.contents import ArchiveContents, TableData
from monarch.databases.postgres.connection.client import Connection, rows_as_dicts
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.subset.catalog import read_foreign_keys, read_relations
from monarch.databases.postgres.subset.chosen import ChosenTables
from monarch.databases.postgres.subset.follow import Following, describe_follow, find_followed, require_start
from monarch.databases.postgres.subset.foreign_keys import NeededRows
from monarch.databases.postgres.subset.reading import SubsetArchive, condition_of
from monarch.databases.postgres.subset.refusals import require_temporary_tables
from monarch.databases.postgres.subset.rows import SelectedRows, all_from, selected_from
from monarch.databases.postgres.subset.tables import SubsetTables
from monarch.databases.selection import Selection

_BEGIN = """
    SELECT current_schemas(false)::text[] AS path, current_setting('search_path') AS search_path,
           set_config('row_security', 'off', true), set_config('search_path', '', true)
"""
_LARGE_OBJECTS = "SELECT count(*) AS number FROM pg_largeobject_metadata"
_AT_ONCE = 100


@dataclass(frozen=True)
class PartTable:
    """A table of a part, with the number of its selected rows."""

    oid: int
    schema: str
    name: str
    title: str
    rows: int


class Part:
    """What ``selection`` selects, as the transaction sees it that is open on ``connection``.

    It must be of one snapshot, REPEATABLE READ, and able to create a temporary table; it is read-only from
    here on. ``tables`` are all tables with the number of their selected rows, sorted by schema and name.
    ``filters`` tell people what was selected, without values, and ``notes`` what they should know of it.

    :raises UsageError: if a name is unknown, or a table does not support such a selection.
    :raises MonarchError: with the server's message, if it rejects a query.
    """

    tables: tuple[PartTable, ...]
    filters: tuple[str, ...]
    notes: tuple[str, ...]

    def __init__(self, connection: Connection, selection: Selection, environment: Environment) -> None:
        self._environment = environment
        self._cursor = rows_as_dicts(connection)
        with explained(environment):
            require_temporary_tables(self._cursor, environment)
            began = self._cursor.execute(_BEGIN).fetchone()
            assert began is not None
            relations = read_relations(self._cursor)
            self._tables = SubsetTables(relations, began["path"], environment.label)
            self._rows = SelectedRows(self._cursor)
            self._chosen = ChosenTables(
                self._cursor, environment, self._tables, self._rows, began["search_path"]
            )
            notes = self._resolve(selection)
            self._counts = self._count()
            self.notes = (*notes, *self._notes_of_rows())
        self.tables = tuple(
            PartTable(one.oid, one.schema, one.name, one.title, self._counts.get(one.oid, 0))
            for one in self._tables.stored
        )
        self.filters = tuple(self._describe())

    def read(
        self, contents: ArchiveContents, begins: Callable[[TableData], None] = lambda table: None
    ) -> Iterator[bytes]:
        """Yield an archive of pg_dump with the selected rows.

        :param contents: those of an archive that pg_dump has written from the same snapshot.
        :param begins: called when the rows of a table begin.
        :raises ServerError: if the rows cannot be read to their end.
        """
        by_oid = {one.oid: one for one in self._tables.stored}
        with explained(self._environment):
            archive = SubsetArchive(self._cursor, self._chosen.whole, self._counts, by_oid, self._chosen.kept)
            yield from archive.read(contents, begins)

    @property
    def shortened(self) -> tuple[str, ...]:
        """The titles of tables of which columns are left out."""
        return tuple(self._tables[oid].title for oid in sorted(self._chosen.kept))

    def sources(self, alias: str) -> dict[tuple[str, str], sql.Composed]:
        """Return what follows FROM for the selected rows of each table, by its schema and name.

        :param alias: what a row is called in it.
        """
        return {
            (one.schema, one.name): all_from(one, alias)
            if one.oid in self._chosen.whole
            else selected_from(one, alias)
            for one in self._tables.stored
        }

    def _resolve(self, selection: Selection) -> list[str]:
        """Select all rows; return what people should know."""
        followed = [find_followed(one, self._tables) for one in selection.references]
        chosen, tables = self._chosen, self._tables
        chosen.choose(selection, followed)
        keys = read_foreign_keys(self._cursor, [table for table in tables if table.is_table])
        require_start(followed, chosen.whole | chosen.chosen, tables, keys)
        following = Following(self._cursor, self._environment, tables, self._rows, chosen.whole, followed)
        step = following.run()
        needed = NeededRows(tables, self._rows, chosen.whole, keys, chosen.kept)
        needed.run(step)
        notes = [*following.unmatched()]
        for key, rows in needed.by_whole.items():
            table, target = tables[key.relation], tables[key.target]
            if rows and target.title in chosen.filters:
                notes.append(
                    f"All rows of {table.title} are selected, and {rows:,} more of {target.title} that they "
                    "need. To select only those of the others, use "
                    f"self.{describe_follow(target, key.target_columns, table, key.columns)}."
                )
        return notes

    def _count(self) -> dict[int, int]:
        """Return the number of selected rows of each table."""
        counts = self._rows.counts()
        whole = [one for one in self._tables.stored if one.oid in self._chosen.whole]
        for begin in range(0, len(whole), _AT_ONCE):
            # In one statement, because the server may be far away.
            selects = [
                sql.SQL("SELECT {}::oid AS relation, count(*) AS rows FROM {}{}").format(
                    sql.Literal(one.oid), all_from(one, "counted"), condition_of(one)
                )
                for one in whole[begin : begin + _AT_ONCE]
            ]
            found = self._cursor.execute(sql.SQL(" UNION ALL ").join(selects)).fetchall()
            counts |= {row["relation"]: row["rows"] for row in found}
        return counts

    def _notes_of_rows(self) -> Iterator[str]:
        for oid in sorted(self._chosen.excluded - self._chosen.chosen):
            table = self._tables[oid]
            if self._counts.get(oid) and table.title not in self._chosen.filters:
                rows = self._counts[oid]
                yield f"exclude() names {table.title}, but foreign keys need {rows:,} of its rows."
        row = self._cursor.execute(_LARGE_OBJECTS).fetchone()
        if row is not None and row["number"]:
            objects = "1 large object is" if row["number"] == 1 else f"{row['number']:,} large objects are"
            yield f"{objects} left out: a query set selects rows of tables."

    def _describe(self) -> Iterator[str]:
        named = self._chosen.filters
        for title, filters in sorted(named.items()):
            yield f"{title}: {' or '.join(filters)}"
        for table in self.tables:
            if table.oid not in self._chosen.whole and table.rows and not self._is_named(table.oid):
                yield f"{table.title}: what foreign keys need"

    def _is_named(self, oid: int) -> bool:
        """Whether a query or a follow() selects from that table, or from one that it is a part of."""
        todo = [self._tables[oid]]
        while todo:
            table = todo.pop()
            if table.title in self._chosen.filters:
                return True
            todo += [self._tables[parent] for parent in table.parents]
        return False
