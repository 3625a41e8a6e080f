"""A slow masking of documents, written as plainly as possible, and random documents for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import bson
from bson import (
    Binary,
    Code,
    DatetimeMS,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from monarch.databases.mongo.catalog.model import CODEC
from monarch.privacy.key import MaskingKey
from monarch.privacy.paths import PathNode
from monarch.privacy.rules import Mask, ValueFunction, ValueKind, WholeRule

NAMES = ("a", "b", "ü", "long name", "$d", "e.f", "", "_id")


class Stopped(Exception):
    """The reference found a value that no rule names or takes."""


class Scramble(Mask):
    """A mask for tests that takes everything, and changes it by the key."""

    def __repr__(self) -> str:
        return "scramble()"

    def bind(self, key: MaskingKey) -> Mapping[ValueKind, ValueFunction]:
        hash_of = key.hasher("scramble")

        def number(value: int) -> int:
            return int.from_bytes(hash_of(str(value).encode())[:3], "little")

        return {
            ValueKind.TEXT: lambda value: hash_of(value.encode()).hex()[: len(value) + 2],
            ValueKind.INTEGER: number,
            ValueKind.FLOAT: lambda value: float(number(int.from_bytes(hash_of(str(value).encode())[:2]))),
            ValueKind.DECIMAL: lambda value: type(value)(
                number(int.from_bytes(hash_of(str(value).encode())))
            ),
            ValueKind.DATE: number,
            ValueKind.BINARY: lambda value: hash_of(value)[: len(value) // 2],
            ValueKind.OBJECT_ID: lambda value: hash_of(value)[:12],
            ValueKind.UUID: lambda value: hash_of(value)[:16],
            ValueKind.BOOLEAN: lambda value: not value,
        }


class Texts(Scramble):
    """As `Scramble`, for texts only."""

    def __repr__(self) -> str:
        return "texts()"

    def bind(self, key: MaskingKey) -> Mapping[ValueKind, ValueFunction]:
        return {ValueKind.TEXT: super().bind(key)[ValueKind.TEXT]}


def mask_slowly(document: bytes, tree: PathNode, key: MaskingKey) -> bytes:
    """Return ``document`` as the rules in ``tree`` say.

    :raises Stopped: if one of its values is not named, or has another type than its rule takes.
    """
    decoded = bson.decode(document, CODEC)
    return bson.encode(_fields(decoded, tree, key), codec_options=CODEC)


def _fields(document: Mapping[str, Any], node: PathNode, key: MaskingKey) -> dict[str, Any]:
    found = {}
    for name, value in document.items():
        child = node.fields.get(name, node.others)
        new = _value(value, child, node.rest, key)
        if new is not Stopped:
            found[name] = new
    return found


def _value(value: Any, node: PathNode | None, rest: WholeRule | None, key: MaskingKey) -> Any:
    """Return the new value; `Stopped` itself means that it is removed."""
    rule = rest
    if node is not None:
        rule = node.rule  # type: ignore[assignment]
        if isinstance(value, dict) and (node.fields or node.others):
            return _fields(value, node, key)
        if isinstance(value, list) and node.items:
            found = [_value(one, node.items, None, key) for one in value]
            return [one for one in found if one is not Stopped]
    if isinstance(rule, WholeRule):
        return {"null": None, "remove": Stopped}.get(rule.name, value)
    if node is None:
        raise Stopped
    if value is None:
        return None
    if not isinstance(rule, Mask):
        raise Stopped
    return _single(value, rule.bind(key))


def _single(value: Any, functions: Mapping[ValueKind, ValueFunction]) -> Any:
    if isinstance(value, Code):  # which is a str
        raise Stopped
    for kind, types, read, write in _KINDS:
        if isinstance(value, types):
            if kind is ValueKind.BINARY and _is_uuid(value):
                kind, read, write = ValueKind.UUID, bytes, lambda new, old: Binary(new, old.subtype)
            if kind not in functions:
                raise Stopped
            return write(functions[kind](read(value)), value)
    raise Stopped


def _is_uuid(value: Any) -> bool:
    return getattr(value, "subtype", 0) in (3, 4) and len(value) == 16


_KINDS: list[tuple[ValueKind, type, Callable[[Any], Any], Callable[[Any, Any], Any]]] = [
    (ValueKind.TEXT, str, str, lambda new, _: new),
    (ValueKind.BOOLEAN, bool, bool, lambda new, _: new),
    (ValueKind.INTEGER, int, int, lambda new, old: type(old)(new)),
    (ValueKind.FLOAT, float, float, lambda new, _: new),
    (ValueKind.DECIMAL, Decimal128, Decimal128.to_decimal, lambda new, _: Decimal128(new)),
    (ValueKind.DATE, DatetimeMS, int, lambda new, _: DatetimeMS(new)),
    (ValueKind.OBJECT_ID, ObjectId, lambda value: value.binary, lambda new, _: ObjectId(new)),
    (ValueKind.BINARY, bytes, bytes, lambda new, old: Binary(new, getattr(old, "subtype", 0))),
]


def any_document(chance: random.Random, depth: int = 3) -> dict[str, Any]:
    """Return a document with values of all types of BSON."""
    names = chance.sample(NAMES, chance.randrange(len(NAMES)))
    return {name: any_value(chance, depth) for name in names}


def any_value(chance: random.Random, depth: int) -> Any:
    if depth and chance.random() < 0.35:
        if chance.random() < 0.5:
            return any_document(chance, depth - 1)
        return [any_value(chance, depth - 1) for _ in range(chance.randrange(13))]
    return chance.choice(_SINGLES)(chance)


_SINGLES: list[Callable[[random.Random], Any]] = [
    lambda chance: chance.uniform(-1e9, 1e9),
    lambda chance: chance.choice(("", "Ann", "Zoë Ærø", "\0 zero", "x" * 300)),
    lambda chance: "".join(chance.choices("abcü€", k=5)),
    lambda chance: Binary(
        chance.randbytes(chance.choice((0, 16, 20))), chance.choice((0, 2, 3, 4, 5, 6, 128))
    ),
    lambda chance: ObjectId(chance.randbytes(12)),
    lambda chance: chance.random() < 0.5,
    lambda chance: DatetimeMS(chance.randrange(-(10**15), 10**15)),
    lambda _: datetime(1970, 1, 1),
    lambda _: None,
    lambda _: Regex("^ann", "i"),
    lambda _: Code("x = 1"),
    lambda _: Code("x = y", {"y": "Ann"}),
    lambda chance: chance.randrange(-(2**31), 2**31),
    lambda chance: Int64(chance.randrange(-(2**63), 2**63)),
    lambda chance: Timestamp(chance.randrange(2**32), 1),
    lambda _: Decimal128("12.50"),
    lambda _: MinKey(),
    lambda _: MaxKey(),
]
