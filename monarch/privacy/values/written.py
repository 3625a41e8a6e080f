"""What the masks of this library share: how they are written, and how values become bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueFunction, ValueKind

HashFunction = Callable[[bytes], bytes]
Bound = Mapping[ValueKind, ValueFunction]
TextFunction = Callable[[str], str]
Short = TypeVar("Short", str, bytes)

# Of each mask and kind of value. Only short values are remembered, so that all of them together stay small.
_REMEMBERED = 4096
_SHORT = 200


@dataclass(frozen=True, repr=False)
class LibraryMask(Mask):
    """A mask of this library. Two that are written the same are equal."""

    written: str
    binding: Callable[[MaskingKey], Bound] = field(compare=False)

    def __repr__(self) -> str:
        return self.written

    def bind(self, key: MaskingKey) -> Bound:
        return self.binding(key)


def for_text(purpose: str, build: Callable[[HashFunction], TextFunction]) -> Callable[[MaskingKey], Bound]:
    """Return a binding that takes texts only. ``build`` makes the function from the hash of ``purpose``."""

    def bind(key: MaskingKey) -> Bound:
        return {ValueKind.TEXT: keep_empty(build(key.hasher(purpose)))}

    return bind


def keep_empty(function: Callable[[Short], Short]) -> Callable[[Short], Short]:
    """Return ``function``, but empty values stay empty."""

    def keeping(value: Short) -> Short:
        return function(value) if value else value

    return keeping


def remember(function: Callable[[Short], Short]) -> Callable[[Short], Short]:
    """Return ``function`` with a bounded memory for short values. For what takes longer than a look-up."""
    remembering = lru_cache(_REMEMBERED)(function)

    def look_up(value: Short) -> Short:
        return remembering(value) if len(value) < _SHORT else function(value)

    return look_up


def encode(text: str) -> bytes:
    """Return ``text`` in UTF-8. A text may hold lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def to_number(digest: bytes) -> int:
    """Return a hash as a number."""
    return int.from_bytes(digest, "big")


def to_fraction(digest: bytes) -> float:
    """Return a hash as a number from 0 up to 1, 1 excluded."""
    return (to_number(digest[:8]) >> 11) / (1 << 53)
