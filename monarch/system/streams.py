"""Streams of bytes: the two protocols that stores, codecs and archives read and write."""

from __future__ import annotations

from typing import Protocol


class Stream(Protocol):
    """A source of bytes, read once from its beginning to its end."""

    def read(self, size: int, /) -> bytes:
        """Return 1 to ``size`` bytes, or b"" at the end of the stream."""


class Sink(Protocol):
    """A destination of bytes."""

    def write(self, data: bytes, /) -> object:
        """Write all of ``data``."""
