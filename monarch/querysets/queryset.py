"""The base class of query sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from monarch.databases import DEFAULT_KIND, find_kind
from monarch.databases.selection import CollectionQuery, Reference, TableQuery
from monarch.errors import UsageError
from monarch.querysets.arguments import check_limit, check_sample, check_table_query, names_of
from monarch.querysets.frozen_values import FrozenValues

if TYPE_CHECKING:
    import psycopg
    from pymongo.database import Database

    from monarch.databases.environment import Environment


class QuerySet:
    """A part of a database, to be copied or backed up. Subclasses implement `run`.

    ``environment`` is the environment of the source. In MongoDB ``database`` is pymongo's database, in
    PostgreSQL ``connection`` is psycopg's connection; ``uri`` is the whole connection string. An annotation
    of a subclass, such as ``account_id: int``, is an option: ``-o account_id=42`` sets it, and monarch
    prompts for an option without a default.
    """

    database: Database[dict[str, Any]]
    connection: psycopg.Connection[Any]
    uri: str
    environment: Environment

    def __init__(self) -> None:
        self._queries: list[CollectionQuery] = []
        self._table_queries: list[TableQuery] = []
        self._references: list[Reference] = []
        self._frozen: FrozenValues | None = None

    def run(self) -> None:
        """Call `dump_collection` or `dump_table`, and `follow`, to select what is read after this returns."""
        raise NotImplementedError

    def only(self) -> list[str] | None:
        """Return the names of collections or tables to include besides those of `run`; None for all others.

        The migration history is always included.
        """
        return None

    def exclude(self) -> list[str] | None:
        """Return the names of collections or tables to leave out, unless `run` selects some of them."""
        return None

    def cursor(self) -> psycopg.Cursor[Any]:
        """Return a new cursor of the connection to a PostgreSQL database."""
        return self.connection.cursor()

    def dump_collection(
        self,
        name: str,
        query: Mapping[str, Any] | None = None,
        *,
        projection: Sequence[str] | Mapping[str, Any] | None = None,
        sort: str | Sequence[str | tuple[str, Any]] | Mapping[str, Any] | None = None,
        limit: int | None = None,
        sample: float | None = None,
        seed: int | None = None,
        missing_ok: bool = False,
    ) -> None:
        """Include the documents of ``name`` that match ``query`` (all by default). Calls accumulate.

        ``query``, ``projection``, ``sort`` and ``limit`` are those of pymongo's `find`; their values are
        copied now. A cursor in ``query`` is replaced by the ``_id`` of its documents. ``sample`` picks
        documents at random: a number of them or, as a float up to 1.0, a fraction; with a ``seed`` always
        the same ones. A collection that does not exist is an error, unless ``missing_ok``.

        :raises UsageError: if the environment is not one of MongoDB.
        """
        self._require("dump_collection")
        name = getattr(name, "name", name)  # a pymongo collection has one
        _check(name, query, sort, limit, sample, seed)
        _check_projection(name, projection)
        selected = CollectionQuery(
            name,
            {} if query is None else self._values.copy(query),
            self._values.copy(projection) or None,
            _sort_of(sort),
            limit or None,
            sample,
            seed,
            missing_ok,
        )
        self._queries.append(selected)

    def dump_table(
        self,
        name: str,
        where: str = "",
        values: Sequence[Any] | Mapping[str, Any] = (),
        *,
        columns: Sequence[str] | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        sample: float | None = None,
        seed: int | None = None,
        missing_ok: bool = False,
    ) -> None:
        """Include the rows of ``name`` that match ``where`` (all by default). Calls accumulate.

        ``where`` is a condition in SQL, with psycopg's placeholders for ``values``: 'state = %s', ['open'].
        A cursor among these is replaced by the list of the values of its first column.
        The rows to which foreign keys of the included ones refer are included, too. ``columns`` are those
        that are kept: the others get their default or NULL. ``limit`` includes the first rows in the order
        of ``order_by``, which is SQL. ``sample`` picks rows at random: a number of them or, as a float up to
        1.0, a fraction; with a ``seed`` always the same ones. A table that does not exist is an error, unless
        ``missing_ok``.

        :raises UsageError: if the environment is not one of PostgreSQL.
        """
        self._require("dump_table")
        check_table_query(name, where, values)
        check_limit(name, limit, "rows")
        check_sample(name, sample, seed, {"order_by": order_by, "limit": limit or None})
        kept = None if columns is None else names_of(name, "columns", columns)
        order = names_of(name, "order_by", [order_by] if isinstance(order_by, str) else order_by or ())
        if order and not limit:
            raise ValueError(f"order_by= of {name!r} requires limit=")
        copied = self._values.copy(values)
        self._table_queries.append(
            TableQuery(name, where, copied, kept, order, limit or None, sample, seed, missing_ok)
        )

    def follow(self, source: str, target: str, *, onward: bool = True) -> None:
        """Include the documents whose ``target`` has a value that included documents have in ``source``.

        Both are a collection, a dot and a field, or a table, a dot and a column:
        ``follow('orders.user_id', 'users._id')`` includes the users of the included orders,
        ``follow('users._id', 'orders.user_id')`` the orders of the included users.
        Documents that are included this way are followed in turn, in any order of the calls, until nothing
        new is found. With ``onward=False``, no reference is followed from the documents that only this call
        includes: the authors of messages, for example, without everything else that they have written.
        """
        for path in (source, target):
            if not isinstance(path, str) or "." not in path.strip("."):
                raise ValueError(f"{path!r} is not a collection, a dot and a field, as in 'users._id'")
        self._references.append(Reference(source, target, bool(onward)))

    @property
    def _values(self) -> FrozenValues:
        if self._frozen is None:
            environment = getattr(self, "environment", None)  # nobody runs it on one in a test
            kind = DEFAULT_KIND if environment is None else environment.kind
            self._frozen = FrozenValues(find_kind(kind).cursor_values())
        return self._frozen

    def _require(self, method: str) -> None:
        """Check that the environment is of a kind whose databases ``method`` selects from."""
        environment = getattr(self, "environment", None)
        if environment is None:  # nobody runs it on one
            return
        kind = find_kind(environment.kind)
        if kind.query_method != method:
            raise UsageError(
                f"{method}() does not select from a {kind.title} database, and {environment.label!r} is one.",
                f"Use self.{kind.query_method}({kind.query_example})",
            )


def _check(name: object, query: object, sort: object, limit: object, sample: object, seed: object) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"{name!r} is not the name of a collection")
    if query is not None and not isinstance(query, Mapping):
        raise TypeError(f"the query of {name!r} must be a dict, not {type(query).__name__}")
    check_limit(name, limit, "documents")
    check_sample(name, sample, seed, {"sort": sort, "limit": limit or None})


def _check_projection(name: str, projection: object) -> None:
    fields: Any = projection if isinstance(projection, Mapping | list | tuple) else ()
    if projection and (not fields or not all(isinstance(field, str) for field in fields)):
        raise TypeError(f"projection={projection!r} of {name!r} is neither a list of fields nor a dict")


def _sort_of(sort: Any) -> tuple[tuple[str, Any], ...]:
    """Return ``sort`` as pairs. As in pymongo, it may be a field, a list of fields or pairs, or a dict."""
    if sort is None:
        return ()
    entries: Iterable[Any] = [sort] if isinstance(sort, str) else sort
    if isinstance(sort, Mapping):
        entries = sort.items()
    return tuple((entry, 1) if isinstance(entry, str) else (entry[0], entry[1]) for entry in entries)
