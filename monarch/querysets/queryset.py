"""What a query set is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from monarch.databases.selection import CollectionQuery, Reference
from monarch.querysets.frozen_values import FrozenValues

if TYPE_CHECKING:
    from pymongo.database import Database

    from monarch.databases.environment import Environment


_MOST = (1 << 31) - 1


class QuerySet:
    """A part of a database, to be copied or backed up. Subclasses write `run`.

    ``database`` is pymongo's, of the environment that is read; ``environment`` says which one that is.
    What a subclass annotates, as in ``account_id: int``, is an option: ``-o account_id=42`` says it, and a
    person is asked for what has no default.
    """

    database: Database[dict[str, Any]]
    environment: Environment

    def __init__(self) -> None:
        self._wanted: list[CollectionQuery] = []
        self._references: list[Reference] = []
        self._values = FrozenValues()

    def run(self) -> None:
        """Say what is wanted, by `dump_collection` and `follow`. Nothing is dumped before it has returned."""
        raise NotImplementedError

    def only(self) -> list[str] | None:
        """Names of collections, if besides those of `run` no others are wanted. The history always is."""
        return None

    def exclude(self) -> list[str] | None:
        """Names of collections that are not wanted, unless `run` says more of them."""
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
        """Want of the collection ``name`` what ``query`` finds; all of it without one. Said twice, both.

        ``query``, ``projection``, ``sort`` and ``limit`` are as `find` of pymongo takes them, and count as
        they are now. A cursor in ``query`` stands for the ``_id`` of its documents. ``sample`` is a number of
        documents or, as a float up to 1.0, a fraction, picked at random: with a ``seed`` always the same. A
        collection that does not exist is an error, unless ``missing_ok``.
        """
        name = getattr(name, "name", name)  # pymongo's collections have one
        _check(name, query, sort, limit, sample, seed)
        _check_projection(name, projection)
        wanted = CollectionQuery(
            name,
            {} if query is None else self._values.of(query),
            self._values.of(projection) or None,
            _sort_of(sort),
            limit or None,
            sample,
            seed,
            missing_ok,
        )
        self._wanted.append(wanted)

    def follow(self, source: str, target: str) -> None:
        """Want the documents that have in ``target`` what wanted documents have in ``source``.

        Both are a collection, a dot and a field: ``follow('orders.user_id', 'users._id')`` brings the users
        of the wanted orders, ``follow('users._id', 'orders.user_id')`` the orders of the wanted users. What
        is brought is wanted too, and followed in turn, whatever is said first, until nothing new comes.
        """
        for path in (source, target):
            if not isinstance(path, str) or "." not in path.strip("."):
                raise ValueError(f"{path!r} is not a collection, a dot and a field, as in 'users._id'")
        self._references.append(Reference(source, target))


def _check(name: object, query: object, sort: object, limit: object, sample: object, seed: object) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"{name!r} is not the name of a collection")
    if query is not None and not isinstance(query, Mapping):
        raise TypeError(f"the query of {name!r} is no dict but {type(query).__name__}")
    if limit is not None and (type(limit) is not int or not 0 <= limit <= _MOST):
        raise ValueError(f"limit={limit!r} of {name!r} is no number of documents")
    if sample is not None:
        if sort is not None or limit:
            raise ValueError(f"sample= of {name!r} does not go with sort= or limit=")
        whole = type(sample) is int and sample > 0
        if not whole and not (type(sample) is float and 0 < sample <= 1):
            raise ValueError(f"sample={sample!r} of {name!r} is neither a number nor a fraction up to 1.0")
        if seed is not None and type(seed) is not int:
            raise ValueError(f"seed={seed!r} of {name!r} is no whole number")
    elif seed is not None:
        raise ValueError(f"seed= of {name!r} goes with sample=")


def _check_projection(name: str, projection: object) -> None:
    fields: Any = projection if isinstance(projection, Mapping | list | tuple) else ()
    if projection and (not fields or not all(isinstance(field, str) for field in fields)):
        raise TypeError(f"projection={projection!r} of {name!r} is neither a list of fields nor a dict")


def _sort_of(sort: Any) -> tuple[tuple[str, Any], ...]:
    """``sort`` as pairs; as pymongo, it may be a field, a list of fields or pairs, or a dict."""
    if sort is None:
        return ()
    entries: Iterable[Any] = [sort] if isinstance(sort, str) else sort
    if isinstance(sort, Mapping):
        entries = sort.items()
    return tuple((entry, 1) if isinstance(entry, str) else (entry[0], entry[1]) for entry in entries)
