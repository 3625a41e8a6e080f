"""Cursors of pymongo as values in a query set: a cursor is replaced by the ``_id`` of its documents.

It is recognized by its methods, because this module must be cheap to import, without the driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monarch.databases.selection import CursorValues

# Operators that take a list, and operators that have another name with a list.
_TAKE_LISTS = ("$in", "$nin", "$all")
_WITH_LIST = {"$eq": "$in", "$ne": "$nin"}


class MongoCursorValues(CursorValues):
    """Replaces cursors of pymongo."""

    def is_cursor(self, value: object) -> bool:
        return isinstance(value, Iterator) and hasattr(value, "alive") and hasattr(value, "close")

    def ids(self, cursor: Any) -> Iterator[Any]:
        for document in cursor.clone() if hasattr(cursor, "clone") else cursor:
            if "_id" not in document:
                raise ValueError(
                    "a cursor in a query needs the _id of its documents: add it to its projection"
                )
            yield document["_id"]

    def condition(self, key: Any, ids: list[Any]) -> tuple[Any, Any]:
        if key in _TAKE_LISTS:
            return key, ids
        if key in _WITH_LIST:
            return _WITH_LIST[key], ids
        if isinstance(key, str) and key.startswith("$"):
            raise ValueError(f"{key} does not accept a cursor: use it as the value of a field, or with $in")
        return key, {"$in": ids}
