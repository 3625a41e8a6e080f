"""The fields of a sample of documents: how often each is there, of which types, and some of its values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from monarch.privacy.detection.suggestion import PersonalKind
from monarch.privacy.detection.texts import kind_of_text
from monarch.privacy.detection.words import hint_of
from monarch.privacy.paths import ITEMS, OTHERS
from monarch.privacy.rules import OpaqueValue, ValueKind

# Of each field this many values are kept, and this much of each text.
VALUES, LETTERS = 400, 4000
NULL, ARRAY, DOCUMENT = "null", "array", "document"
# From so many names on, the fields of a document are taken for a map, whatever they are called.
_TOO_MANY = 300
# Names that are generated: ids, numbers, dates, UUIDs, mails, whole URLs.
_GENERATED = re.compile(
    r"[\da-f]{24}|[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-[\da-fA-F]{12}|\d+|\d{4}-\d\d(-\d\d)?.*|[\da-f]{16,}|\S+@\S+|\+\d{6,}"
)
_RANDOM_NAME = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w-]{12,}")
_FEWEST_LIKE_IT = 5
_PERSONAL_NAMES = (PersonalKind.EMAIL, PersonalKind.IP, PersonalKind.PHONE)


_TYPES: dict[type, str] = {
    type(None): NULL,
    bool: str(ValueKind.BOOLEAN),
    str: str(ValueKind.TEXT),
    int: str(ValueKind.INTEGER),
    float: str(ValueKind.FLOAT),
    datetime: str(ValueKind.DATE),
    Decimal: str(ValueKind.DECIMAL),
    bytes: str(ValueKind.BINARY),
    UUID: str(ValueKind.UUID),
    list: ARRAY,
    dict: DOCUMENT,
}


def type_of(value: object) -> str:
    """Return the name of the type of ``value``, which is of plain Python or opaque."""
    return value.type if isinstance(value, OpaqueValue) else _TYPES[type(value)]


@dataclass
class FieldNode:
    """One place in the documents of a collection.

    ``seen`` documents have it. ``types`` are those of all values there, ``values`` some single ones.
    ``fields``, ``others`` and ``items`` are the places below it, as in `monarch.privacy.paths.PathNode`.
    """

    seen: int = 0
    types: Counter[str] = field(default_factory=Counter)
    values: list[Any] = field(default_factory=list)
    fields: dict[str, FieldNode] = field(default_factory=dict)
    others: FieldNode | None = None
    items: FieldNode | None = None
    # Whether it stands for fields whose names are personal themselves, such as mails.
    has_personal_name: bool = False
    _last: int = -1

    def add(self, value: object, number: int) -> None:
        """Take in ``value`` of the document of that ``number``."""
        if self._last != number:
            self.seen, self._last = self.seen + 1, number
        self.types[type_of(value)] += 1
        if isinstance(value, dict):
            self._add_fields(value, number)
        elif isinstance(value, list):
            if value:
                self.items = self.items or FieldNode()
            for item in value:
                assert self.items is not None
                self.items.add(item, number)
        elif len(self.values) < VALUES and value is not None and not isinstance(value, OpaqueValue):
            self.values.append(value[:LETTERS] if isinstance(value, str | bytes) else value)

    def _add_fields(self, document: Mapping[str, Any], number: int) -> None:
        for name, value in document.items():
            node = self.fields.get(name)
            if node is None and self.others is not None and len(self.fields) >= _TOO_MANY:
                node = self.others
            elif node is None:
                node = self.fields[name] = FieldNode()
            node.add(value, number)
        if len(self.fields) > _TOO_MANY and self.others is None:
            self._join(list(self.fields))

    def join_maps(self) -> None:
        """Turn fields that differ in every document, such as ids, into one that stands for all of them."""
        for node in self.below():
            node.join_maps()
        generated = [name for name in self.fields if _is_generated(name)]
        alike = len(self.fields) >= _FEWEST_LIKE_IT and len(generated) == len(self.fields)
        rare = [
            name
            for name in generated
            if _is_personal(name) or self.fields[name].seen * 2 <= max(self.seen, 2)
        ]
        if alike or self.others is not None:
            self._join(list(self.fields))
        elif rare:
            self._join(rare)
        elif self._is_map():
            self._join(list(self.fields))
        if self.others is not None:
            self.others.join_maps()

    def _is_map(self) -> bool:
        """Whether the names are many, each is rare, and what they hold is of one form."""
        if len(self.fields) < _FEWEST_LIKE_IT or any(hint_of(name).kind for name in self.fields):
            return False
        forms = {tuple(sorted((*node.types, *node.fields))) for node in self.fields.values()}
        structured = all(node.fields or node.items for node in self.fields.values())
        # Documents of one form are rarely fields of their own; single values often are.
        rare = all(node.seen * (2 if structured else 4) <= self.seen for node in self.fields.values())
        return rare and len(forms) == 1 and (structured or len(self.fields) >= 2 * _FEWEST_LIKE_IT)

    def _join(self, names: list[str]) -> None:
        self.others = self.others or FieldNode()
        self.others.has_personal_name |= any(map(_is_personal, names))
        for name in names:
            self.others.absorb(self.fields.pop(name))

    def absorb(self, other: FieldNode) -> None:
        """Take in what ``other`` has seen. A document that both have seen counts twice."""
        self.seen += other.seen
        self.types += other.types
        self.values = (self.values + other.values)[:VALUES]
        self.has_personal_name |= other.has_personal_name
        for name, node in other.fields.items():
            self.fields.setdefault(name, FieldNode()).absorb(node)
        if other.others is not None:
            self.others = self.others or FieldNode()
            self.others.absorb(other.others)
        if other.items is not None:
            self.items = self.items or FieldNode()
            self.items.absorb(other.items)

    def below(self) -> Iterator[FieldNode]:
        """Yield the places just below it."""
        yield from self.fields.values()
        if self.items is not None:
            yield self.items

    def walk(self, parts: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldNode]]:
        """Yield it, and all places below it, each with the parts of its path; none below personal names."""
        yield parts, self
        if self.has_personal_name:
            return
        for name, node in sorted(self.fields.items()):
            # A field of such a name has no path, which must not be taken for another one.
            yield from node.walk((*parts, "\0" if name in (ITEMS, OTHERS) else name))
        if self.others is not None:
            yield from self.others.walk((*parts, OTHERS))
        if self.items is not None:
            yield from self.items.walk((*parts, ITEMS))


def _is_personal(name: str) -> bool:
    return kind_of_text(name) in _PERSONAL_NAMES


def _is_generated(name: str) -> bool:
    return bool(_GENERATED.fullmatch(name) or _RANDOM_NAME.fullmatch(name)) or _is_personal(name)
