"""Bytes on their way: where they come from, and where they go."""

from __future__ import annotations

from typing import Protocol


class Stream(Protocol):
    """What is read from beginning to end."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, at least one but at the end."""


class Sink(Protocol):
    """What takes bytes, all that it is given each time."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
