"""All masks of the library, bound to fixed keys, and values of every kind that they take."""

from __future__ import annotations

import string
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from monarch import privacy
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueFunction, ValueKind
from monarch.system.secrets import Secret

KEY = MaskingKey(Secret("a key that only tests have"), lasting=True)
OTHER_KEY = MaskingKey(Secret("another key of the tests"), lasting=True)

UNIQUE = (
    privacy.email(unique=True),
    privacy.username(unique=True),
    privacy.phone(unique=True),
    privacy.ip(unique=True),
    privacy.identifier(),
    privacy.national_id(),
    privacy.iban(),
    privacy.card(),
    privacy.number(unique=True),
)
ALL = (
    *UNIQUE,
    privacy.email(),
    privacy.username(),
    privacy.phone(),
    privacy.ip(),
    privacy.number(),
    privacy.number(noise=0.5),
    privacy.full_name(),
    privacy.first_name(),
    privacy.last_name(),
    privacy.company(),
    privacy.street(),
    privacy.city(),
    privacy.postcode(),
    privacy.text(),
    privacy.blank(),
    privacy.hashed(),
    privacy.url(),
    privacy.mac(),
    privacy.shift_date(),
    privacy.location(km=10),
    privacy.constant("none"),
    privacy.choice("a", "b", 1, 2.5, True, False, b"c"),
)

# Texts of all kinds, lone surrogates too, and those that masks know.
TEXTS = st.one_of(
    st.text(max_size=80),
    st.text(st.characters(), max_size=10),
    st.text(string.ascii_letters + string.digits + " -+.@:/()", max_size=40),
    st.sampled_from(
        [
            "anna.smith@gmail.com",
            "Jürgen.Müller@firma-köln.de",
            "+49 (0)171 555-01 23",
            "0049 30 1234567",
            "(212) 555-0123 ext. 9",
            "DE89 3704 0044 0532 0130 00",
            "GB82WEST12345698765432",
            "4111-1111-1111-1111",
            "192.168.0.1",
            "2001:db8::1",
            "2001:DB8::0001",
            "aa:bb:cc:dd:ee:ff",
            "507f1f77bcf86cd799439011",
            "507F1F77BCF86CD799439011",
            "123456789012345678901234",
            "550e8400-e29b-41d4-a716-446655440000",
            "\ud800 alone",
            "Владимир 漢字 👩‍👩‍👧 é",
            "x" * 3_000,
        ]
    ),
)
DATES = st.dates().map(lambda date: date.isoformat()).filter(lambda text: "0002" < text < "9998")
INTEGERS = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-2000, 2000), st.integers(0, 1 << 32)
)
DECIMALS = st.builds(
    lambda sign, coefficient, exponent: Decimal((sign, tuple(map(int, str(coefficient))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**34 - 1),
    st.integers(-40, 40),
)
VALUES: dict[ValueKind, st.SearchStrategy[Any]] = {
    ValueKind.TEXT: TEXTS,
    ValueKind.INTEGER: INTEGERS,
    ValueKind.FLOAT: st.floats(),
    ValueKind.DECIMAL: DECIMALS,
    ValueKind.DATE: st.integers(-(1 << 53), 1 << 53),
    ValueKind.BINARY: st.binary(max_size=100),
    ValueKind.OBJECT_ID: st.binary(min_size=12, max_size=12),
    ValueKind.UUID: st.binary(min_size=16, max_size=16),
    ValueKind.BOOLEAN: st.booleans(),
}
TYPES: dict[ValueKind, type] = {
    ValueKind.TEXT: str,
    ValueKind.INTEGER: int,
    ValueKind.FLOAT: float,
    ValueKind.DECIMAL: Decimal,
    ValueKind.DATE: int,
    ValueKind.BINARY: bytes,
    ValueKind.OBJECT_ID: bytes,
    ValueKind.UUID: bytes,
    ValueKind.BOOLEAN: bool,
}


def values_for(mask: Mask, kind: ValueKind) -> st.SearchStrategy[Any]:
    """Return values of ``kind`` that ``mask`` takes."""
    written = repr(mask)
    if written.startswith("shift_date") and kind is ValueKind.TEXT:
        return DATES
    if "location" in written:
        return st.floats(-360, 360) if kind is ValueKind.FLOAT else st.integers(-360, 360)
    if "noise" in written or "choice" in written:
        return VALUES[kind]
    if kind is ValueKind.FLOAT:
        return st.integers(1 - (1 << 53), (1 << 53) - 1).map(float)
    if kind is ValueKind.DECIMAL:
        whole, places = st.integers(-(10**15), 10**15), st.integers(0, 9)
        return st.builds(lambda number, zeros: Decimal(f"{number}.{'0' * zeros}"), whole, places)
    return VALUES[kind]


def bound(mask: Mask, kind: ValueKind = ValueKind.TEXT, key: MaskingKey = KEY) -> ValueFunction:
    """Return the function of ``mask`` for values of ``kind``."""
    return mask.bind(key)[kind]
