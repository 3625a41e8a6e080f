"""The rules of one collection, compiled: they change the fields of raw documents.

What becomes of a field depends on its name and type only. It is decided when both are seen together for the
first time; after that, one look into a table tells it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, NoReturn

from monarch.databases.mongo.masking import elements
from monarch.databases.mongo.masking.elements import (
    FIXED,
    LENGTH,
    SIZES,
    TYPE_NAMES,
    InvalidDocument,
    end_of_two_texts,
)
from monarch.databases.mongo.masking.unnamed import Unnamed
from monarch.databases.mongo.masking.values import CODECS, KINDS, Change, change_values
from monarch.databases.mongo.stream.batches import SHORTEST
from monarch.privacy.key import MaskingKey
from monarch.privacy.paths import ITEMS, OTHERS, PathNode, join_path
from monarch.privacy.rules import Mask, MaskingError, Rule, WholeRule

# Names of fields may be data, such as those of a map of ids.
_MOST_NAMES = 20_000
# What servers let a document of people have.
_LONGEST = 16 << 20
_NOTHING = (elements.NULL, elements.UNDEFINED)


class _Field(NamedTuple):
    """What is to be known of fields of one name and type: how to measure them, and what becomes of them."""

    size: int
    least: int
    change: Change | None


def become_null(_data: bytes, _start: int, _end: int) -> bytes:
    """Return nothing: the caller writes a null instead of the element."""
    return b""


def be_removed(_data: bytes, _start: int, _end: int) -> bytes:
    """Return nothing: the caller leaves the element out."""
    return b""


_WHOLE: dict[str, Change | None] = {"keep": None, "public": None, "null": become_null, "remove": be_removed}


class FieldMasks:
    """Masks documents of ``collection`` by the rules in ``tree`` under ``key``."""

    def __init__(self, collection: str, tree: PathNode, key: MaskingKey) -> None:
        self.collection = collection
        self.key = key
        self.unnamed = Unnamed(collection)
        self._root = _Place(self, tree, ())

    def mask(self, documents: bytes) -> bytes:
        """Return ``documents``, one after another, with their fields masked.

        :raises MaskingError: if a field is named by no rule, or cannot be masked; or one is no valid BSON.
        """
        try:
            masked = self._mask(documents)
        except (InvalidDocument, struct.error, IndexError):
            raise MaskingError(
                f"A document of {self.collection!r} is no valid BSON, so it cannot be masked.",
                "Find it with the command validate of its server, and fix it there.",
            ) from None
        self.unnamed.require_none()
        return masked

    def _mask(self, documents: bytes) -> bytes:
        unpack, mask = LENGTH.unpack_from, self._root.mask
        parts: list[bytes] = []
        start, copied, size = 0, 0, len(documents)
        while start < size:
            (length,) = unpack(documents, start)
            end = start + length
            if length < SHORTEST or end > size or documents[end - 1]:
                raise InvalidDocument
            copied = mask(documents, start, end - 1, parts, copied)
            start = end
        if not copied:
            return documents
        parts.append(documents[copied:])
        return b"".join(parts)

    def refuse(self, path: str, kind: int, rule: Rule, why: str) -> NoReturn:
        """Raise the error of a value at ``path`` that ``rule`` cannot mask.

        What a mask has raised may quote the value, so no traceback shows it.
        """
        raise MaskingError(
            f"{self.collection}: {path} ({TYPE_NAMES[kind]}) cannot be masked: {rule!r} {why}.",
            f"Change the rule of {path!r}, or fix the documents at their source.",
        ) from None


class _Place:
    """The rules for one place where a document is; or an array, whose elements have no names."""

    def __init__(
        self, masks: FieldMasks, node: PathNode, parts: tuple[str, ...], *, is_array: bool = False
    ) -> None:
        self._masks = masks
        self._node = node
        self._parts = parts
        self._is_array = is_array
        self._table: dict[bytes, _Field] = {}

    def mask(self, data: bytes, start: int, end: int, parts: list[bytes], copied: int) -> int:
        """Mask the document from ``start`` to its last zero at ``end``.

        Adds to ``parts`` what precedes the last change, from ``copied`` on.

        :return: from where on the data is not in ``parts``; ``copied`` if nothing changes.
        """
        find, table, unpack, is_array = data.find, self._table.get, LENGTH.unpack_from, self._is_array
        mark = len(parts)
        position, grown, removed = start + 4, 0, False
        while position < end:
            stop = find(b"\0", position, end)
            if stop <= position:
                raise InvalidDocument
            key = data[position : position + 1 if is_array else stop]
            field = table(key) or self._decide(key)
            size, least, change = field
            value = stop + 1
            if least == FIXED:
                after = value + size
            elif least >= 0:
                (length,) = unpack(data, value)
                if length < least:
                    raise InvalidDocument
                after = value + size + length
            else:
                after = end_of_two_texts(data, value, end)
            if after > end:
                raise InvalidDocument
            if change is not None:
                new = change(data, value, after)
                if new is not None:
                    if copied <= start:
                        parts.append(data[copied:start])
                        parts.append(b"")  # the length, see below
                        copied = start + 4
                    if new:
                        parts.append(data[copied:value])
                        parts.append(new)
                        grown += len(new) - after + value
                    elif change is become_null:
                        parts.append(data[copied:position] + b"\x0a" + data[position + 1 : value])
                        grown -= after - value
                    else:
                        parts.append(data[copied:position])
                        grown -= after - position
                        removed = True
                    copied = after
            position = after
        if copied > start:
            self._set_length(parts, mark + 1, end + 1 - start, grown)
            if removed and is_array:
                return _renumber(data, end, parts, mark + 1, copied)
        return copied

    def _set_length(self, parts: list[bytes], place: int, length: int, grown: int) -> None:
        if length + grown > max(_LONGEST, length):
            raise MaskingError(
                f"A document of {self._masks.collection!r} would be larger than 16 MB once it is masked.",
                "Use rules whose results are shorter.",
            )
        parts[place] = LENGTH.pack(length + grown)

    def _decide(self, key: bytes) -> _Field:
        kind = key[0]
        size = SIZES.get(kind)
        if size is None:
            raise InvalidDocument
        if self._is_array:
            part, node, rest = ITEMS, self._node.items, None
        else:
            try:
                part = key[1:].decode()
            except UnicodeDecodeError:
                raise InvalidDocument from None
            node, rest = self._node.fields.get(part), self._node.rest
            if node is None and self._node.others is not None:
                node = self._node.others
                if self._parts:  # names of fields that only * names are data, which no error shows
                    part = OTHERS
        change = self._change(node, rest, kind, (*self._parts, part))
        field = _Field(*size, change)
        if len(self._table) >= _MOST_NAMES:
            self._table.clear()
        self._table[key] = field
        return field

    def _change(
        self, node: PathNode | None, rest: WholeRule | None, kind: int, parts: tuple[str, ...]
    ) -> Change | None:
        """Return what changes values of ``kind``: by ``node``, or by ``rest`` if no rule names the place."""
        rule = rest if node is None else node.rule
        if node is not None:
            if kind == elements.DOCUMENT and (node.fields or node.others is not None):
                return self._change_inside(_Place(self._masks, node, parts))
            if kind == elements.ARRAY and node.items is not None:
                return self._change_inside(_Place(self._masks, node, parts, is_array=True))
        if isinstance(rule, WholeRule):
            if _WHOLE[rule.name] is not None and parts == ("_id",):
                self._masks.refuse("_id", kind, rule, "is no rule for an _id, which every document has")
            return _WHOLE[rule.name]
        if node is None:
            self._masks.unnamed.add(parts, kind)
            return None
        if kind in _NOTHING:
            return None
        if isinstance(rule, Mask):
            return self._change_value(rule, kind, parts)
        self._masks.unnamed.add(parts, kind)
        return None

    def _change_value(self, rule: Mask, kind: int, parts: tuple[str, ...]) -> Change | None:
        functions = rule.bind(self._masks.key)
        if not KINDS.get(kind, set()) & functions.keys():
            self._masks.unnamed.add(parts, kind, rule)
            return None
        refuse: Callable[[str], NoReturn] = partial(self._masks.refuse, join_path(parts), kind, rule)
        assert kind in CODECS
        return change_values(kind, functions, refuse)

    @staticmethod
    def _change_inside(place: _Place) -> Change:
        mask = place.mask

        def change(data: bytes, start: int, end: int) -> bytes | None:
            if data[end - 1]:
                raise InvalidDocument
            parts: list[bytes] = []
            copied = mask(data, start, end - 1, parts, start)
            if copied == start:
                return None
            parts.append(data[copied:end])
            return b"".join(parts)

        return change


def _renumber(data: bytes, end: int, parts: list[bytes], mark: int, copied: int) -> int:
    """Number the elements of an array anew, whose parts begin at ``mark`` with its length."""
    array = b"".join(parts[mark:]) + data[copied:end]
    body: list[bytes] = []
    position, number = 4, 0
    while position < len(array):
        value = array.index(b"\0", position) + 1
        size, least = SIZES[array[position]]
        if least == FIXED:
            after = value + size
        elif least >= 0:
            after = value + size + LENGTH.unpack_from(array, value)[0]
        else:
            after = end_of_two_texts(array, value, len(array))
        body.append(b"%c%d\0%b" % (array[position], number, array[value:after]))
        position, number = after, number + 1
    body.insert(0, LENGTH.pack(sum(map(len, body)) + SHORTEST))
    parts[mark:] = [b"".join(body)]
    return end
