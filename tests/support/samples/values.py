"""Every BSON value, as bytes if pymongo cannot create it; unusual names; every kind of index."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import bson
from bson import DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

EMPTY = Timestamp(0, 0)
DAY = datetime(2030, 1, 1, tzinfo=UTC)
# In seconds: late enough that nothing expires during a test, and less than the server's limit.
LATER = 1_500_000_000

FIELD_NAMES = ("", ".", "a.b", ".a", "a.", "$", "$set", "a$b", "0", "日本", '"', "with space", "new\nline")
# Names of collections that resemble patterns, paths, options and each other.
_NAMES = r"""a.b.c Case case é star* * a*.* back\slash \* sl/ash C:\path a/./b percent%20 ? a:b <b> null
--drop -dash -- systems.js buckets.weather monarch 'quoted' "twice" `thrice`"""
NAMES = [*_NAMES.split(), "e\u0301", "with space", " around ", "new\nline", "tab\t", "日本 😀"]

# The values that pymongo can create, by the name under which they are stored.
VALUES: dict[str, Any] = {
    "double": 1.5,
    "double that is whole": 3.0,
    "negative zero": -0.0,
    "smallest double": 5e-324,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "negative infinity": float("-inf"),
    "string": "Grüße, 日本, 😀, e\u0301",
    "empty string": "",
    "string with NUL and newline": "a\0b\nc",
    "document": {"b": 1, "a": {"$ref": 1}},
    "empty document": {},
    "array": [1, "two", None, {"three": []}],
    "empty array": [],
    "binary": Binary(b"\0\1\xff", 0),
    "old binary": Binary(b"\0\1\xff", 2),
    "object id": ObjectId("0123456789abcdef01234567"),
    "true": True,
    "false": False,
    "null": None,
    "date": DAY,
    "date before 1970": DatetimeMS(-1),
    "first date": DatetimeMS(-(2**63)),
    "date after 9999": DatetimeMS(2**63 - 1),
    "regex": Regex("^a.*\\/b", "imsux"),
    "reference": DBRef("people", 1),
    "reference to elsewhere": DBRef("people", ObjectId(b"\1" * 12), "elsewhere", note="x"),
    "code": Code("function () { return 1; }"),
    "code with scope": Code("function () { return x; }", {"x": Int64(1), "y": {}}),
    "int32": 2**31 - 1,
    "int64": Int64(1),
    "smallest int64": Int64(-(2**63)),
    "timestamp": Timestamp(2**32 - 1, 2**32 - 1),
    "timestamp of no time": Timestamp(0, 1),
    "empty timestamp": EMPTY,
    "smallest key": MinKey(),
    "greatest key": MaxKey(),
    **{
        f"decimal {text}": Decimal128(text)
        for text in ("NaN", "sNaN", "Infinity", "-Infinity", "-0", "1.500", "0E+3", "1E-6176", "9.99E+6144")
    },
}


def element(name: bytes, kind: int, payload: bytes = b"") -> bytes:
    """Return a field as BSON, for values that pymongo cannot create."""
    return bytes([kind]) + name + b"\0" + payload


def document(*elements: bytes) -> RawBSONDocument:
    return RawBSONDocument(wrapped(b"".join(elements)))


def wrapped(elements: bytes) -> bytes:
    return struct.pack("<i", len(elements) + 5) + elements + b"\0"


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def as_bytes(value: Any) -> tuple[int, bytes]:
    """Return the BSON type of ``value``, and its bytes."""
    encoded = bson.encode({"": value})
    return encoded[4], encoded[6:-1]


def field(name: str, value: Any) -> bytes:
    return element(name.encode(), *as_bytes(value))


# All values, as their BSON type and their bytes.
KINDS: dict[str, tuple[int, bytes]] = {
    **{name: as_bytes(value) for name, value in VALUES.items()},
    "NaN with a payload": (0x01, b"\1\0\0\0\0\0\xf8\xff"),
    "undefined": (0x06, b""),
    "pointer": (0x0C, text(b"elsewhere.people") + b"\1" * 12),
    "symbol": (0x0E, text(b"symbol")),
    "array with odd keys": (0x04, wrapped(element(b"7", 0x0A) + element(b"x", 0x0A))),
}

# Fields that the server stores but no driver reads: text that is not UTF-8, and an old binary that does not
# repeat its length.
UNREADABLE = (
    element(b"\xff", 0x02, text(b"\xc3(\xfe")),
    element(b"old", 0x05, struct.pack("<iB", 4, 2) + b"abcd"),
)

TUNED = {"wiredTiger": {"configString": "block_compressor=zlib"}}
TUNED_INDEX = {"wiredTiger": {"configString": "prefix_compression=false"}}

INDEXES: list[dict[str, Any]] = [
    {"key": {"name": 1}, "name": "unique", "unique": True},
    {"key": {"email": 1}, "name": "sparse", "unique": True, "sparse": True},
    {"key": {"name": -1}, "name": "partial", "partialFilterExpression": {"until": {"$gt": DAY}}},
    {"key": {"until": 1}, "name": "ttl", "expireAfterSeconds": LATER},
    {
        "key": {"name": "text", "about.de": "text"},
        "name": "text",
        "weights": {"name": 10, "about.de": 3},
        "default_language": "german",
        "language_override": "idioma",
    },
    {"key": {"place": "2dsphere", "name": -1}, "name": "2dsphere"},
    {"key": {"place": "2dsphere"}, "name": "older 2dsphere", "2dsphereIndexVersion": 2},
    {"key": {"at": "2d", "name": 1}, "name": "2d", "bits": 20, "min": -500, "max": 500},
    {"key": {"$**": 1}, "name": "wildcard", "wildcardProjection": {"about": 1, "tags.deep": 1}},
    {"key": {"about.$**": 1}, "name": "wildcard below"},
    {"key": {"name": "hashed", "until": -1}, "name": "hashed"},
    {"key": {"email": -1}, "name": "hidden", "hidden": True},
    {"key": {"name": 1, "email": 1}, "name": "collation", "collation": {"locale": "de", "strength": 2}},
    {"key": {"tags": 1, "until": -1}, "name": "compound, multikey"},
    {"key": {"tags.deep": Int64(1), "a.0.b": -1.5}, "name": "odd directions"},
    {"key": {"background": 1}, "name": "background", "background": True},
    {"key": {"long": 1}, "name": "long " + "n" * 500},
    {"key": {"odd": 1}, "name": "*.\\ \"'$\n-- Ünïcode"},
    {"key": {"tuned": 1}, "name": "tuned", "storageEngine": TUNED_INDEX},
]
