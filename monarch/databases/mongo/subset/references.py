"""Read the fields that hold references: find their collections, and extract their values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from bson.dbref import DBRef
from bson.regex import Regex

from monarch.errors import UsageError


@dataclass(frozen=True)
class FieldPath:
    """The field ``field`` of ``collection``; dots in it lead into documents and lists."""

    collection: str
    field: str


@dataclass(frozen=True)
class FollowRule:
    """A `Reference` of the collections that there are."""

    source: FieldPath
    target: FieldPath
    onward: bool

    def __str__(self) -> str:
        source, target = self.source, self.target
        return f"follow('{source.collection}.{source.field}', '{target.collection}.{target.field}')"


def require_start(rules: Sequence[FollowRule], reached: set[str]) -> None:
    """Check that each of the ``rules`` starts at one of the collections ``reached``, or is led to by others.

    :raises UsageError: if nothing leads to one, as in a circle.
    """
    onward = [rule for rule in rules if rule.onward]
    while more := {rule.target.collection for rule in onward if rule.source.collection in reached} - reached:
        reached = reached | more
    for rule in rules:
        source, target = rule.source.collection, rule.target.collection
        if source not in reached:
            raise UsageError(
                f"follow() goes from {source!r} to {target!r}, but starts at no document.",
                f"Select some: self.dump_collection({source!r}, …)",
            )


def find_path(text: str, collections: Collection[str]) -> FieldPath | None:
    """Split ``text``, such as ``orders.user_id``; return None if it begins with none of ``collections``.

    Names of collections may contain dots: the longest match is used.
    """
    parts = text.split(".")
    for number in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:number])
        if name in collections:
            return FieldPath(name, ".".join(parts[number:]))
    return None


def projection_for(field: str) -> dict[str, int]:
    """Return the projection that `reference_values` needs. A projection cannot name a position in a list."""
    parts = takewhile(lambda part: not part.isdecimal() and not part.startswith("$"), field.split("."))
    name = ".".join(parts)
    return {name: 1} if name == "_id" or name.startswith("_id.") else {name: 1, "_id": 0}


def reference_values(document: Mapping[str, Any], field: str, target: str) -> Iterator[Any]:
    """Yield the values of ``field`` in ``document``: each value of a list, the id of a DBRef to ``target``.

    Regular expressions and documents with operators are skipped: in a filter they would match other values.
    """
    for value in _values(document, field.split(".")):
        found = value.id if isinstance(value, DBRef) and value.collection == target else value
        if found is None or isinstance(found, DBRef | Regex | re.Pattern):
            continue
        if isinstance(found, Mapping) and any(key.startswith("$") for key in found):
            continue
        yield found


def _values(value: Any, parts: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        if parts and parts[0].isdecimal() and int(parts[0]) < len(value):
            yield from _values(value[int(parts[0])], parts[1:])
        for one in value:
            if not parts or isinstance(one, Mapping | DBRef):
                yield from _values(one, parts)
    elif parts:
        inner = value.as_doc() if isinstance(value, DBRef) else value
        if isinstance(inner, Mapping) and parts[0] in inner:
            yield from _values(inner[parts[0]], parts[1:])
    else:
        yield value
