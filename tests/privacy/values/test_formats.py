"""Masks are valid in the formats of their values. The validators are written here, not taken from monarch."""

from __future__ import annotations

import ipaddress
import random
import re
import string

import pytest

from monarch import privacy
from monarch.privacy.rules import MaskingError, ValueKind
from tests.privacy.values.masking import bound

CHANCE = random.Random(18)


def is_luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def remainder_of_iban(iban: str) -> int:
    remainder = 0
    for character in iban[4:] + iban[:4]:
        value = int(character) if character.isdigit() else ord(character.upper()) - ord("A") + 10
        remainder = (remainder * (100 if value > 9 else 10) + value) % 97
    return remainder


def make_iban(country: str, body: str) -> str:
    return f"{country}{98 - remainder_of_iban(f'{country}00{body}'):02}{body}"


def assert_mail(address: str) -> None:
    local, _, domain = address.partition("@")
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)*", local)
    assert re.fullmatch(r"([a-z0-9]+\.)*example\.(com|org|net)", domain)
    assert len(local) <= 64
    assert all(len(label) <= 63 for label in domain.split("."))
    assert len(address) <= 254


def digits(count: int) -> str:
    return "".join(CHANCE.choices(string.digits, k=count))


@pytest.mark.parametrize("unique", [False, True])
def test_mails_are_valid_and_nobody_has_them(unique: bool) -> None:
    function = bound(privacy.email(unique=unique))
    for length in range(1, 140):
        assert_mail(function("ä" * (length // 2) + "b" * (length % 2) + "@"))


def test_a_mail_that_is_too_long_to_stay_unique_fails_without_its_value() -> None:
    function = bound(privacy.email(unique=True))
    with pytest.raises(MaskingError) as caught:
        function("secret" * 40 + "@example.com")
    assert "secret" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "iban",
    [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB82 WEST 1234 5698 7654 32",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        make_iban("FR", "20041010050500013M02606"),
        "fr1420041010050500013m02606",
    ],
)
def test_an_iban_stays_one_of_its_country(iban: str) -> None:
    masked = bound(privacy.iban())(iban)
    assert remainder_of_iban(masked.replace(" ", "")) == 1
    assert masked[:2] == iban[:2]
    assert masked != iban
    for old, new in zip(iban, masked, strict=True):
        assert (old.isdigit(), old.isupper(), old == " ") == (new.isdigit(), new.isupper(), new == " ")


def test_ibans_do_not_collide_and_what_is_none_becomes_none() -> None:
    function = bound(privacy.iban())
    valid = {make_iban("NO", f"8601{number:07}") for number in range(300)}
    invalid = {f"NO{checks:02}86011117947" for checks in range(100)} - {"NO9386011117947"}
    masks = {text: function(text) for text in valid | invalid}
    assert len(set(masks.values())) == len(masks)
    assert {
        text for text, mask in masks.items() if remainder_of_iban(mask) == 1 and "01" < mask[2:4] < "99"
    } == valid


@pytest.mark.parametrize("length", range(12, 20))
def test_a_card_stays_valid(length: int) -> None:
    function = bound(privacy.card())
    for front in {digits(length - 1) for _ in range(50)}:
        number = next(front + check for check in string.digits if is_luhn(front + check))
        masked = function(number)
        assert is_luhn(masked)
        assert (len(masked), masked[:2]) == (length, number[:2])
        spaced = " ".join(re.findall(".{1,4}", number))
        assert [len(part) for part in function(spaced).split(" ")] == [
            len(part) for part in spaced.split(" ")
        ]


def test_cards_do_not_collide() -> None:
    function = bound(privacy.card())
    numbers = [f"411111{number:06}" for number in range(1000)]
    masks = [function(number) for number in numbers]
    assert len(set(masks)) == 1000
    assert list(map(is_luhn, masks)) == list(map(is_luhn, numbers))


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("+49 (171) 555-0123", "+49 "),
        ("+1-212-555-0123", "+1-"),
        ("+41 44 668 18 00", "+41 "),
        ("+358 9 1234567", "+358 "),
        ("0049 30 123456", "0049 "),
        ("(+44) 20 7946 0958", "(+44) "),
        ("030 123456", "0"),
        ("+49 (0)30 123456", "+49 (0)"),
        ("212 555 0123", ""),
    ],
)
def test_a_phone_keeps_its_country_and_form(number: str, kept: str, unique: bool) -> None:
    masked = bound(privacy.phone(unique=unique))(number)
    assert masked.startswith(kept)
    assert re.sub("[0-9]", "0", masked) == re.sub("[0-9]", "0", number)
    assert masked != number
    if not kept or kept[-1] in " -":
        assert masked[len(kept)] != "0" or not masked[len(kept)].isdigit()


