"""Copies of the values in a query, as they are when the query set names them. Later changes have no effect.

A cursor stands for the ``_id`` of its documents. It is recognized by its methods, because this room imports
no driver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set, ValuesView
from typing import Any

# Operators that take a list, and operators that have another name with a list.
_TAKE_LISTS = ("$in", "$nin", "$all")
_LISTS_OF = {"$eq": "$in", "$ne": "$nin"}


class FrozenValues:
    """Copies values. A cursor or iterator is read once, however often it is used."""

    def __init__(self) -> None:
        # Each with its object, so that no other object gets the same id.
        self._read: dict[int, tuple[object, list[Any]]] = {}

    def copy(self, value: Any) -> Any:
        """Return ``value`` with copies of its dicts and lists. Tuples, sets and iterators become lists.

        :raises ValueError: if a cursor is where no list of ids can be.
        """
        if isinstance(value, Mapping):
            if hasattr(value, "raw"):  # an encoded document, which is immutable
                return value
            return dict(self._entry(key, inner) for key, inner in value.items())
        if isinstance(value, list | tuple | Set | ValuesView):
            return [self.copy(inner) for inner in value]
        if isinstance(value, Iterator):
            return self._list(value)
        return value

    def _entry(self, key: Any, value: Any) -> tuple[Any, Any]:
        if not _is_cursor(value):
            return key, self.copy(value)
        ids = self._list(value)
        if key in _TAKE_LISTS:
            return key, ids
        if key in _LISTS_OF:
            return _LISTS_OF[key], ids
        if isinstance(key, str) and key.startswith("$"):
            raise ValueError(f"a cursor cannot stand behind {key}, only where a list of ids can")
        return key, {"$in": ids}

    def _list(self, source: Any) -> list[Any]:
        if id(source) not in self._read:
            read = list(_ids(source)) if _is_cursor(source) else [self.copy(inner) for inner in source]
            self._read[id(source)] = source, read
        return list(self._read[id(source)][1])


def _is_cursor(value: object) -> bool:
    return isinstance(value, Iterator) and hasattr(value, "alive") and hasattr(value, "close")


def _ids(cursor: Any) -> Iterator[Any]:
    """Yield the ids of all its documents; where it can be cloned, also of those that were read already."""
    for document in cursor.clone() if hasattr(cursor, "clone") else cursor:
        if "_id" not in document:
            raise ValueError("a cursor stands for the _id of its documents, and these have none")
        yield document["_id"]
