"""Masks of people and companies: names that are invented."""

from __future__ import annotations

from collections.abc import Callable

from monarch.privacy.rules import Mask
from monarch.privacy.values.addresses import spell_uniquely
from monarch.privacy.values.invented import (
    COMPANY_FORMS,
    COMPANY_FRONTS,
    COMPANY_TRADES,
    FIRST_NAMES,
    LAST_NAMES,
    PLAIN_FIRST,
    PLAIN_LAST,
)
from monarch.privacy.values.written import (
    HashFunction,
    LibraryMask,
    TextFunction,
    encode,
    for_text,
    remember,
    to_number,
)


def full_name() -> Mask:
    """Mask names by invented ones: a first and a last name."""
    return LibraryMask("full_name()", for_text("full_name", _full_name))


def first_name() -> Mask:
    """Mask first names by others."""
    return LibraryMask("first_name()", for_text("first_name", _draw_from(FIRST_NAMES)))


def last_name() -> Mask:
    """Mask last names by others."""
    return LibraryMask("last_name()", for_text("last_name", _draw_from(LAST_NAMES)))


def username(unique: bool = False) -> Mask:
    """Mask logins by invented ones of small letters and digits.

    ``unique=True``: two never get the same mask, which is longer than the login.
    """
    if unique:
        return LibraryMask("username(unique=True)", for_text("username unique", _unique_username))
    return LibraryMask("username()", for_text("username", _username))


def company() -> Mask:
    """Mask names of companies by invented ones."""
    return LibraryMask("company()", for_text("company", _company))


def _full_name(hash_of: HashFunction) -> TextFunction:
    firsts, lasts = len(FIRST_NAMES), len(LAST_NAMES)

    def mask(text: str) -> str:
        number = to_number(hash_of(encode(text)))
        return f"{FIRST_NAMES[number % firsts]} {LAST_NAMES[(number >> 64) % lasts]}"

    return mask


def _draw_from(names: tuple[str, ...]) -> Callable[[HashFunction], TextFunction]:
    count = len(names)

    def build(hash_of: HashFunction) -> TextFunction:
        return remember(lambda text: names[to_number(hash_of(encode(text))) % count])

    return build


def _username(hash_of: HashFunction) -> TextFunction:
    firsts, lasts = len(PLAIN_FIRST), len(PLAIN_LAST)

    def mask(text: str) -> str:
        number = to_number(hash_of(encode(text)))
        last = PLAIN_LAST[(number >> 64) % lasts]
        return f"{PLAIN_FIRST[number % firsts]}.{last}{(number >> 128) % 1000}"

    return mask


def _unique_username(hash_of: HashFunction) -> TextFunction:
    spell = spell_uniquely(hash_of)
    return remember(lambda text: f"u{spell(text)}")


def _company(hash_of: HashFunction) -> TextFunction:
    fronts, trades, forms = len(COMPANY_FRONTS), len(COMPANY_TRADES), len(COMPANY_FORMS)

    def mask(text: str) -> str:
        number = to_number(hash_of(encode(text)))
        front, trade = COMPANY_FRONTS[number % fronts], COMPANY_TRADES[(number >> 64) % trades]
        return f"{front} {trade} {COMPANY_FORMS[(number >> 128) % forms]}"

    return remember(mask)
