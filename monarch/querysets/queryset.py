"""The base class of query sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from monarch.databases import DEFAULT_KIND, find_kind
from monarch.databases.selection import CollectionQuery, Reference
from monarch.querysets.frozen_values import FrozenValues

if TYPE_CHECKING:
    from pymongo.database import Database

    from monarch.databases.environment import Environment


_MOST = (1 << 31) - 1


class QuerySet:
    """A part of a database, to be copied or backed up. Subclasses implement `run`.

    ``database`` is the pymongo database of the source, ``environment`` its environment. An annotation of a
    subclass, such as ``account_id: int``, is an option: ``-o account_id=42`` sets it, and monarch prompts
    for an option without a default.
    """

    database: Database[dict[str, Any]]
    environment: Environment

    def __init__(self) -> None:
        self._queries: list[CollectionQuery] = []
        self._references: list[Reference] = []
        self._values = FrozenValues(find_kind(DEFAULT_KIND).cursor_values())

    def run(self) -> None:
        """Call `dump_collection` and `follow` to select documents. They are dumped after this returns."""
        raise NotImplementedError

    def only(self) -> list[str] | None:
        """Return the names of the collections to include besides those of `run`; None for all others.

        The migration history is always included.
        """
        return None

    def exclude(self) -> list[str] | None:
        """Return the names of collections to leave out, unless `run` selects documents of them."""
        return None

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
        """
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

    def follow(self, source: str, target: str, *, onward: bool = True) -> None:
        """Include the documents whose ``target`` has a value that included documents have in ``source``.

        Both are a collection, a dot and a field: ``follow('orders.user_id', 'users._id')`` includes the users
        of the included orders, ``follow('users._id', 'orders.user_id')`` the orders of the included users.
        Documents that are included this way are followed in turn, in any order of the calls, until nothing
        new is found. With ``onward=False``, no reference is followed from the documents that only this call
        includes: the authors of messages, for example, without everything else that they have written.
        """
        for path in (source, target):
            if not isinstance(path, str) or "." not in path.strip("."):
                raise ValueError(f"{path!r} is not a collection, a dot and a field, as in 'users._id'")
        self._references.append(Reference(source, target, bool(onward)))


def _check(name: object, query: object, sort: object, limit: object, sample: object, seed: object) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"{name!r} is not the name of a collection")
    if query is not None and not isinstance(query, Mapping):
        raise TypeError(f"the query of {name!r} must be a dict, not {type(query).__name__}")
    if limit is not None and (type(limit) is not int or not 0 <= limit <= _MOST):
        raise ValueError(f"limit={limit!r} of {name!r} is not a number of documents")
    if sample is not None:
        if sort is not None or limit:
            raise ValueError(f"sample= of {name!r} cannot be combined with sort= or limit=")
        whole = type(sample) is int and sample > 0
        if not whole and not (type(sample) is float and 0 < sample <= 1):
            raise ValueError(f"sample={sample!r} of {name!r} is neither a number nor a fraction up to 1.0")
        if seed is not None and type(seed) is not int:
            raise ValueError(f"seed={seed!r} of {name!r} is not a whole number")
    elif seed is not None:
        raise ValueError(f"seed= of {name!r} requires sample=")


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
