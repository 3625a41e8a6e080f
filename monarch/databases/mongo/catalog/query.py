"""Which documents of a collection are read, and which fields of them, where that is not all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import bson
from bson import json_util
from pymongo.collection import Collection as PyMongoCollection
from pymongo.cursor import Cursor

from monarch.databases.mongo.extended_json import CANONICAL

# A command has 16 MiB and a little, and ours holds a filter and little else.
_OF_FILTERS = ("$and", "$or", "$nor")
LONGEST_FILTER = (16 << 20) - (16 << 10)
# What mongodump takes for a value of Extended JSON, or for an older spelling of one, where we mean a query.
_OTHER_MEANING = frozenset(
    (
        *("$regex", "$options", "$date", "$oid", "$binary", "$type", "$timestamp", "$code", "$scope", "$ref"),
        *("$id", "$db", "$symbol", "$uuid", "$undefined", "$minKey", "$maxKey", "$numberInt", "$numberLong"),
        *("$numberDouble", "$numberDecimal", "$regularExpression", "$dbPointer"),
    )
)


@dataclass(frozen=True)
class Find:
    """What ``filter`` finds, of that the first ``limit`` in the order of ``sort``; 0 is no limit."""

    filter: Mapping[str, Any] = field(default_factory=dict)
    sort: tuple[tuple[str, Any], ...] = ()
    limit: int = 0

    @property
    def is_all(self) -> bool:
        """Whether it finds everything."""
        return not self.filter and not self.limit

    @property
    def is_plain(self) -> bool:
        """Whether it is nothing but a filter."""
        return not self.sort and not self.limit

    def in_command(self) -> dict[str, Any]:
        """What is said of it in a command."""
        command: dict[str, Any] = {"filter": dict(self.filter)}
        if self.sort:
            command["sort"] = dict(self.sort)
        if self.limit:
            command["limit"] = self.limit
        return command

    def on(self, collection: PyMongoCollection[Any], projection: Mapping[str, Any] | None) -> Cursor[Any]:
        """A cursor for it."""
        return collection.find(self.filter, projection, sort=list(self.sort) or None, limit=self.limit)


@dataclass(frozen=True)
class Query:
    """The documents that ``finds`` find, none of them twice; of them the fields of ``projection``, or all."""

    finds: tuple[Find, ...]
    projection: Mapping[str, Any] | None = None

    @property
    def for_mongodump(self) -> str | None:
        """The filter as mongodump takes it, which knows nothing else; None if it cannot say it."""
        if self.projection is not None or len(self.finds) != 1 or not self.finds[0].is_plain:
            return None
        found = self.finds[0].filter
        if any(key in _OTHER_MEANING for key in _keys(found)):
            return None
        return json_util.dumps(found, json_options=CANONICAL, ensure_ascii=False)


def size_of(filter: Mapping[str, Any]) -> int:
    """How many bytes ``filter`` has on its way to the server."""
    return len(bson.encode(filter))


def redact_values(find: Find) -> str:
    """``find`` for people who are not to see the data: a question mark for every value."""
    text = json.dumps(_hide(find.filter), ensure_ascii=False)
    if find.sort:
        text += f" sort {json.dumps(dict(find.sort), ensure_ascii=False, default=str)}"
    return text + (f" limit {find.limit}" if find.limit else "")


def _hide(filter: Mapping[str, Any]) -> dict[str, Any]:
    """``filter`` with its fields and operators, and with nothing that may be data."""
    hidden: dict[str, Any] = {}
    for key, value in filter.items():
        if key in _OF_FILTERS and isinstance(value, list):
            hidden[key] = [_hide(one) if isinstance(one, Mapping) else "?" for one in value]
        else:
            # What begins so is an operator, of which some look into anything: $expr, $where.
            hidden[key] = "?" if key.startswith("$") else _hide_value(value)
    return hidden


def _hide_value(value: Any) -> Any:
    """What is asked of a field: operators, if all keys are some; otherwise a value."""
    if not isinstance(value, Mapping) or not value or not all(key.startswith("$") for key in value):
        return ["?"] if isinstance(value, list) else "?"
    inner = {"$not": _hide_value, "$elemMatch": _hide_elements}
    return {key: inner.get(key, _hide_operand)(one) for key, one in value.items()}


def _hide_elements(value: Any) -> Any:
    if isinstance(value, Mapping) and not all(key.startswith("$") for key in value):
        return _hide(value)
    return _hide_value(value)


def _hide_operand(value: Any) -> Any:
    # Ten thousand ids are as good as one.
    return ["?"] if isinstance(value, list) else "?"


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from value
        for inner in value.values():
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
