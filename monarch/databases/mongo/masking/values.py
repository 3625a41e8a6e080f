"""Single values: from BSON to what masks get, and back."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from bson.decimal128 import Decimal128

from monarch.databases.mongo.masking import elements
from monarch.databases.mongo.masking.elements import LENGTH, InvalidDocument
from monarch.privacy.rules import ValueFunction, ValueKind, ValueRefused

# The new bytes of the value that is between two places of the data; None if it stays.
Change = Callable[[bytes, int, int], bytes | None]
Refuse = Callable[[str], NoReturn]

# Values of a field whose masks are remembered, and the longest of them in bytes.
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 4096, 100
_INT64 = struct.Struct("<q")
_DOUBLE = struct.Struct("<d")
_OLD_BINARY, _UUIDS = 2, (3, 4)
_UUID_BYTES, _OBJECT_ID_BYTES = 16, 12


class Refused(Exception):
    """A result that cannot be stored in place of the value. Its text says why, without either."""


class ValueCodec(NamedTuple):
    """How values of one type of BSON are read and written; ``write`` gets the old bytes, too."""

    kind: ValueKind
    read: Callable[[bytes], Any]
    write: Callable[[Any, bytes], bytes]


def _read_text(raw: bytes) -> str:
    if raw[-1]:
        raise InvalidDocument
    try:
        return raw[4:-1].decode()
    except UnicodeDecodeError:
        raise InvalidDocument from None


def _write_text(value: Any, _: bytes) -> bytes:
    if not isinstance(value, str):
        raise Refused(f"returned {_type_of(value)}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise Refused("returned what is not Unicode") from None
    return LENGTH.pack(len(encoded) + 1) + encoded + b"\0"


def _write_integer(packing: struct.Struct, name: str) -> Callable[[Any, bytes], bytes]:
    def write(value: Any, _: bytes) -> bytes:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"returned {_type_of(value)}")
        try:
            return packing.pack(value)
        except struct.error:
            raise Refused(f"returned a number that does not fit into {name}") from None

    return write


def _write_double(value: Any, _: bytes) -> bytes:
    if not isinstance(value, float):
        raise Refused(f"returned {_type_of(value)}")
    return _DOUBLE.pack(value)


def _write_decimal(value: Any, _: bytes) -> bytes:
    if not isinstance(value, Decimal):
        raise Refused(f"returned {_type_of(value)}")
    try:
        return Decimal128(value).bid
    except ArithmeticError:
        raise Refused("returned a number that does not fit into decimal128") from None


def _read_boolean(raw: bytes) -> bool:
    if raw not in (b"\0", b"\1"):
        raise InvalidDocument
    return raw == b"\1"


def _write_boolean(value: Any, _: bytes) -> bytes:
    if not isinstance(value, bool):
        raise Refused(f"returned {_type_of(value)}")
    return b"\1" if value else b"\0"


def _write_bytes(value: Any, size: int | None = None) -> bytes:
    if not isinstance(value, bytes):
        raise Refused(f"returned {_type_of(value)}")
    if size is not None and len(value) != size:
        raise Refused(f"returned {len(value)} bytes instead of {size}")
    return value


def _read_binary(raw: bytes) -> bytes:
    if raw[4] != _OLD_BINARY:
        return raw[5:]
    # It has its length a second time.
    if len(raw) < 9 or LENGTH.unpack_from(raw, 5)[0] != len(raw) - 9:
        raise InvalidDocument
    return raw[9:]


def _write_binary(value: Any, raw: bytes) -> bytes:
    written = _write_bytes(value)
    if raw[4] == _OLD_BINARY:
        written = LENGTH.pack(len(written)) + written
    return LENGTH.pack(len(written)) + raw[4:5] + written


_BINARY = ValueCodec(ValueKind.BINARY, _read_binary, _write_binary)
_UUID = ValueCodec(
    ValueKind.UUID, lambda raw: raw[5:], lambda value, raw: raw[:5] + _write_bytes(value, _UUID_BYTES)
)
_INTEGER = ValueKind.INTEGER
CODECS = {
    elements.STRING: ValueCodec(ValueKind.TEXT, _read_text, _write_text),
    elements.INT32: ValueCodec(_INTEGER, lambda raw: LENGTH.unpack(raw)[0], _write_integer(LENGTH, "int32")),
    elements.INT64: ValueCodec(_INTEGER, lambda raw: _INT64.unpack(raw)[0], _write_integer(_INT64, "int64")),
    elements.DATE: ValueCodec(
        ValueKind.DATE, lambda raw: _INT64.unpack(raw)[0], _write_integer(_INT64, "a date of BSON")
    ),
    elements.DOUBLE: ValueCodec(ValueKind.FLOAT, lambda raw: _DOUBLE.unpack(raw)[0], _write_double),
    elements.DECIMAL: ValueCodec(
        ValueKind.DECIMAL, lambda raw: Decimal128.from_bid(raw).to_decimal(), _write_decimal
    ),
    elements.BOOLEAN: ValueCodec(ValueKind.BOOLEAN, _read_boolean, _write_boolean),
    elements.OBJECT_ID: ValueCodec(
        ValueKind.OBJECT_ID, bytes, lambda value, _: _write_bytes(value, _OBJECT_ID_BYTES)
    ),
    elements.BINARY: _BINARY,
}
# All kinds that values of a type may be.
KINDS = {kind: {codec.kind} for kind, codec in CODECS.items()} | {
    elements.BINARY: {ValueKind.BINARY, ValueKind.UUID}
}


def change_values(kind: int, functions: Mapping[ValueKind, ValueFunction], refuse: Refuse) -> Change:
    """Return what masks the values of the BSON type ``kind`` by the one of ``functions`` that takes them.

    ``refuse`` raises the error of a value that cannot be masked.
    """
    if kind == elements.BINARY:
        return _change_binary(functions, refuse)
    codec = CODECS[kind]
    return _change(codec, functions[codec.kind], refuse)


def _change_binary(functions: Mapping[ValueKind, ValueFunction], refuse: Refuse) -> Change:
    changes = {
        codec.kind: _change(codec, functions[codec.kind], refuse)
        for codec in (_BINARY, _UUID)
        if codec.kind in functions
    }

    def change(data: bytes, start: int, end: int) -> bytes | None:
        is_uuid = data[start + 4] in _UUIDS and end - start == 5 + _UUID_BYTES
        kind = ValueKind.UUID if is_uuid else ValueKind.BINARY
        if kind not in changes:
            refuse(f"takes no {kind.value}")
        return changes[kind](data, start, end)

    return change


def _change(codec: ValueCodec, function: ValueFunction, refuse: Refuse) -> Change:
    remembered: dict[bytes, bytes] = {}
    longest, hits = _LONGEST_REMEMBERED, 0
    find, read, write = remembered.get, codec.read, codec.write

    def change(data: bytes, start: int, end: int) -> bytes:
        nonlocal longest, hits
        raw = data[start:end]
        found = find(raw)
        if found is not None:
            hits += 1
            return found
        try:
            new = write(function(read(raw)), raw)
        except InvalidDocument:
            raise
        except ValueRefused as error:
            refuse(f"fails: {error.message}")
        except Refused as error:
            refuse(str(error))
        except (Exception, SystemExit) as error:
            refuse(f"raised {type(error).__name__}")
        if len(raw) <= longest:
            if len(remembered) >= _MOST_REMEMBERED:
                if hits < _MOST_REMEMBERED:  # values seldom repeat here
                    longest = -1
                remembered.clear()
                hits = 0
                return new
            remembered[raw] = new
        return new

    return change


def _type_of(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
