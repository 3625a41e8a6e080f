"""Which part of a database is transferred: what a query set selects, and what a command names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from monarch.errors import UsageError

# Of names that a journal keeps. Old servers index at most 1024 bytes.
_MOST_BYTES = 400


@dataclass(frozen=True)
class CollectionQuery:
    """The documents of one collection that match ``query``.

    ``limit`` selects the first N in the order of ``sort``. ``sample`` selects N of them, or a fraction; the
    same ``seed`` selects the same ones. ``projection`` selects the fields that are kept. With
    ``missing_ok`` the collection may be missing.
    """

    collection: str
    query: Mapping[str, Any] = field(default_factory=dict)
    projection: Sequence[str] | Mapping[str, Any] | None = None
    sort: Sequence[tuple[str, Any]] = ()
    limit: int | None = None
    sample: int | float | None = None
    seed: int | None = None
    missing_ok: bool = False


@dataclass(frozen=True)
class TableQuery:
    """The rows of one table that match ``where``, a condition in SQL with placeholders for ``values``.

    ``limit`` selects the first N in the order of ``order_by``. ``sample`` selects N of them, or a fraction;
    the same ``seed`` selects the same ones. ``columns`` are those that are kept; None is all. With
    ``missing_ok`` the table may be missing.
    """

    table: str
    where: str = ""
    values: Sequence[Any] | Mapping[str, Any] = ()
    columns: tuple[str, ...] | None = None
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    sample: int | float | None = None
    seed: int | None = None
    missing_ok: bool = False


@dataclass(frozen=True)
class Reference:
    """Selects the documents of ``target`` that have a value of the selected ``source``.

    Each is a collection, a dot and a field, or a table, a dot and a column. Without ``onward``, no reference
    is followed from the documents that only this one selects.
    """

    source: str
    target: str
    onward: bool = True


@dataclass(frozen=True)
class Selection:
    """A part of a database.

    ``queries`` and ``references`` select documents of their collections, and ``table_queries`` rows of their
    tables. Others are whole. With ``only``, those that it does not name are left out, and so are those of
    ``exclude``.
    """

    queries: tuple[CollectionQuery, ...] = ()
    references: tuple[Reference, ...] = ()
    only: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    table_queries: tuple[TableQuery, ...] = ()


class Names(TypedDict, total=False):
    """The arguments of `Choice`."""

    only: tuple[str, ...]
    exclude: tuple[str, ...]
    exclude_index: tuple[str, ...]
    rename: tuple[tuple[str, str], ...]
    without_indexes: bool
    into_existing: bool


@dataclass(frozen=True)
class Choice:
    """What of a source is transferred, by literal names.

    Of the collections only those in ``only``, and all without it, but for those in ``exclude``. The history
    is one of them, unless they go ``into_existing`` ones: then the target keeps its own, and all that has
    none of their names. ``exclude_index`` are indexes to leave out, as ``COLLECTION.INDEX``; with
    ``without_indexes`` all are left out but for those of the ids. ``rename`` are pairs: a collection, and its
    name in the target. All other names, and those of rules for masks, are those of the source.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_index: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    without_indexes: bool = False
    into_existing: bool = False

    def __bool__(self) -> bool:
        return self != EVERYTHING

    @property
    def options(self) -> str:
        """The options of commands that make it, for people."""
        return ", ".join(f"--{one.name.replace('_', '-')}" for one in fields(self) if getattr(self, one.name))

    def as_arguments(self) -> str:
        """Return the options of commands that make it, with their names, as a person writes them.

        Names beyond a few hundred bytes are counted only; the options without names are all there.
        """
        import shlex

        named, flags = list[str](), list[str]()
        for one in fields(self):
            value, option = getattr(self, one.name), f"--{one.name.replace('_', '-')}"
            if isinstance(value, bool):
                flags += [option] if value else []
            else:
                names = (name if isinstance(name, str) else "=".join(name) for name in value)
                named += [f"{option} {shlex.quote(name)}" for name in names]
        return " ".join((*_within(named, _MOST_BYTES), *flags))

    def require_staging(self, *, in_place: bool) -> None:
        """Check that the target is not emptied first, if it is to keep some of its contents.

        :raises UsageError: if it is.
        """
        if in_place and self.into_existing:
            raise UsageError(
                "--in-place empties the target first, and --into-existing keeps most of it.",
                "Nothing was changed. Leave out one of them.",
            )

    def new_name(self, name: str) -> str:
        """Return the name in the target of the collection called ``name``."""
        return dict(self.rename).get(name, name)

    @property
    def excluded(self) -> tuple[str, ...]:
        """What is left out by its name, for people."""
        return (*self.exclude, *self.exclude_index)


def _within(options: Sequence[str], most: int) -> Iterator[str]:
    """Yield the first ``options`` that have at most that many bytes together, and how many more there are."""
    for number, option in enumerate(options):
        most -= len(option.encode(errors="replace")) + 1
        if most < 0:
            yield f"and {len(options) - number} more"
            return
        yield option


EVERYTHING = Choice()


class CursorValues(ABC):
    """How a kind of database treats a cursor in a query: the ids of its documents replace it."""

    @abstractmethod
    def is_cursor(self, value: object) -> bool:
        """Return whether ``value`` is a cursor."""

    @abstractmethod
    def ids(self, cursor: Any) -> Iterator[Any]:
        """Yield the ids of all documents of ``cursor``, if possible also of those that were read already.

        :raises ValueError: if a document has no id.
        """

    @abstractmethod
    def condition(self, key: Any, ids: list[Any]) -> tuple[Any, Any]:
        """Return the entry of a query that replaces ``key`` with a cursor.

        :raises ValueError: if ``key`` is an operator that does not accept a list of ids.
        """
