"""Functions of ``migrations/privacy.py`` that mask whole documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import bson
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.int64 import Int64
from bson.objectid import ObjectId

from monarch.databases.mongo.catalog.model import CODEC
from monarch.databases.mongo.stream.batches import split
from monarch.privacy.key import MaskingKey
from monarch.privacy.masks import DocumentFunction
from monarch.privacy.rules import (
    Mask,
    MaskingError,
    ValueFunction,
    ValueKind,
    ValueRefused,
    active_masking,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUIDS = (3, 4)
_LONGEST = 16 << 20


class FunctionMasks:
    """Masks documents of ``collection`` by ``function``, in which rules mask under ``key``."""

    def __init__(self, collection: str, function: DocumentFunction, key: MaskingKey) -> None:
        self._collection = collection
        self._function = function
        self._values = PythonValues(key)

    def mask(self, documents: bytes) -> bytes:
        """Return ``documents``, one after another, as the function changes them.

        :raises MaskingError: if it raises, or returns what is no document.
        """
        with active_masking(self._values):
            return b"".join(map(self._mask, split(documents)))

    def _mask(self, document: bytes) -> bytes:
        try:
            given = bson.decode(document, CODEC)
        except BSONError:
            raise self._fails("gets a document that is no valid BSON") from None
        had_id = "_id" in given
        try:
            returned = self._function(given)
        except ValueRefused as error:
            raise self._fails(f"fails: {error.message}") from None
        except (Exception, SystemExit) as error:
            raise self._fails(f"raised {type(error).__name__}") from None
        result = given if returned is None else returned
        if not isinstance(result, Mapping):
            raise self._fails(f"returned a value of type {type(result).__name__}")
        if had_id and "_id" not in result:
            raise self._fails("returned a document without its _id")
        try:
            encoded = bson.encode(result, codec_options=CODEC)
        except Exception as error:
            raise self._fails(f"returned what cannot be stored ({type(error).__name__})") from None
        if len(encoded) > max(_LONGEST, len(document)):
            raise self._fails("returned a document larger than 16 MB")
        return encoded

    def _fails(self, what: str) -> MaskingError:
        name = getattr(self._function, "__name__", "")
        return MaskingError(
            f"The function {name!r} of migrations/privacy.py, which masks {self._collection!r}, {what}.",
            "Fix the function.",
        )


class PythonValues:
    """Masks values of the types that functions get, under ``key``."""

    def __init__(self, key: MaskingKey) -> None:
        self._key = key
        # By identity, because rules need not be hashable. They are kept, so that no identity is used again.
        self._bound: dict[int, tuple[Mask, Mapping[ValueKind, ValueFunction]]] = {}

    def mask(self, rule: Mask, value: Any) -> Any:
        """See `monarch.privacy.rules.Masking`."""
        if value is None:
            return None
        kind, read, write = _codec_of(value, rule)
        functions = self._functions(rule)
        if kind not in functions:
            raise ValueRefused(f"{_name_of(rule)} takes no {kind.value}")
        try:
            return write(functions[kind](read(value)))
        except ValueRefused:
            raise
        except (Exception, SystemExit) as error:
            raise ValueRefused(f"{_name_of(rule)} raised {type(error).__name__}") from None

    def _functions(self, rule: Mask) -> Mapping[ValueKind, ValueFunction]:
        bound = self._bound.get(id(rule))
        if bound is None:
            if len(self._bound) > 1000:  # a function that creates its rules for each document
                self._bound.clear()
            bound = self._bound[id(rule)] = (rule, rule.bind(self._key))
        return bound[1]


def _name_of(rule: Mask) -> str:
    """Return the name of ``rule`` alone: functions may create rules from values, as ``constant(name)``."""
    is_own = type(rule).__module__.startswith("monarch.privacy.")
    return repr(rule).partition("(")[0] if is_own else type(rule).__name__


_Codec = tuple[ValueKind, Callable[[Any], Any], Callable[[Any], Any]]


def _same(value: Any) -> Any:
    return value


def _codec_of(value: Any, rule: Mask) -> _Codec:
    """Return the kind of ``value``, and how it becomes what masks get, and back."""
    match value:
        case bool():
            return ValueKind.BOOLEAN, _same, _same
        case Int64():
            return ValueKind.INTEGER, int, Int64
        case int():
            return ValueKind.INTEGER, _same, _same
        case float():
            return ValueKind.FLOAT, _same, _same
        case str():
            return ValueKind.TEXT, str, _same
        case Decimal128():
            return ValueKind.DECIMAL, Decimal128.to_decimal, Decimal128
        case Decimal():
            return ValueKind.DECIMAL, _same, _same
        case DatetimeMS():
            return ValueKind.DATE, int, DatetimeMS
        case datetime():
            return ValueKind.DATE, _milliseconds_of, _moment_of(value)
        case ObjectId():
            return ValueKind.OBJECT_ID, lambda one: one.binary, ObjectId
        case UUID():
            return ValueKind.UUID, lambda one: one.bytes, lambda new: UUID(bytes=new)
        case bytes():
            subtype = getattr(value, "subtype", 0)
            is_uuid = subtype in _UUIDS and len(value) == 16
            kind = ValueKind.UUID if is_uuid else ValueKind.BINARY
            return kind, bytes, lambda new: Binary(new, subtype) if subtype else new
    raise ValueRefused(f"{_name_of(rule)} takes no value of type {type(value).__name__}")


def _milliseconds_of(moment: datetime) -> int:
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment_of(old: datetime) -> Callable[[int], datetime]:
    def moment(milliseconds: int) -> datetime:
        new = _EPOCH + timedelta(milliseconds=milliseconds)
        return new.replace(tzinfo=None) if old.tzinfo is None else new.astimezone(old.tzinfo)

    return moment
