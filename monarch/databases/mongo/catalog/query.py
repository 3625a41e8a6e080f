"""Queries: the documents and fields of a collection that are read, if not all of them."""

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

# A command may have a little more than 16 MiB. It holds the filter and little else.
_OF_FILTERS = ("$and", "$or", "$nor")
LONGEST_FILTER = (16 << 20) - (16 << 10)
# Operators of queries that mongodump would parse as values of Extended JSON, or as their older spellings.
_OTHER_MEANING = frozenset(
    (
        *("$regex", "$options", "$date", "$oid", "$binary", "$type", "$timestamp", "$code", "$scope", "$ref"),
        *("$id", "$db", "$symbol", "$uuid", "$undefined", "$minKey", "$maxKey", "$numberInt", "$numberLong"),
        *("$numberDouble", "$numberDecimal", "$regularExpression", "$dbPointer"),
    )
)


@dataclass(frozen=True)
class Find:
    """The documents that match ``filter``: the first ``limit`` in the order of ``sort``; 0 is no limit."""

    filter: Mapping[str, Any] = field(default_factory=dict)
    sort: tuple[tuple[str, Any], ...] = ()
    limit: int = 0

    @property
    def is_all(self) -> bool:
        """Whether it matches everything."""
        return not self.filter and not self.limit

    @property
    def is_plain(self) -> bool:
        """Whether it has only a filter."""
        return not self.sort and not self.limit

    def in_command(self) -> dict[str, Any]:
        """Return the fields of a find command."""
        command: dict[str, Any] = {"filter": dict(self.filter)}
        if self.sort:
            command["sort"] = dict(self.sort)
        if self.limit:
            command["limit"] = self.limit
        return command

    def on(self, collection: PyMongoCollection[Any], projection: Mapping[str, Any] | None) -> Cursor[Any]:
        """Return a cursor of pymongo for it."""
        return collection.find(self.filter, projection, sort=list(self.sort) or None, limit=self.limit)


@dataclass(frozen=True)
class Query:
    """The documents that ``finds`` match, each once, with the fields of ``projection`` or all."""

    finds: tuple[Find, ...]
    projection: Mapping[str, Any] | None = None

    @property
    def for_mongodump(self) -> str | None:
        """The filter in mongodump's syntax; None if mongodump cannot express the query."""
        if self.projection is not None or len(self.finds) != 1 or not self.finds[0].is_plain:
            return None
        found = self.finds[0].filter
        if any(key in _OTHER_MEANING for key in _keys(found)):
            return None
        return json_util.dumps(found, json_options=CANONICAL, ensure_ascii=False)


def size_of(filter: Mapping[str, Any]) -> int:
    """Return the encoded size of ``filter`` in bytes."""
    return len(bson.encode(filter))


def redact_values(find: Find) -> str:
    """Return ``find`` as text without data: every value is a question mark."""
    text = json.dumps(_hide(find.filter), ensure_ascii=False)
    if find.sort:
        text += f" sort {json.dumps(dict(find.sort), ensure_ascii=False, default=str)}"
    return text + (f" limit {find.limit}" if find.limit else "")


def _hide(filter: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``filter`` with its fields and operators, without anything that may be data."""
    hidden: dict[str, Any] = {}
    for key, value in filter.items():
        if key in _OF_FILTERS and isinstance(value, list):
            hidden[key] = [_hide(one) if isinstance(one, Mapping) else "?" for one in value]
        else:
            # A key with $ is an operator. Some, such as $expr and $where, may contain anything.
            hidden[key] = "?" if key.startswith("$") else _hide_value(value)
    return hidden


def _hide_value(value: Any) -> Any:
    """Hide a field's condition: operators if all keys are operators, otherwise a value."""
    if not isinstance(value, Mapping) or not value or not all(key.startswith("$") for key in value):
        return ["?"] if isinstance(value, list) else "?"
    inner = {"$not": _hide_value, "$elemMatch": _hide_elements}
    return {key: inner.get(key, _hide_operand)(one) for key, one in value.items()}


def _hide_elements(value: Any) -> Any:
    if isinstance(value, Mapping) and not all(key.startswith("$") for key in value):
        return _hide(value)
    return _hide_value(value)


def _hide_operand(value: Any) -> Any:
    # One question mark, also for ten thousand ids.
    return ["?"] if isinstance(value, list) else "?"


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from value
        for inner in value.values():
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
