"""Copies of the values in a query, as of when the query set names them. Later changes have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set, ValuesView
from typing import Any

from monarch.databases.selection import CursorValues


class FrozenValues:
    """Copies values. A cursor or iterator is read once, however often it is used."""

    def __init__(self, cursors: CursorValues) -> None:
        self._cursors = cursors
        # Each with its object, so that no other object gets the same id.
        self._read: dict[int, tuple[object, list[Any]]] = {}

    def copy(self, value: Any) -> Any:
        """Return ``value`` with copies of its dicts and lists. Tuples, sets and iterators become lists.

        :raises ValueError: if a cursor is used where a list of ids is not allowed.
        """
        if self._cursors.is_cursor(value):
            return self._list(value)
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
        if not self._cursors.is_cursor(value):
            return key, self.copy(value)
        return self._cursors.condition(key, self._list(value))

    def _list(self, source: Any) -> list[Any]:
        if id(source) not in self._read:
            if self._cursors.is_cursor(source):
                read = list(self._cursors.ids(source))
            else:
                read = [self.copy(inner) for inner in source]
            self._read[id(source)] = source, read
        return list(self._read[id(source)][1])
