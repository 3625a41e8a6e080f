"""What a rule is: it says what becomes of the values of a field.

`keep`, `public`, `null` and `remove` act on whatever a field holds. Every other rule is a `Mask`, which
changes single values and says which kinds of them it takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from monarch.errors import MonarchError, UsageError
from monarch.privacy.key import MaskingKey


class ValueKind(StrEnum):
    """The kinds of single values, and what stands for them in Python while they are masked."""

    TEXT = "string"  # str
    INTEGER = "integer"  # int
    FLOAT = "float"  # float
    DECIMAL = "decimal"  # decimal.Decimal
    DATE = "date"  # int: milliseconds since 1970 in UTC
    BINARY = "binary"  # bytes
    OBJECT_ID = "ObjectId"  # bytes: 12
    UUID = "UUID"  # bytes: 16
    BOOLEAN = "boolean"  # bool


@dataclass(frozen=True)
class OpaqueValue:
    """A value in a sample whose ``type`` Python does not have, or that nobody looks into."""

    type: str


ValueFunction = Callable[[Any], Any]


class MaskingError(MonarchError):
    """A value that a mask cannot take, or a field that no rule names. Its message shows no value."""


class ValueRefused(MaskingError):
    """A value that a mask of monarch does not take. Its message is monarch's own, so it can be shown."""


class Rule(ABC):
    """What becomes of a field."""

    @abstractmethod
    def __repr__(self) -> str:
        """Return it as it is written in ``migrations/privacy.py``."""


@dataclass(frozen=True, repr=False)
class WholeRule(Rule):
    """One of `keep`, `public`, `null` and `remove`: acts on whatever a field holds, and on what is in it."""

    name: str

    def __repr__(self) -> str:
        return self.name


keep = WholeRule("keep")
# As `keep`, for what everybody may know: the leak check does not look into it.
public = WholeRule("public")
null = WholeRule("null")
remove = WholeRule("remove")


class Mask(Rule):
    """A rule that changes single values."""

    @abstractmethod
    def bind(self, key: MaskingKey) -> Mapping[ValueKind, ValueFunction]:
        """Return for each kind of value that it takes the function that masks one under ``key``.

        A function returns a value of the same kind, which depends on nothing but the value, the rule and the
        key. What is null stays null, and is not passed to it.
        """

    def __call__(self, value: Any) -> Any:
        """Return the mask of ``value``, in a function that masks whole documents. None stays None.

        :raises MaskingError: if it does not take values of this type.
        :raises UsageError: if no copy is running, so that there is no key.
        """
        active = _active.get()
        if active is None:
            raise UsageError(f"{self!r} masks values only while a copy runs: write the rule without a value.")
        return active.mask(self, value)


class Masking(Protocol):
    """What masks values of the types that functions of ``migrations/privacy.py`` get."""

    def mask(self, rule: Mask, value: Any) -> Any:
        """Return the mask of ``value`` by ``rule``.

        :raises MaskingError: if ``rule`` does not take values of this type.
        """


_active: ContextVar[Masking | None] = ContextVar("masking", default=None)


@contextmanager
def active_masking(masking: Masking) -> Iterator[None]:
    """Let rules that are called mask by ``masking`` for as long as the context lasts."""
    token = _active.set(masking)
    try:
        yield
    finally:
        _active.reset(token)
