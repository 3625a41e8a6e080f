"""What a sample of a database is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CollectionSample:
    """Some documents of a collection.

    ``total`` is how many it has, as the server estimates them. ``unique`` are the paths of the fields in its
    unique indexes, with dots between names. ``documents`` are plain Python: dict, list, str, int, float,
    bool, None, bytes, `datetime.datetime`, `decimal.Decimal` and `uuid.UUID`. Anything else is an
    `OpaqueValue`. They are read while they are iterated, once.
    """

    name: str
    kind: str
    total: int
    unique: frozenset[str]
    documents: Iterable[Mapping[str, Any]]
