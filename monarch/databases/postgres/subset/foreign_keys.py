"""Add the rows that the foreign keys of the selected rows refer to, and those to which these refer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from monarch.databases.postgres.subset.catalog import ForeignKey, SubsetRelation
from monarch.databases.postgres.subset.rows import SelectedRows, all_from, selected_from
from monarch.databases.postgres.subset.tables import SubsetTables
from monarch.errors import UsageError


class NeededRows:
    """Adds to ``rows`` what the foreign ``keys`` need. Tables of the numbers ``whole`` are selected whole.

    :param kept: the columns that are kept, of tables of which some are left out.
    """

    def __init__(
        self,
        tables: SubsetTables,
        rows: SelectedRows,
        whole: set[int],
        keys: Sequence[ForeignKey],
        kept: Mapping[int, frozenset[str]],
    ) -> None:
        self._tables = tables
        self._rows = rows
        self._whole = whole
        # How many rows are there because of a foreign key of tables that are whole.
        self.by_whole: Counter[ForeignKey] = Counter()
        self._arrows = [
            (table, key)
            for key in keys
            for table in tables.family(tables[key.relation], partitions_only=True)
            if _is_kept(table, key, kept.get(table.oid)) and self._leads_to_more(key)
        ]

    def run(self, step: int) -> None:
        """Add rows until nothing new is found. What is selected already has steps up to ``step``."""
        selected = self._rows.counts()
        for table, key in self._arrows:
            if table.oid in self._whole:
                self.by_whole[key] += self._add(key, all_from(table, "source"), step + 1)
            elif table.oid in selected:
                self._add(key, selected_from(table, "source"), step + 1)
        step += 1
        while fresh := self._rows.counts(step):
            for table, key in self._arrows:
                if table.oid in fresh and table.oid not in self._whole:
                    self._add(key, selected_from(table, "source", step=step), step + 1)
            step += 1

    def _leads_to_more(self, key: ForeignKey) -> bool:
        """Whether the table to which ``key`` refers is one of those of which rows may be missing."""
        target = self._tables.get(key.target)
        if target is None:  # it is one of an extension's own
            return False
        return any(one.oid not in self._whole for one in self._tables.family(target, partitions_only=True))

    def _add(self, key: ForeignKey, source: sql.Composed, step: int) -> int:
        target = self._tables[key.target]
        only = sql.SQL("" if target.kind == "p" else "ONLY ")
        conditions = sql.SQL(" AND ").join(_conditions(key))
        select = sql.SQL(
            "SELECT target.tableoid, target.ctid FROM {source} JOIN {only}{target} AS target ON {conditions}"
        ).format(only=only, target=target.identifier, source=source, conditions=conditions)
        return self._rows.add(select, step)


def _conditions(key: ForeignKey) -> Iterator[sql.Composed]:
    parts = zip(key.target_columns, key.operators, key.columns, key.collations, strict=True)
    for target, operator, source, collation in parts:
        yield sql.SQL("target.{} {} source.{}{}").format(
            sql.Identifier(target), _printed(operator), sql.Identifier(source), _printed(collation)
        )


def _printed(text: str) -> sql.SQL:
    quoted: Any = text  # by the server
    return sql.SQL(quoted)


def _is_kept(table: SubsetRelation, key: ForeignKey, kept: frozenset[str] | None) -> bool:
    """Whether the rows of ``table`` keep the columns of ``key``; without one it refers to nothing.

    :raises UsageError: if what they get instead may refer to something.
    """
    left_out = [name for name in key.columns if kept is not None and name not in kept]
    if not left_out:
        return True
    defaults = {column.name for column in table.columns if column.default is not None}
    if defaults.intersection(left_out) or (key.is_full and len(left_out) < len(key.columns)):
        raise UsageError(
            f"columns= of {table.title} leaves out {left_out[0]!r}, which the foreign key {key.name!r} "
            "needs.",
            "Name it, too.",
        )
    return False
