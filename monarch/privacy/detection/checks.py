"""Checksums: bank accounts, cards and the national ids of some countries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
# Of some countries, so that fewer other codes are taken for one.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: ("NO",),
        16: ("BE",),
        18: ("DK", "FI", "NL"),
        20: ("AT", "BA", "EE", "LU"),
        21: ("CH",),
        22: ("DE", "GB", "IE"),
        23: ("AE",),
        24: ("AD", "CZ", "ES", "RO", "SE"),
        25: ("PT",),
        26: ("TR",),
        27: ("FR", "GR", "IT"),
        28: ("HU", "PL"),
        29: ("BR",),
    }.items()
    for country in countries
}
_CARD = re.compile(r"[2-6]\d{12,18}")
_SEPARATORS = re.compile(r"[\s.\-/]")


def is_iban(text: str) -> bool:
    """Whether ``text`` is an IBAN (ISO 13616), with or without spaces: its remainder by 97 is 1."""
    packed = text.replace(" ", "")
    if not _IBAN.fullmatch(packed) or len(packed) != _IBAN_LENGTHS.get(packed[:2], len(packed)):
        return False
    turned = packed[4:] + packed[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


def is_luhn(digits: str) -> bool:
    """Whether ``digits`` have a valid check digit after Luhn (ISO 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def is_card(text: str) -> bool:
    """Whether ``text`` is the number of a payment card, with or without spaces and dashes."""
    packed = text.replace(" ", "").replace("-", "")
    return bool(_CARD.fullmatch(packed)) and len(set(packed)) > 1 and is_luhn(packed)


def _weighted(digits: str, weights: Iterable[int | str]) -> int:
    return sum(int(digit) * int(weight) for digit, weight in zip(digits, weights, strict=False))


def _de_tax_id(digits: str) -> bool:
    """ISO 7064, MOD 11,10; the first digit is not 0, and one of the first ten comes twice or three times."""
    if digits[0] == "0" or len(set(digits[:10])) not in (8, 9):
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def _es_dni(text: str) -> bool:
    number = text[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]


def _it_fiscal_code(text: str) -> bool:
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    total = 0
    for place, letter in enumerate(text[:15]):
        number = int(letter) if letter.isdigit() else ord(letter) - ord("A")
        total += odd[number] if place % 2 == 0 else number
    return chr(ord("A") + total % 26) == text[15]


def _fr_nir(text: str) -> bool:
    body = text[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(body) % 97 == int(text[13:])


def _pl_pesel(digits: str) -> bool:
    return int(digits[2:4]) % 20 in range(1, 13) and _weighted(digits, "13791379131") % 10 == 0


def _br_cpf(digits: str) -> bool:
    if len(set(digits)) == 1:
        return False
    for size in (9, 10):
        weights = tuple(range(size + 1, 1, -1))
        if _weighted(digits, weights) * 10 % 11 % 10 != int(digits[size]):
            return False
    return True


def _br_cnpj(digits: str) -> bool:
    for weights in ("543298765432", "6543298765432"):
        rest = _weighted(digits, weights) % 11
        if (0 if rest < 2 else 11 - rest) != int(digits[len(weights)]):
            return False
    return True


def _nl_bsn(digits: str) -> bool:
    return int(digits) > 0 and (_weighted(digits[:8], "98765432") - int(digits[8])) % 11 == 0


def _tr_kimlik(digits: str) -> bool:
    numbers = [int(digit) for digit in digits]
    tenth = (sum(numbers[0:9:2]) * 7 - sum(numbers[1:8:2])) % 10
    return numbers[0] != 0 and tenth == numbers[9] and sum(numbers[:10]) % 10 == numbers[10]


def _cn_resident(text: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[_weighted(text, weights) % 11] == text[17].upper()


def _jp_my_number(digits: str) -> bool:
    rest = _weighted(digits[:11], "65432765432") % 11
    return (0 if rest <= 1 else 11 - rest) == int(digits[11])


def _ru_snils(digits: str) -> bool:
    total = _weighted(digits[:9], "987654321") % 101
    return total % 100 == int(digits[9:])


def _us_ssn(text: str) -> bool:
    """It has no check digit: only with its dashes it is told from other numbers."""
    return not text.startswith(("000", "666", "9")) and text[4:6] != "00" and text[7:] != "0000"


def _is_valid(text: str) -> bool:
    return True


def _eleven_digits(digits: str) -> bool:
    return any(check(digits) for check in (_de_tax_id, _pl_pesel, _br_cpf, _tr_kimlik, _ru_snils))


def _se_number(digits: str) -> bool:
    return is_luhn(digits[-10:]) and int(digits[-8:-6]) in range(1, 13)


# The form of each, and its check.
_NATIONAL: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (re.compile(form), check)
    for form, check in (
        (r"\d{11}", _eleven_digits),
        (r"\d{14}", _br_cnpj),
        (r"(19|20)?\d{10}", _se_number),
        (r"\d{12}", _jp_my_number),
        (r"\d{9}", _nl_bsn),
        (r"\d{17}[\dXx]", _cn_resident),
        (r"[XYZ\d]\d{7}[A-Z]", _es_dni),
        (r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]", _it_fiscal_code),
        (r"[12]\d{4}(\d{2}|2[AB])\d{8}", _fr_nir),
        # United Kingdom: no check digit.
        (r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", _is_valid),
    )
)
_SSN = re.compile(r"\d{3}-\d{2}-\d{4}")


def is_national_id(text: str) -> bool:
    """Whether ``text`` may be the national id or tax number of a person in one of some countries.

    One random number of eleven digits in about three is one by chance: it takes many values to tell.
    """
    if _SSN.fullmatch(text):
        return _us_ssn(text)
    packed = _SEPARATORS.sub("", text)
    if not 9 <= len(packed) <= 18:
        return False
    return any(form.fullmatch(packed) and check(packed) for form, check in _NATIONAL)
