"""Masks that replace by something else entirely: words, a constant, a choice, a hash."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from math import isfinite
from typing import Any

from monarch.errors import UsageError
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueFunction, ValueKind
from monarch.privacy.values.invented import PROSE, PROSE_WORDS
from monarch.privacy.values.permutation import expand
from monarch.privacy.values.written import (
    Bound,
    HashFunction,
    LibraryMask,
    TextFunction,
    encode,
    for_text,
    keep_empty,
    remember,
    to_fraction,
    to_number,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = (ValueKind.INTEGER, ValueKind.FLOAT, ValueKind.DECIMAL)


def text() -> Mask:
    """Mask texts by invented words of the same number of characters."""
    return LibraryMask("text()", for_text("text", _words))


def blank() -> Mask:
    """Mask texts by as many ``x``, and bytes by as many zeros."""
    bound: Bound = {
        ValueKind.TEXT: lambda value: "x" * len(value),
        ValueKind.BINARY: lambda value: bytes(len(value)),
    }
    return LibraryMask("blank()", lambda key: bound)


def hashed() -> Mask:
    """Mask texts by 64 hexadecimal digits of a keyed hash, and bytes by as many of it.

    That different values get different hashes is likely to the degree of certainty, but for bytes only if
    they are long; `identifier` is unique by construction.
    """
    return LibraryMask("hashed()", _bind_hashed)


def constant(value: Any) -> Mask:
    """Mask all values by ``value``, which must be of the type that the field has; empty texts too."""
    return LibraryMask(f"constant({value!r})", _bind_constant(value))


def choice(*values: Any, weights: Sequence[float] | None = None) -> Mask:
    """Mask values by one of ``values``, or of a single list of them, as often as ``weights`` say.

    A field gets only those that are of its own type.

    :raises UsageError: if there are no values, or not as many weights.
    """
    options = list(values[0]) if len(values) == 1 and isinstance(values[0], list | tuple) else list(values)
    if not options:
        raise UsageError("choice() has nothing to choose from.", "Write choice('a', 'b').")
    weighted = "" if weights is None else f", weights={list(weights)!r}"
    if weights is not None and (
        len(weights) != len(options) or min(weights) < 0 or not 0 < sum(weights) < float("inf")
    ):
        raise UsageError("choice() needs a weight for each value, not all 0.", "Write weights=[3, 1].")
    written = f"choice({', '.join(map(repr, options))}{weighted})"
    return LibraryMask(written, _bind_choice(written, options, weights))


def _words(hash_of: HashFunction) -> TextFunction:
    count, longest = len(PROSE_WORDS), len(PROSE) - PROSE_WORDS[-1]

    def mask(value: str) -> str:
        length = len(value)
        start = PROSE_WORDS[to_number(hash_of(encode(value))) % count]
        if length > longest:
            return _long(start, length)
        chosen = PROSE[start : start + length]
        return chosen if chosen[-1] != " " else chosen[:-1] + "."

    return mask


def _long(start: int, length: int) -> str:
    repeated = PROSE[start:] + PROSE * (length // len(PROSE) + 1)
    chosen = repeated[:length]
    return chosen if chosen[-1] != " " else chosen[:-1] + "."


def _bind_hashed(key: MaskingKey) -> Bound:
    hash_of = key.hasher("hashed")
    return {
        ValueKind.TEXT: keep_empty(lambda value: hash_of(encode(value)).hex()),
        ValueKind.BINARY: lambda value: expand(hash_of(value), len(value)),
    }


def _bind_constant(value: Any) -> Callable[[MaskingKey], Bound]:
    bound = {kind: _always(own) for kind, own in _forms(value).items()}
    if not bound:
        raise _not_a_value(value)
    return lambda key: bound


def _always(result: Any) -> ValueFunction:
    return lambda value: result


def _not_a_value(value: object) -> UsageError:
    return UsageError(
        f"No field can be masked by {value!r}.", "Write a text, a number, a date or bytes; or use null."
    )


def _bind_choice(
    purpose: str, options: list[Any], weights: Sequence[float] | None
) -> Callable[[MaskingKey], Bound]:
    by_kind: dict[ValueKind, list[tuple[Any, float]]] = {}
    for option, weight in zip(options, weights or [1] * len(options), strict=True):
        for kind, own in _forms(option).items():
            by_kind.setdefault(kind, []).append((own, weight))
    if not by_kind:
        raise _not_a_value(options[0])

    def bind(key: MaskingKey) -> Bound:
        hash_of = key.hasher(purpose)
        return {kind: _choose(hash_of, kind, weighted) for kind, weighted in by_kind.items()}

    return bind


def _forms(option: Any) -> dict[ValueKind, Any]:
    """Return what ``option`` is in the fields of each kind that can hold it."""
    if isinstance(option, bool):
        return {ValueKind.BOOLEAN: option}
    if isinstance(option, int):
        return {ValueKind.INTEGER: option, ValueKind.FLOAT: float(option), ValueKind.DECIMAL: Decimal(option)}
    if isinstance(option, float):
        return {ValueKind.FLOAT: option, ValueKind.DECIMAL: Decimal(repr(option))}
    if isinstance(option, Decimal):
        return {ValueKind.DECIMAL: option}
    if isinstance(option, datetime):
        moment = option if option.tzinfo else option.replace(tzinfo=UTC)
        return {ValueKind.DATE: (moment - _EPOCH) // timedelta(milliseconds=1)}
    if isinstance(option, bytes):
        return {ValueKind.BINARY: option}
    return {ValueKind.TEXT: option} if isinstance(option, str) else {}


def _choose(hash_of: HashFunction, kind: ValueKind, weighted: list[tuple[Any, float]]) -> ValueFunction:
    options, weights = [option for option, _ in weighted], [weight for _, weight in weighted]
    sums = list(accumulate(weights))
    last = len(options) - 1
    even = len(set(weights)) == 1

    def pick(value: bytes) -> Any:
        digest = hash_of(value)
        if even:
            return options[to_number(digest) % len(options)]
        return options[min(bisect(sums, to_fraction(digest) * sums[-1]), last)]

    if kind is ValueKind.TEXT:
        return keep_empty(remember(lambda value: pick(encode(value))))
    if kind in _NUMBERS:
        return lambda value: pick(_spell(value))
    if kind is ValueKind.BINARY:
        return keep_empty(pick)
    return lambda value: pick(str(value).encode())


def _spell(value: Any) -> bytes:
    """Return a number the same way for all its types: 5, 5.0 and Decimal('5.00')."""
    finite = value.is_finite() if isinstance(value, Decimal) else isfinite(value)
    if finite and abs(value) < 1 << 63 and value == int(value):
        return str(int(value)).encode()
    return str(value).encode()
