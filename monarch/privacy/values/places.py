"""Masks of places: streets, cities, postcodes, coordinates."""

from __future__ import annotations

from math import ceil, floor, isfinite

from monarch.errors import UsageError
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueKind, ValueRefused
from monarch.privacy.values.codes import whole_numbers
from monarch.privacy.values.forms import draw_form, whole
from monarch.privacy.values.invented import CITY_ENDS, CITY_FRONTS, ROADS, TREES
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

# Of a sphere of the Earth's mean radius, 6371.0088 km; along the equator it is 0.1 % more.
_KM_PER_DEGREE = 111.195
# Longitudes are also counted from 0 to 360.
_MOST_DEGREES = 360.0


def street() -> Mask:
    """Mask streets by invented ones, with a number."""
    return LibraryMask("street()", for_text("street", _street))


def city() -> Mask:
    """Mask cities by invented ones."""
    return LibraryMask("city()", for_text("city", _city))


def postcode() -> Mask:
    """Mask postcodes by others of the same form; whole numbers by others of as many digits."""
    return LibraryMask("postcode()", _bind_postcode)


def location(km: float = 10) -> Mask:
    """Move coordinates in degrees: each by up to ``km`` kilometres, or less in longitude.

    All places in a square of that size get the same coordinates, so that many places around a home do not
    show it. Integers stay whole degrees.

    :raises UsageError: if ``km`` is not above 0.
    """
    if not 0 < km <= 10_000:
        raise UsageError(f"location() cannot move by {km!r} kilometres.", "Write a number such as km=10.")
    return LibraryMask(f"location(km={km!r})", lambda key: _bind_location(key, float(km)))


def _street(hash_of: HashFunction) -> TextFunction:
    trees, roads = len(TREES), len(ROADS)

    def mask(text: str) -> str:
        number = to_number(hash_of(encode(text)))
        return f"{1 + number % 199} {TREES[(number >> 64) % trees]} {ROADS[(number >> 128) % roads]}"

    return mask


def _city(hash_of: HashFunction) -> TextFunction:
    fronts, ends = len(CITY_FRONTS), len(CITY_ENDS)

    def mask(text: str) -> str:
        number = to_number(hash_of(encode(text)))
        return CITY_FRONTS[number % fronts] + CITY_ENDS[(number >> 64) % ends]

    return remember(mask)


def _bind_postcode(key: MaskingKey) -> Bound:
    hash_of = key.hasher("postcode")
    text = keep_empty(remember(whole(draw_form(hash_of))))
    return {**whole_numbers("postcode", hash_of), ValueKind.TEXT: text}


def _bind_location(key: MaskingKey, km: float) -> Bound:
    hash_of = key.hasher(f"location {km!r}")
    size = km / _KM_PER_DEGREE

    def mask(degrees: float) -> float:
        if not isfinite(degrees):
            return degrees
        if abs(degrees) > _MOST_DEGREES:
            raise ValueRefused("location takes degrees; this number is no place.", "Use number(noise=0.1).")
        square = floor(degrees / size)
        moved = (square + to_fraction(hash_of(str(square).encode()))) * size
        # Which of the two a number is, is not known: up to 90 it may be a latitude.
        limit = 90.0 if -90 <= degrees <= 90 else 180.0 if -180 <= degrees <= 180 else _MOST_DEGREES
        return min(max(moved, -limit), limit)

    def mask_integer(degrees: int) -> int:
        moved = mask(degrees)
        return floor(moved) if moved >= degrees else ceil(moved)

    return {ValueKind.FLOAT: mask, ValueKind.INTEGER: mask_integer}
