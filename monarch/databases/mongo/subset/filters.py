"""Convert a query of a query set into the filter that is sent to the server."""

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
    """Return the query of ``selected`` with every value as a BSON type.

    :raises UsageError: if a value has no BSON type.
    """
    try:
        encoded = bson.encode(_to_bson_types(selected.query), codec_options=source.database.codec_options)
    except (bson.errors.BSONError, OverflowError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"The query of {selected.collection!r} cannot be sent: {reason}",
            "Fix the query in the query set.",
        ) from error
    return bson.decode(encoded, CODEC)


def _to_bson_types(value: Any) -> Any:
    """Return ``value`` with decimals and dates of Python, which options may have, as BSON types."""
    if isinstance(value, RawBSONDocument):
        return value
    if isinstance(value, Mapping):
        return {key: _to_bson_types(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_to_bson_types(inner) for inner in value]
    if isinstance(value, Decimal):
        return Decimal128(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value
