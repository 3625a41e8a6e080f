"""Masks of what reaches somebody: mail, phones, web addresses, addresses of machines."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueKind, ValueRefused
from monarch.privacy.values.codes import whole_numbers
from monarch.privacy.values.forms import FREE, draw_form, permute_form, whole
from monarch.privacy.values.invented import PLAIN_FIRST, PLAIN_LAST
from monarch.privacy.values.permutation import bytes_permutation, permutations, walk
from monarch.privacy.values.written import (
    Bound,
    HashFunction,
    LibraryMask,
    TextFunction,
    encode,
    for_text,
    keep_empty,
    remember,
    to_number,
)

# Reserved for examples (RFC 2606): nobody gets mail there.
_DOMAINS = ("example.com", "example.org", "example.net")
_LOCAL, _LABEL, _WHOLE = 64, 63, 254
# Base 32 of RFC 4648, in small letters; ten bits at once.
_BASE_32 = f"{string.ascii_lowercase}234567"
_PAIRS = [first + second for first in _BASE_32 for second in _BASE_32]
# In bytes: 24 letters.
_SHORTEST = 15
# Of the country codes of the ITU (E.164), those of one digit and of two; all others have three.
_COUNTRY = re.compile(
    r"[( ]*(?:\+|00)[( ]*"
    r"(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9][0-9])"
)
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}", re.ASCII)
_IPV6_LETTERS = frozenset("0123456789abcdefABCDEF:.")
# For documentation (RFC 3849), and private networks (RFC 1918).
_DOCUMENTATION = 0x20010DB8 << 96
_PRIVATE = 10 << 24
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:.-]?)(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")


def email(unique: bool = False) -> Mask:
    """Mask mail addresses by invented ones at example.com, example.org and example.net, where nobody is.

    ``unique=True``: two never get the same mask. It is longer than the address, of which it takes up to 150
    bytes; longer ones are a `MaskingError`. Capital letters make a different address.
    """
    if unique:
        return LibraryMask("email(unique=True)", for_text("email unique", _unique_email))
    return LibraryMask("email()", for_text("email", _email))


def phone(unique: bool = False) -> Mask:
    """Mask phone numbers by others of the same country and form.

    ``+49`` or ``0049``, a leading 0, the length and the punctuation are kept. They may be numbers of
    somebody: do not let a copy call or write to them. Of whole numbers only the number of digits is kept.
    ``unique=True``: two never get the same mask.
    """
    written = "phone(unique=True)" if unique else "phone()"
    return LibraryMask(written, lambda key: _bind_phone(key, unique))


def url() -> Mask:
    """Mask web addresses by pages of https://example.com that do not exist."""
    return LibraryMask("url()", for_text("url", _url))


def ip(unique: bool = False) -> Mask:
    """Mask addresses of machines by others in 10.0.0.0/8 or, of version 6, in 2001:db8::/32.

    ``unique=True``: two never get the same mask, which may then be anywhere. What is no address is masked by
    what is none, in the same form.
    """
    if unique:
        return LibraryMask("ip(unique=True)", for_text("ip unique", _unique_ip))
    return LibraryMask("ip()", for_text("ip", _ip))


def mac() -> Mask:
    """Mask hardware addresses by locally administered ones of the same form, which no maker gives out."""
    return LibraryMask("mac()", for_text("mac", _mac))


