"""Masks of codes: identifiers, IBANs, numbers of cards. All of them are unique by construction."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from math import isfinite

from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueKind, ValueRefused
from monarch.privacy.values.forms import FREE, permute_form, whole
from monarch.privacy.values.permutation import bytes_permutation, permutations, walk
from monarch.privacy.values.written import (
    Bound,
    HashFunction,
    LibraryMask,
    TextFunction,
    for_text,
    keep_empty,
    remember,
)

_PURPOSE = "identifier"
# By the code of a digit: the sum of the digits of its double.
_DOUBLED = {ord(str(digit)): sum(divmod(2 * digit, 10)) for digit in range(10)}
# ISO 7064: A is 10, Z is 35, whatever the case.
_NUMBERED = {ord(letter): str(int(letter, 36)) for letter in string.ascii_letters}
_OBJECT_ID = re.compile(r"[0-9a-f]{24}|[0-9A-F]{24}")
_HYPHENATED = "-".join(f"[DIGITS]{{{size}}}" for size in (8, 4, 4, 4, 12))
_UUID = re.compile("|".join(_HYPHENATED.replace("DIGITS", digits) for digits in ("0-9a-f", "0-9A-F")))
_IBAN = re.compile(r"([A-Za-z]{2}) ?([0-9]) ?([0-9])(?: ?[A-Za-z0-9]){11,30}")
_CARD = re.compile(r"[0-9](?:[ -]?[0-9]){11,18}")
# Doubles hold all whole numbers up to it.
_EXACT = 1 << 53
# A decimal128 has 34 digits, and up to 16 are before the point.
_MOST_PLACES = 17
_WIDTHS = (1 << 31, _EXACT, 1 << 63)


def identifier() -> Mask:
    """Mask codes by others of the same form: digits by digits, letters by letters, punctuation is kept.

    Two never get the same mask. Whole numbers keep their sign and the number of their digits, and a number
    has the same mask as integer, double and decimal. An ObjectId or a UUID has the same mask as its text in
    hexadecimal digits; a UUID keeps its version. Bytes keep their length.
    """
    return LibraryMask("identifier()", _bind_identifier)


def national_id() -> Mask:
    """Mask numbers of persons as `identifier` does. Check digits of national schemes are not computed."""
    return LibraryMask("national_id()", _bind_identifier)


def iban() -> Mask:
    """Mask IBANs by others of the same country and length, with valid check digits (ISO 13616, mod 97).

    Two never get the same mask. Check digits of national schemes inside it are not computed. What is no valid
    IBAN is masked by what is none, in the same form.
    """
    return LibraryMask("iban()", for_text("iban", lambda hash_of: remember(_iban(hash_of))))


def card() -> Mask:
    """Mask numbers of cards by others with the same first two digits, length and spaces, valid by Luhn.

    Two never get the same mask. What is no valid number is masked by what is none, in the same form.
    """
    return LibraryMask("card()", for_text("card", lambda hash_of: remember(_card(hash_of))))


def _bind_identifier(key: MaskingKey) -> Bound:
    hash_of = key.hasher(_PURPOSE)
    text = keep_empty(remember(_identifier_text(hash_of)))
    return {
        **whole_numbers("identifier", hash_of),
        ValueKind.TEXT: text,
        ValueKind.OBJECT_ID: remember(_object_id(hash_of, text)),
        ValueKind.UUID: lambda data: bytes.fromhex(text(_hyphenate(data.hex())).replace("-", "")),
        ValueKind.BINARY: keep_empty(remember(bytes_permutation(hash_of))),
    }


def whole_numbers(name: str, hash_of: HashFunction) -> Bound:
    """Return the functions of the mask ``name`` that permute whole numbers."""
    permutation = permutations(hash_of)

    @lru_cache(4096)
    def mask(number: int) -> int:
        if number < 0:
            # So that the smallest number of a width, whose opposite is too large, gets one of that width.
            return ~mask(~number)
        first, after = _same_digits(number)
        return first + permutation(after - first)(number - first)

    def mask_float(number: float) -> float:
        if not isfinite(number):
            return number
        if not number.is_integer() or abs(number) >= _EXACT:
            raise _not_whole(name)
        return float(mask(int(number)))

    def mask_decimal(number: Decimal) -> Decimal:
        if not number.is_finite():
            return number
        if number.copy_abs() >= _EXACT or number != int(number):
            raise _not_whole(name)
        return _with_exponent_of(number, mask(int(number)))

    return {ValueKind.INTEGER: mask, ValueKind.FLOAT: mask_float, ValueKind.DECIMAL: mask_decimal}


def _not_whole(name: str) -> ValueRefused:
    return ValueRefused(f"{name} takes whole numbers only, up to 2**53.", "Use number(noise=0.1).")


def _same_digits(number: int) -> tuple[int, int]:
    """Return the range of the numbers that have as many digits as ``number``, and fit where it fits."""
    digits = len(str(number))
    first, after = (10 ** (digits - 1) if digits > 1 else 0), 10**digits
    for width in _WIDTHS:
        if first < width < after:
            first, after = (first, width) if number < width else (width, after)
    return first, after


def _with_exponent_of(number: Decimal, value: int) -> Decimal:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or not -_MOST_PLACES <= exponent < 0:
        return Decimal(value)
    return Decimal((value < 0, tuple(map(int, str(abs(value) * 10**-exponent))), exponent))


def _hyphenate(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _is_object_id(text: str) -> bool:
    # Only digits: a number of 24 digits stays one.
    return len(text) == 24 and _OBJECT_ID.fullmatch(text) is not None and not text.isdigit()


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and _UUID.fullmatch(text) is not None and not text.replace("-", "").isdigit()


def _is_other(text: str) -> bool:
    return not _is_object_id(text) and not _is_uuid(text)


def _identifier_text(hash_of: HashFunction) -> TextFunction:
    permutation = permutations(hash_of)
    ids, uuids = permutation(1 << 96), permutation(1 << 122)

    def step_id(text: str) -> str:
        return f"{ids(int(text, 16)):024x}"

    def step_uuid(text: str) -> str:
        number = int(text.replace("-", ""), 16)
        # The version is in bits 76 to 79, the variant in bits 62 and 63 (RFC 9562); both are kept.
        low, version, middle = number & _LOW, number >> 76 & 15, number >> 64 & 0xFFF
        mixed = uuids((number >> 80) << 74 | middle << 62 | low)
        top, middle, low = mixed >> 74, mixed >> 62 & 0xFFF, mixed & _LOW
        joined = top << 80 | version << 76 | middle << 64 | (number >> 62 & 3) << 62 | low
        return _hyphenate(f"{joined:032x}")

    mask_id = _in_both_cases(walk(step_id, _is_object_id))
    mask_uuid = _in_both_cases(walk(step_uuid, _is_uuid))
    step = whole(permute_form(hash_of))
    mask_other = walk(step, _is_other)

    def mask(text: str) -> str:
        length = len(text)
        if length == 24 and _is_object_id(text):
            return mask_id(text)
        if length == 36 and _is_uuid(text):
            return mask_uuid(text)
        return mask_other(text) if length in (24, 36) else step(text)

    return mask


_LOW = (1 << 62) - 1


def _object_id(hash_of: HashFunction, mask_text: TextFunction) -> Callable[[bytes], bytes]:
    """Return what ``mask_text`` does to the hexadecimal texts of ObjectIds, without making most texts."""
    permute = permutations(hash_of)(1 << 96)

    def mask(data: bytes) -> bytes:
        if data.hex().isdigit():
            return bytes.fromhex(mask_text(data.hex()))
        while True:
            data = permute(int.from_bytes(data, "big")).to_bytes(12, "big")
            if not data.hex().isdigit():
                return data

    return mask


def _in_both_cases(mask: TextFunction) -> TextFunction:
    """Return ``mask``, a permutation of texts in small letters, for those in capitals too."""
    # Not at each step of a walk: one with digits only would lose the case.
    return lambda text: mask(text.lower()).upper() if text.isupper() else mask(text)


def _partly(step: TextFunction, valid: TextFunction, is_valid: Callable[[str], bool]) -> TextFunction:
    """Return ``valid`` for what is valid, and for the rest the permutation that ``step`` is of it."""
    mask_other = walk(step, lambda text: not is_valid(text))
    return lambda text: valid(text) if is_valid(text) else mask_other(text)


def _iban(hash_of: HashFunction) -> TextFunction:
    permute = permute_form(hash_of)

    def mask(text: str) -> str:
        # The country is kept. The check digits, with perhaps a space between, follow from the rest.
        first, second = [place for place, character in enumerate(text[:6]) if character.isdigit()][:2]
        start = second + 1
        body = permute(text[start:], FREE)
        check = _check_digits(text[:start] + body)
        return f"{text[:first]}{check[0]}{text[first + 1 : second]}{check[1]}{body}"

    return _partly(whole(permute), mask, is_iban)


def is_iban(text: str) -> bool:
    """Whether ``text`` is an IBAN with valid check digits; single spaces may be in it."""
    if len(text) < 15 or _IBAN.fullmatch(text) is None:
        return False
    return text.replace(" ", "")[2:4] == _check_digits(text)


def _check_digits(text: str) -> str:
    """Return the check digits, from 02 to 98, that belong into an IBAN."""
    compact = text.replace(" ", "")
    number = int(f"{compact[4:]}{compact[:2]}00".translate(_NUMBERED))
    return f"{98 - number % 97:02}"


def _card(hash_of: HashFunction) -> TextFunction:
    permute = permute_form(hash_of)

    def mask(text: str) -> str:
        places = [place for place, character in enumerate(text) if character.isdigit()]
        start, last = places[1] + 1, places[-1]
        front = text[:start] + permute(text[start:last], FREE)
        return f"{front}{-_luhn(front + '0') % 10}"

    return _partly(whole(permute), mask, is_card)


def is_card(text: str) -> bool:
    """Whether ``text`` is 12 to 19 digits, with single spaces or hyphens, that are valid by Luhn."""
    return _CARD.fullmatch(text) is not None and _luhn(text) == 0


def _luhn(text: str) -> int:
    digits = text.replace(" ", "").replace("-", "").encode()
    # The code of the digit 0 is 48.
    return (
        sum(digits[-1::-2]) - 48 * len(digits[-1::-2]) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))
    ) % 10
