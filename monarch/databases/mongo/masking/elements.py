"""The elements of BSON documents (bsonspec.org): their types, and how their sizes are found."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

LENGTH = Struct("<i")
DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
OBJECT_ID, BOOLEAN, DATE, NULL, REGEX, POINTER = 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C
CODE, SYMBOL, SCOPED_CODE, INT32, TIMESTAMP, INT64 = 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12
DECIMAL, MAX_KEY, MIN_KEY = 0x13, 0x7F, 0xFF

TYPE_NAMES = {
    DOUBLE: "double",
    STRING: "string",
    DOCUMENT: "document",
    ARRAY: "array",
    BINARY: "binary",
    UNDEFINED: "undefined",
    OBJECT_ID: "ObjectId",
    BOOLEAN: "boolean",
    DATE: "date",
    NULL: "null",
    REGEX: "regular expression",
    POINTER: "DBPointer",
    CODE: "code",
    SYMBOL: "symbol",
    SCOPED_CODE: "code with scope",
    INT32: "int32",
    TIMESTAMP: "timestamp",
    INT64: "int64",
    DECIMAL: "decimal128",
    MAX_KEY: "maxKey",
    MIN_KEY: "minKey",
}
# Instead of the smallest length: the value has a size of its own, or is two texts that end with zeros.
FIXED, TWO_TEXTS = -1, -2


class Size(NamedTuple):
    """The size of a value: ``size`` bytes and, unless ``least`` is `FIXED`, the length at its beginning.

    That length is ``least`` or more.
    """

    size: int
    least: int


_FIXED = {
    DOUBLE: 8,
    UNDEFINED: 0,
    OBJECT_ID: 12,
    BOOLEAN: 1,
    DATE: 8,
    NULL: 0,
    INT32: 4,
    TIMESTAMP: 8,
    INT64: 8,
    DECIMAL: 16,
    MAX_KEY: 0,
    MIN_KEY: 0,
}
SIZES = {kind: Size(size, FIXED) for kind, size in _FIXED.items()} | {
    STRING: Size(4, 1),
    CODE: Size(4, 1),
    SYMBOL: Size(4, 1),
    DOCUMENT: Size(0, 5),
    ARRAY: Size(0, 5),
    SCOPED_CODE: Size(0, 14),
    BINARY: Size(5, 0),
    POINTER: Size(16, 1),
    REGEX: Size(0, TWO_TEXTS),
}


class InvalidDocument(Exception):
    """Bytes that are no document."""


def end_of_two_texts(data: bytes, start: int, end: int) -> int:
    """Return where the two texts at ``start`` end, each with its zero.

    :raises InvalidDocument: if that is not before ``end``.
    """
    first = data.find(b"\0", start, end)
    second = data.find(b"\0", first + 1, end) if first >= 0 else -1
    if second < 0:
        raise InvalidDocument
    return second + 1
