"""What somebody writes into a query, as it is at that moment: nothing that is done to it later counts.

A cursor stands for the ``_id`` of its documents. That is told by what it can do: this knows no database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set, ValuesView
from typing import Any

# Operators that take a list; and those that do so under another name.
_TAKE_LISTS = ("$in", "$nin", "$all")
_LISTS_OF = {"$eq": "$in", "$ne": "$nin"}


class FrozenValues:
    """Takes values as they are. What can be read only once is read once, however often it is used."""

    def __init__(self) -> None:
        # With what was read, so that no other object gets its identity meanwhile.
        self._read: dict[int, tuple[object, list[Any]]] = {}

    def of(self, value: Any) -> Any:
        """``value`` with its own dicts and lists; what else Python counts as some values is a list.

        :raises ValueError: if a cursor stands where no list of ids can.
        """
        if isinstance(value, Mapping):
            if hasattr(value, "raw"):  # encoded already, and immutable
                return value
            return dict(self._entry(key, inner) for key, inner in value.items())
        if isinstance(value, list | tuple | Set | ValuesView):
            return [self.of(inner) for inner in value]
        if isinstance(value, Iterator):
            return self._list(value)
        return value

    def _entry(self, key: Any, value: Any) -> tuple[Any, Any]:
        if not _is_cursor(value):
            return key, self.of(value)
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
            read = list(_ids(source)) if _is_cursor(source) else [self.of(inner) for inner in source]
            self._read[id(source)] = source, read
        return list(self._read[id(source)][1])


def _is_cursor(value: object) -> bool:
    return isinstance(value, Iterator) and hasattr(value, "alive") and hasattr(value, "close")


def _ids(cursor: Any) -> Iterator[Any]:
    """Of all its documents, also of those that somebody has looked at already, where that is possible."""
    for document in cursor.clone() if hasattr(cursor, "clone") else cursor:
        if "_id" not in document:
            raise ValueError("a cursor stands for the _id of its documents, and these have none")
        yield document["_id"]
