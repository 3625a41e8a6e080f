"""Checksums of accounts, cards and national ids."""

from __future__ import annotations

import random

import pytest

from monarch.privacy.detection.checks import is_card, is_iban, is_national_id
from tests.support.people import dataset


@pytest.mark.parametrize(
    "text", ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR1420041010050500013M02606"]
)
def test_ibans(text: str) -> None:
    assert is_iban(text)
    wrong = text[:-1] + ("1" if text[-1] != "1" else "2")
    assert not is_iban(wrong)
    assert not is_iban(text[:-1])


@pytest.mark.parametrize("text", ["4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"])
def test_cards(text: str) -> None:
    assert is_card(text)
    assert not is_card(text[:-1] + str((int(text[-1]) + 1) % 10))


def test_a_number_of_one_digit_is_no_card() -> None:
    assert not is_card("2" * 16)


@pytest.mark.parametrize(
    ("country", "text"),
    [
        ("Germany", "86095742719"),
        ("Poland", "44051401359"),
        ("Brazil", "529.982.247-25"),
        ("Brazil, companies", "11.222.333/0001-81"),
        ("Turkey", "10000000146"),
        ("Russia", "112-233-445 95"),
        ("Netherlands", "111222333"),
        ("Spain", "12345678Z"),
        ("Spain, foreigners", "X1234567L"),
        ("Italy", "RSSMRA85T10A562S"),
        ("France", "1 84 12 76 451 089 46"),
        ("China", "11010519491231002X"),
        ("Japan", "123456789018"),
        ("Sweden", "811228-9874"),
        ("United Kingdom", "QQ123456C".replace("QQ", "AB")),
        ("United States", "253-78-5555"),
    ],
)
def test_national_ids(country: str, text: str) -> None:
    assert is_national_id(text)


@pytest.mark.parametrize(
    "text",
    ["12345678A", "RSSMRA85T10A562T", "110105194912310021", "1 84 12 76 451 089 47", "000-12-3456", "hello"],
)
def test_wrong_national_ids(text: str) -> None:
    assert not is_national_id(text)


def test_invented_numbers_are_valid() -> None:
    rng = random.Random(1)
    for _ in range(20):
        assert is_iban(dataset.iban(rng))
        assert is_card(dataset.card(rng))
        assert is_national_id(dataset.tax_id(rng))