def test_letters_beside_a_phone_do_not_stay() -> None:
    assert "Anna" not in bound(privacy.phone())("+49 171 5550123 (Anna)")


@pytest.mark.parametrize("unique", [False, True])
def test_addresses_of_machines(unique: bool) -> None:
    function = bound(privacy.ip(unique=unique))
    for _ in range(200):
        four = ipaddress.IPv4Address(CHANCE.getrandbits(32))
        six = ipaddress.IPv6Address(CHANCE.getrandbits(128))
        masked_four, masked_six = map(ipaddress.ip_address, (function(str(four)), function(str(six))))
        assert (masked_four.version, masked_six.version) == (4, 6)
        if not unique:
            assert masked_four in ipaddress.ip_network("10.0.0.0/8")
            assert masked_six in ipaddress.ip_network("2001:db8::/32")


def test_spellings_of_one_address_do_not_collide() -> None:
    function = bound(privacy.ip(unique=True))
    texts = [
        "::1",
        "0::1",
        "0:0::1",
        "2001:db8::a",
        "2001:DB8::A",
        "2001:db8:0::a",
        "::ffff:10.0.0.1",
        "::FFFF:10.0.0.1",
        "::ffff:a00:1",
        "0:0:0:0:0:ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "10.0.0.1",
        "010.0.0.1",
        "no",
    ]
    assert len({function(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    "spellings",
    [("2001:db8:7::a", "2001:DB8:7:0::000A"), ("::ffff:10.1.2.3", "::FFFF:a01:203", "0::ffff:10.1.2.3")],
)
def test_spellings_of_one_address_have_one_mask(spellings: tuple[str, ...]) -> None:
    (masked,) = set(map(bound(privacy.ip()), spellings))
    assert ipaddress.ip_address(masked) in ipaddress.ip_network("2001:db8::/32")


@pytest.mark.parametrize("address", ["00:1a:2B:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a2b3c4d5e"])
def test_hardware_addresses_are_nobodys(address: str) -> None:
    masked = bound(privacy.mac())(address)
    assert re.fullmatch("02([:-]?)[0-9a-fA-F]{2}(\\1[0-9a-fA-F]{2}){4}", masked)
    assert len(masked) == len(address)
    assert masked.isupper() or not address.isupper()


@pytest.mark.parametrize("length", [1, 2, 3, 80, 4_000, 100_000])
def test_lengths_stay_where_the_rule_is_about_form(length: int) -> None:
    value = "Zürich " * length
    for mask in (privacy.text(), privacy.blank(), privacy.identifier(), privacy.postcode()):
        masked = bound(mask)(value[:length])
        assert len(masked) == length
        assert masked == masked.rstrip() or mask == privacy.identifier() or mask == privacy.postcode()
    for mask in (privacy.blank(), privacy.hashed(), privacy.identifier()):
        assert len(bound(mask, ValueKind.BINARY)(value[:length].encode())) >= length


def test_urls_and_names() -> None:
    assert re.fullmatch(r"https://example\.com/[0-9a-f]{32}", bound(privacy.url())("http://anna.example/x?y"))
    assert re.fullmatch(r"\w+ \w+", bound(privacy.full_name())("Anna"))
    assert re.fullmatch(r"[a-z]+\.[a-z]+[0-9]+", bound(privacy.username())("Anna"))
    assert re.fullmatch(r"[a-z][a-z2-7]+", bound(privacy.username(unique=True))("Anna"))
    assert re.fullmatch(r"[0-9a-f]{64}", bound(privacy.hashed())("Anna"))


def test_choices_follow_their_weights_and_types() -> None:
    mask = privacy.choice(["a", "b", 7, True], weights=[3, 1, 1, 1])
    drawn = [bound(mask)(f"value {number}") for number in range(2000)]
    assert {*drawn} == {"a", "b"}
    assert 0.65 < drawn.count("a") / 2000 < 0.85
    assert bound(mask, ValueKind.INTEGER)(1) == 7
    assert bound(mask, ValueKind.BOOLEAN)(False) is True
