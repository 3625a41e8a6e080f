"""The references of follow(): rows that have a value of the rows that are selected already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.subset.catalog import ForeignKey, SubsetRelation, quoted
from monarch.databases.postgres.subset.refusals import query_explained
from monarch.databases.postgres.subset.rows import SelectedRows, all_from, selected_from
from monarch.databases.postgres.subset.tables import SubsetTables
from monarch.databases.selection import Reference
from monarch.errors import UsageError


@dataclass(frozen=True)
class FollowedColumns:
    """A `Reference` of the tables that there are."""

    source: SubsetRelation
    source_columns: tuple[str, ...]
    target: SubsetRelation
    target_columns: tuple[str, ...]
    onward: bool

    def __str__(self) -> str:
        return describe_follow(self.source, self.source_columns, self.target, self.target_columns)


def describe_follow(
    source: SubsetRelation, columns: Sequence[str], target: SubsetRelation, target_columns: Sequence[str]
) -> str:
    """Return the call of follow() that leads from ``source`` to ``target``."""
    return f"follow('{_with_columns(source, columns)}', '{_with_columns(target, target_columns)}')"


def _with_columns(table: SubsetRelation, columns: Sequence[str]) -> str:
    names = ", ".join(quoted(name) for name in columns)
    return f"{table.title}.{names if len(columns) == 1 else f'({names})'}"


def find_followed(reference: Reference, tables: SubsetTables) -> FollowedColumns:
    """Return ``reference`` with its tables and columns.

    :raises UsageError: if one does not exist.
    """
    source, source_columns = tables.find_columns(reference.source, "follow() names")
    target, target_columns = tables.find_columns(reference.target, "follow() names")
    found = FollowedColumns(source, source_columns, target, target_columns, reference.onward)
    if len(source_columns) != len(target_columns):
        raise UsageError(f"{found} has another number of columns on each side.", "Name as many.")
    return found


def require_start(
    followed: Sequence[FollowedColumns],
    reached: Iterable[int],
    tables: SubsetTables,
    keys: Iterable[ForeignKey],
) -> None:
    """Check that each of ``followed`` starts at one of the tables ``reached``, or is led to by others.

    :raises UsageError: if nothing leads to one; the hint names a foreign key that does.
    """
    there = set(reached)
    onward = [one for one in followed if one.onward]

    def family(table: SubsetRelation) -> set[int]:
        return {member.oid for member in tables.family(table)}

    while more := {oid for one in onward if family(one.source) & there for oid in family(one.target)} - there:
        there |= more
    for one in followed:
        if not family(one.source) & there:
            name = one.source.title
            leads = next(
                (key for key in keys if key.target == one.source.oid and key.relation in there), None
            )
            hint = f"Select some: self.dump_table('{name}', …)"
            if leads is not None:
                begin = tables[leads.relation]
                call = describe_follow(begin, leads.columns, one.source, leads.target_columns)
                hint = f"Start at rows that foreign keys need: self.{call}"
            raise UsageError(
                f"follow() goes from {name} to {one.target.title}, but no row of {name} is selected.", hint
            )


class Following:
    """Adds to ``rows`` what is ``followed``. Tables of the numbers ``whole`` are selected whole."""

    def __init__(
        self,
        cursor: Cursor,
        environment: Environment,
        tables: SubsetTables,
        rows: SelectedRows,
        whole: set[int],
        followed: Sequence[FollowedColumns],
    ) -> None:
        self._cursor = cursor
        self._environment = environment
        self._tables = tables
        self._rows = rows
        self._whole = whole
        self._followed = followed

    def run(self) -> int:
        """Follow until nothing new is found; return the number of the last step."""
        step = 0
        while self._followed:
            fresh = self._rows.counts(step)
            added = 0
            for one in self._followed:
                if all(target.oid in self._whole for target in self._tables.family(one.target)):
                    continue
                for table in self._tables.family(one.source):
                    if table.oid in self._whole and step == 0:
                        added += self._add(one, all_from(table, "source"), step + 1)
                    elif table.oid not in self._whole and table.oid in fresh:
                        source = selected_from(table, "source", step=step, onward=True)
                        added += self._add(one, source, step + 1)
            if not added:
                break
            step += 1
        return step

    def _add(self, one: FollowedColumns, source: sql.Composed, step: int) -> int:
        select = sql.SQL(
            "SELECT target.tableoid, target.ctid FROM {source} JOIN {target} AS target ON {condition}"
        ).format(target=one.target.identifier, source=source, condition=_condition(one))
        with query_explained(self._environment, str(one)):
            return self._rows.add(select, step, onward=one.onward)

    def unmatched(self) -> tuple[str, ...]:
        """Return a sentence for each that finds no row at all, though there are rows to start at."""
        return tuple(f"{one} finds no row." for one in self._followed if self._finds_nothing(one))

    def _finds_nothing(self, one: FollowedColumns) -> bool:
        selected = self._rows.counts()
        for table in self._tables.family(one.source):
            if table.oid in self._whole:
                source = all_from(table, "source")
            elif table.oid in selected:
                source = selected_from(table, "source", onward=True)
            else:
                continue
            query = sql.SQL(
                "SELECT EXISTS (SELECT FROM {source} JOIN {target} AS target ON {condition}) AS found"
            ).format(target=one.target.identifier, source=source, condition=_condition(one))
            row = self._cursor.execute(query).fetchone()
            if row is not None and row["found"]:
                return False
        return True


def _condition(one: FollowedColumns) -> sql.Composed:
    pairs = zip(one.target_columns, one.source_columns, strict=True)
    return sql.SQL(" AND ").join(
        sql.SQL("target.{} = source.{}").format(sql.Identifier(target), sql.Identifier(source))
        for target, source in pairs
    )
