"""Masks of numbers: a keyed stretching of the line of numbers that keeps order, sign and zero."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from math import ceil, floor, frexp, isfinite, ldexp

from monarch.errors import UsageError
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueKind
from monarch.privacy.values.codes import whole_numbers
from monarch.privacy.values.written import Bound, HashFunction, LibraryMask, to_fraction

_INT32, _INT64 = 1 << 31, 1 << 63
_LARGEST = sys.float_info.max
# A decimal128 has 34 digits and an exponent of at most 6111.
_COEFFICIENT = 10**34
_TOP_EXPONENT = 6111
# Parts of each binade (from one power of two to the next).
_PARTS = 32
_MOST = 0.75
# All masks at knots, which are above 1/8, are whole multiples of 1 / _SCALE.
_SCALE = 1 << 60

# Of a binade: the places of its knots from 1 to 2, the masks there, and the slopes between.
Knots = tuple[list[float], list[float], list[float]]


def number(noise: float | None = None, unique: bool = False) -> Mask:
    """Mask numbers by others that differ by at most the part ``noise``, 0.1 unless it is given.

    The order is kept: what is greater stays greater or, where the type has no number between, gets equal.
    Doubles of up to 13 significant digits that differ stay different. Zero, the sign, NaN and infinities
    are kept; whole numbers below 1 / noise do not change. An integer stays within 32 bits if it is. Sums
    differ by at most the same part if all summands have one sign.

    ``unique=True`` permutes whole numbers of as many digits, as `identifier` does, and keeps no order.

    :raises UsageError: if ``noise`` is not between 0 and 0.75, or is given together with ``unique``.
    """
    if unique and noise is not None:
        raise UsageError("number() takes noise or unique, not both.", "Write number(unique=True).")
    if unique:
        return LibraryMask("number(unique=True)", _bind_unique)
    part = 0.1 if noise is None else noise
    if not 0 < part <= _MOST:
        raise UsageError(f"The noise of number() is {part!r}.", f"Write a part from 0 to {_MOST}: 0.1")
    return LibraryMask(f"number(noise={part!r})", lambda key: _bind_noise(key, float(part)))


def _bind_unique(key: MaskingKey) -> Bound:
    return whole_numbers("number(unique=True)", key.hasher("number unique"))


def _bind_noise(key: MaskingKey, noise: float) -> Bound:
    knots_of = _knots(key.hasher(f"number {noise!r}"), noise)

    def mask_float(value: float) -> float:
        if not value or not isfinite(value):
            return value
        size, exponent = frexp(abs(value))
        places, masks, slopes = knots_of(exponent - 1)
        size *= 2
        part = int((size - 1) * _PARTS)
        stretched = min(masks[part] + (size - places[part]) * slopes[part], masks[part + 1])
        try:
            result = ldexp(stretched, exponent - 1) or abs(value)
        except OverflowError:
            result = _LARGEST
        return result if value > 0 else -result

    def mask_integer(value: int) -> int:
        if value < 0:
            return max(-mask_integer(-value), -_INT32 if value >= -_INT32 else -_INT64)
        stretched = mask_float(float(value))
        result = floor(stretched) if stretched >= value else ceil(stretched)
        return min(result, (_INT32 if value < _INT32 else _INT64) - 1)

    def mask_decimal(value: Decimal) -> Decimal:
        return _stretch_decimal(value, knots_of) if value.is_finite() and value else value

    return {ValueKind.FLOAT: mask_float, ValueKind.INTEGER: mask_integer, ValueKind.DECIMAL: mask_decimal}


def _stretch_decimal(value: Decimal, knots_of: Callable[[int], Knots]) -> Decimal:
    """Stretch ``value`` exactly, and round towards it to as many decimal places as it has."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    own = int("".join(map(str, digits)))
    above, below = (own * 10**exponent, 1) if exponent > 0 else (own, 10**-exponent)
    binade = above.bit_length() - below.bit_length()
    if above << max(0, -binade) < below << max(0, binade):
        binade -= 1
    # The value is (1 + (part + rest / below) / 32) * 2**binade.
    above, below = above << max(0, -binade), below << max(0, binade)
    part, rest = divmod((above - below) * _PARTS, below)
    _, masks, _ = knots_of(binade)
    low, high = int(masks[part] * _SCALE), int(masks[part + 1] * _SCALE)
    # In units of the last place; what is left of the powers of two and ten divides it.
    stretched = low * below + rest * (high - low)
    unit = (_SCALE << max(0, -binade)) * 10 ** max(0, exponent)
    coefficient = stretched // unit if stretched >= own * unit else -(-stretched // unit)
    if coefficient >= _COEFFICIENT and exponent == _TOP_EXPONENT:
        coefficient = _COEFFICIENT - 1
    elif coefficient >= _COEFFICIENT:
        coefficient, exponent = coefficient // 10, exponent + 1
    return Decimal(f"{'-' if sign else ''}{coefficient}E{exponent}")


def _knots(hash_of: HashFunction, noise: float) -> Callable[[int], Knots]:
    """Return a function that gives the knots of a binade.

    Every ``span`` binades a keyed factor within the noise is drawn. Between those the stretching is linear,
    but at the ends of 32 parts of each binade it is moved a little, by less than a quarter of what the line
    rises in a part. A straight line between two points within the noise is within it.
    """
    span = 1 if noise <= 0.2 else 2 if noise <= 0.45 else 4
    ratio = 2.0**span
    least_slope = (ratio * (1 - noise) - (1 + noise)) / (ratio - 1)
    jitter = min(noise / 4, least_slope / (4 * _PARTS))
    most = 0.999 * noise - jitter

    def factor(number: int) -> float:
        return 1 + most * (2 * to_fraction(hash_of(f"factor {number}".encode())) - 1)

    @lru_cache(4096)
    def knots_of(binade: int) -> Knots:
        group, inside = divmod(binade, span)
        scale = 2.0**inside
        start = factor(group)
        slope = (ratio * factor(group + 1) - start) / (ratio - 1)
        moves = hash_of(f"moves {binade}".encode())
        places = [1 + part / _PARTS for part in range(_PARTS + 1)]
        masks = [(start + (scale * place - 1) * slope) / scale for place in places]
        for part in range(1, _PARTS):
            masks[part] += jitter * (moves[part] - 127.5) / 127.5
        slopes = [(masks[part + 1] - masks[part]) * _PARTS for part in range(_PARTS)]
        return places, masks, slopes

    return knots_of
