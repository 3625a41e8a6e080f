"""The texts of BSON values for the leak check, and documents for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson import DBRef, Decimal128, ObjectId, Regex
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS

from monarch.databases.mongo.catalog.model import CODEC

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000
# Bytes of binary values that are searched: keys and hashes, not files.
_SHORTEST, _LONGEST = 4, 64


def text_of(value: Any) -> str | None:
    """Return the text of ``value`` that is searched; None if it is not."""
    if isinstance(value, str):  # Code too
        return str(value)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float | ObjectId | Decimal128):
        return str(value)
    if isinstance(value, DatetimeMS):
        return _date(int(value))
    if isinstance(value, bytes):  # Binary too
        return _binary(value)
    if isinstance(value, DBRef):
        return text_of(value.id)
    if isinstance(value, Regex):
        return str(value.pattern)
    return None


def decode_document(document: bytes) -> dict[str, Any]:
    """Return ``document`` with its values as `text_of` takes them."""
    return bson.decode(document, CODEC)


def _date(milliseconds: int) -> str | None:
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return str(milliseconds)
    return f"{moment:%Y-%m-%d}" if milliseconds % _DAY == 0 else f"{moment:%Y-%m-%dT%H:%M:%S.%f}"


def _binary(value: bytes) -> str | None:
    if not _SHORTEST <= len(value) <= _LONGEST:
        return None
    if isinstance(value, Binary) and value.subtype in (3, 4) and len(value) == 16:
        text = value.hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    return value.hex()
