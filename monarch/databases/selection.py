"""Which part of a database somebody wants: what a query set has asked for, before a database is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CollectionQuery:
    """Documents of one collection: those that ``query`` finds, as `find` of pymongo takes it.

    Of these the first ``limit`` in the order of ``sort``; or a ``sample`` of so many, or of such a fraction,
    which is the same for the same ``seed``. ``projection`` says which fields they keep. With ``missing_ok``
    there need not be such a collection.
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
class Reference:
    """What is found in ``source`` is looked for in ``target``; each is a collection, a dot and a field."""

    source: str
    target: str


@dataclass(frozen=True)
class Selection:
    """A part of a database.

    The collections of ``wanted`` and ``references`` as these say. All others whole, if they are among
    ``only``, unless that is None, and not among ``exclude``.
    """

    wanted: tuple[CollectionQuery, ...] = ()
    references: tuple[Reference, ...] = ()
    only: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
