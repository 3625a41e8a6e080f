"""Find tables by the names that people write, and what belongs to a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from monarch.databases.postgres.archive.names import parse_list, parse_name
from monarch.databases.postgres.subset.catalog import SubsetRelation, quoted
from monarch.errors import UsageError
from monarch.system.spelling import suggest

_SEVERAL = re.compile(r"(.+)\.\s*\((.*)\)")
HISTORY_SCHEMA = "monarch_history"
_HISTORY = "history"
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence"}


class SubsetTables:
    """The tables among ``relations``. ``path`` are the schemas in which a name without one is looked up.

    The schema public comes last: messages name its tables without it.
    """

    def __init__(self, relations: Sequence[SubsetRelation], path: Sequence[str], database: str) -> None:
        self._database = database
        self._path = (*path, "public")
        self._by_oid = {one.oid: one for one in relations}
        self._by_name = {(one.schema, one.name): one for one in relations}
        self._children: dict[int, list[SubsetRelation]] = {}
        for one in relations:
            for parent in one.parents:
                self._children.setdefault(parent, []).append(one)
        # Those that have rows, in their order.
        self.stored = tuple(one for one in relations if one.kind == "r" and not _is_own(one))

    def __getitem__(self, oid: int) -> SubsetRelation:
        return self._by_oid[oid]

    def __iter__(self) -> Iterator[SubsetRelation]:
        return iter(self._by_oid.values())

    def get(self, oid: int) -> SubsetRelation | None:
        """Return the table with that number, None if there is none."""
        return self._by_oid.get(oid)

    @property
    def history(self) -> SubsetRelation | None:
        """The table of the history of migrations."""
        return self._by_name.get((HISTORY_SCHEMA, _HISTORY))

    def family(self, table: SubsetRelation, *, partitions_only: bool = False) -> Iterator[SubsetRelation]:
        """Yield the tables with rows of ``table``: itself, its partitions, and those that inherit from it."""
        seen = {table.oid}
        todo = [table]
        while todo:
            one = todo.pop()
            if one.kind == "r":
                yield one
            for child in self._children.get(one.oid, ()):
                if child.oid not in seen and child.is_table and (child.is_partition or not partitions_only):
                    seen.add(child.oid)
                    todo.append(child)

    def find(self, name: str, who: str) -> SubsetRelation:
        """Return the table that somebody calls ``name``, as SQL or as it is.

        :param who: what names it, for errors.
        :raises UsageError: if there is none, or it is something else.
        """
        found = self.find_any(name)
        if found is not None and found.schema == HISTORY_SCHEMA:
            raise UsageError(
                f"{who} {name!r}, which is monarch's own.",
                "Remove it: the history of migrations is always included, and the rest never is.",
            )
        if found is None:
            raise UsageError(
                f"{who} {name!r}, and {self._database!r} has no such table.", suggest(name, self._titles())
            )
        if not found.is_table:
            raise UsageError(
                f"{who} {name!r}, which is {_KINDS[found.kind]} and not a table.",
                "Name tables only. What else there is, is always included.",
            )
        return found

    def find_any(self, name: str) -> SubsetRelation | None:
        """Return what somebody calls ``name``, also if it is not a table; None if there is nothing."""
        parts = parse_name(name) or ()
        if len(parts) == 2 and (found := self._by_name.get((parts[0], parts[1]))) is not None:
            return found
        # A name with capitals, dots or spaces may be written without quotes where it is not ambiguous.
        for one in (*parts[:1], name) if len(parts) == 1 else (name,):
            for schema in self._path:
                if (found := self._by_name.get((schema, one))) is not None:
                    return found
        schema, _, rest = name.partition(".")
        return self._by_name.get((schema, rest))

    def find_columns(self, text: str, who: str) -> tuple[SubsetRelation, tuple[str, ...]]:
        """Return the table and the columns of ``text``: ``orders.user_id``, or ``orders.(shop_id, user_id)``.

        :raises UsageError: if there is no such table, or it has no such column.
        """
        several = _SEVERAL.fullmatch(text)
        if several is not None:
            table = self.find(several[1], who)
            names = parse_list(several[2]) or (several[2],)
            return table, tuple(find_column(table, quoted(name), who) for name in names)
        name, _, last = text.rpartition(".")
        parts = parse_name(text)
        if parts is not None and len(parts) in (2, 3):
            name, last = ".".join(quoted(part) for part in parts[:-1]), parts[-1]
        table = self.find(name, who)
        return table, (find_column(table, last, who),)

    def _titles(self) -> list[str]:
        return [one.title for one in self._by_oid.values() if one.is_table and one.schema != HISTORY_SCHEMA]


def find_column(table: SubsetRelation, name: str, who: str) -> str:
    """Return the name of the column of ``table`` that somebody calls ``name``.

    :raises UsageError: if it has none.
    """
    names = [column.name for column in table.columns]
    parts = parse_name(name) or ()
    for one in (name, *parts[:1]):
        if one in names:
            return one
    raise UsageError(f"{who} {name!r}, and {table.title} has no such column.", suggest(name, names))


def _is_own(relation: SubsetRelation) -> bool:
    """Whether it is monarch's own, and not the history, which goes with the data."""
    return relation.schema == HISTORY_SCHEMA and relation.name != _HISTORY
