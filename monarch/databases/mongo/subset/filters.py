"""A query as somebody has written it, in Python, as the filter that the server gets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import bson
from bson import Decimal128
from bson.raw_bson import RawBSONDocument

from monarch.databases.mongo.catalog.model import CODEC
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.selection import CollectionQuery
from monarch.errors import UsageError


def encode_filter(selected: CollectionQuery, source: DatabaseHandle) -> dict[str, Any]:
    """The query of ``selected``, with every value as BSON knows it.

    :raises UsageError: if there is a value that BSON does not know.
    """
    try:
        encoded = bson.encode(_known(selected.query), codec_options=source.database.codec_options)
    except (bson.errors.BSONError, OverflowError, TypeError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())[:200]
        raise UsageError(
            f"The query of {selected.collection!r} cannot be sent: {words}", "Fix it in the query set."
        ) from error
    return bson.decode(encoded, CODEC)


def _known(value: Any) -> Any:
    """``value`` with what Python has, and an option may be, and BSON has under another name."""
    if isinstance(value, RawBSONDocument):
        return value
    if isinstance(value, Mapping):
        return {key: _known(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_known(inner) for inner in value]
    if isinstance(value, Decimal):
        return Decimal128(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value