def spell_uniquely(hash_of: HashFunction) -> Callable[[str], str]:
    """Return a function that spells texts in small letters and digits, no two of them the same.

    The bytes are padded to a multiple of 5, at least 15, by a byte 80 and zeros (as ISO/IEC 7816-4 does),
    permuted and written in base 32: each step can be undone. The length shows that of the text, to 5 bytes.
    """
    permute = bytes_permutation(hash_of)

    def spell(text: str) -> str:
        data = encode(text) + b"\x80"
        size = max(_SHORTEST, -(-len(data) // 5) * 5)
        number = to_number(permute(data.ljust(size, b"\0")))
        return "".join([_PAIRS[number >> place & 1023] for place in range(8 * size - 10, -1, -10)])

    return spell


def _email(hash_of: HashFunction) -> TextFunction:
    firsts, lasts = len(PLAIN_FIRST), len(PLAIN_LAST)

    def mask(text: str) -> str:
        number = to_number(hash_of(encode(text)))
        last = PLAIN_LAST[(number >> 64) % lasts]
        domain = _DOMAINS[(number >> 192) % 3]
        return f"{PLAIN_FIRST[number % firsts]}.{last}{(number >> 128) % 100}@{domain}"

    return mask


def _unique_email(hash_of: HashFunction) -> TextFunction:
    spell = spell_uniquely(hash_of)

    def mask(text: str) -> str:
        letters = spell(text)
        local, rest = letters[:_LOCAL], letters[_LOCAL:]
        labels = [rest[start : start + _LABEL] for start in range(0, len(rest), _LABEL)]
        address = f"{local}@{'.'.join([*labels, _DOMAINS[0]])}"
        if len(address) > _WHOLE:
            raise ValueRefused(
                "email(unique=True) takes texts of up to about 150 bytes; this one is longer.",
                "Use hashed(), or text().",
            )
        return address

    return remember(mask)


def _bind_phone(key: MaskingKey, unique: bool) -> Bound:
    hash_of = key.hasher("phone unique" if unique else "phone")
    name = "phone(unique=True)" if unique else "phone"
    change = permute_form(hash_of) if unique else draw_form(hash_of)

    def national(text: str) -> str:
        return change(text, 1 if text[0] == "0" else 0)

    mask_national = walk(national, lambda text: _COUNTRY.match(text) is None) if unique else national

    def mask(text: str) -> str:
        country = _COUNTRY.match(text)
        return mask_national(text) if country is None else change(text, country.end())

    return {**whole_numbers(name, hash_of), ValueKind.TEXT: keep_empty(remember(mask))}


def _url(hash_of: HashFunction) -> TextFunction:
    return lambda text: f"https://example.com/{hash_of(encode(text)).hex()[:32]}"


def _ip(hash_of: HashFunction) -> TextFunction:
    draw = draw_form(hash_of)

    def mask(text: str) -> str:
        if _IPV4.fullmatch(text):
            number = to_number(hash_of(encode(text)))
            return f"10.{number & 255}.{number >> 8 & 255}.{number >> 16 & 255}"
        if (address := _read_ip(text)) is not None:
            number = to_number(hash_of(address.packed)) & (1 << 96) - 1
            return str(IPv6Address(_DOCUMENTATION | number))
        return draw(text, FREE)

    return mask


def _unique_ip(hash_of: HashFunction) -> TextFunction:
    permutation = permutations(hash_of)
    mask4, mask6 = permutation(1 << 32), permutation(1 << 128)

    def is_other(text: str) -> bool:
        # Other spellings of an address count as no address: else two would get one mask.
        return str(_read_ip(text)) != text

    mask_other = walk(whole(permute_form(hash_of)), is_other)

    def mask(text: str) -> str:
        address = _read_ip(text)
        if address is None or str(address) != text:
            return mask_other(text)
        number = int(address)
        return str(IPv4Address(mask4(number)) if address.version == 4 else IPv6Address(mask6(number)))

    return remember(mask)


def _read_ip(text: str) -> IPv4Address | IPv6Address | None:
    if not 2 <= len(text) <= 45 or not _IPV6_LETTERS.issuperset(text):
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _mac(hash_of: HashFunction) -> TextFunction:
    draw = draw_form(hash_of)

    def mask(text: str) -> str:
        found = _MAC.fullmatch(text)
        if found is None:
            return draw(text, FREE)
        digits = f"02{hash_of(encode(text)).hex()[:10]}"
        parts = (digits[place : place + 2] for place in range(0, 12, 2))
        masked = found[1].join(parts)
        return masked.upper() if text.isupper() else masked

    return remember(mask)
