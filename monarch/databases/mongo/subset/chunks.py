"""Split long lists of values into chunks that fit into a filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import bson

from monarch.databases.mongo.catalog.model import CODEC

# Bytes of values in one filter: far below the limit of the server, and still few queries.
_CHUNK = 2 << 20


def key_of(value: Any) -> bytes:
    """Return ``value`` as BSON: a key for dicts and sets, even if Python cannot hash the value."""
    return bson.encode({"": value}, codec_options=CODEC)


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield ``values`` in lists, each short enough for one filter."""
    chunk: list[Any] = []
    size = 0
    for value in values:
        chunk.append(value)
        size += len(key_of(value)) + 8
        if size > _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
