"""Texts that keep their form: digits stay digits, letters stay letters of the same case and script.

Only ASCII has a table of its own. Any other character is replaced by one of the same 64 (aligned code points)
that has the same category: of accents, capitals, scripts and the length in UTF-8 all are kept. The
categories are those of Unicode 3.2, which every Python has, so that no later Unicode changes masks.
Spaces, punctuation, symbols, controls and lone surrogates are kept as they are.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import lru_cache
from unicodedata import ucd_3_2_0

from monarch.privacy.values.permutation import digits_of, permutations, permute_digits
from monarch.privacy.values.written import HashFunction, TextFunction, encode, to_number

_ASCII = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
_NOT_ZERO = "123456789"
_BLOCK = 64
# Up to that many positions a text is one number below 2**384; longer ones are lists of digits.
_POSITIONS = 64
# So many positions are drawn from one hash of 256 bits without bias.
_DRAWN = 32
_KEPT = frozenset("PZS")
_KEPT_CONTROLS = frozenset({"Cc", "Cf", "Cs"})

# Instead of a number of kept characters: none, and the first digit may become zero.
FREE = -1

Place = tuple[str, int]
Places = list[Place | None]


@lru_cache(8192)
def _place(character: str) -> Place | None:
    """Return the characters that may replace this one, and its index in them; None if it is kept."""
    for alphabet in _ASCII:
        if character in alphabet:
            return alphabet, alphabet.index(character)
    category = ucd_3_2_0.category(character)
    if character.isascii() or category[0] in _KEPT or category in _KEPT_CONTROLS:
        return None
    first = ord(character) // _BLOCK * _BLOCK
    alphabet = "".join(
        other for other in map(chr, range(first, first + _BLOCK)) if _category(other) == category
    )
    return (alphabet, alphabet.index(character)) if len(alphabet) > 1 else None


def _category(character: str) -> str:
    return "ASCII" if character.isascii() else ucd_3_2_0.category(character)


def permute_form(hash_of: HashFunction) -> Callable[[str, int], str]:
    """Return a function that permutes the texts of each form.

    It takes the text, and how many of its first characters are kept. The first digit after those stays zero,
    or other than zero, unless that is `FREE`.
    """
    permutation = permutations(hash_of)

    def permute(text: str, kept: int = FREE) -> str:
        places = _places(text, kept)
        sizes, digits = [], []
        for place in places:
            if place is not None:
                sizes.append(len(place[0]))
                digits.append(place[1])
        if len(sizes) > _POSITIONS:
            return _join(text, places, permute_digits(hash_of, digits, sizes))
        size, number = 1, 0
        for radix, digit in zip(sizes, digits, strict=True):
            size, number = size * radix, number * radix + digit
        return _join(text, places, _split(permutation(size)(number), sizes))

    return permute


def draw_form(hash_of: HashFunction) -> Callable[[str, int], str]:
    """Return a function that draws a text of the same form from a hash of all of the text."""

    def draw(text: str, kept: int = FREE) -> str:
        places = _places(text, kept)
        sizes = [len(place[0]) for place in places if place is not None]
        digest = hash_of(encode(text))
        if len(sizes) > _DRAWN:
            return _join(text, places, digits_of(digest, sizes))
        return _join(text, places, _split(to_number(digest), sizes))

    return draw


def whole(function: Callable[[str, int], str]) -> TextFunction:
    """Return ``function`` with nothing kept."""
    return lambda text: function(text, FREE)


def _places(text: str, kept: int) -> Places:
    places: Places = list(map(_place, text))
    if kept == FREE:
        return places
    places[:kept] = [None] * kept
    for position in range(kept, len(text)):
        place = places[position]
        if place is not None and place[0] is _ASCII[0]:
            places[position] = (_NOT_ZERO, place[1] - 1) if place[1] else None
            break
    return places


def _split(number: int, sizes: list[int]) -> list[int]:
    digits = []
    for size in reversed(sizes):
        number, digit = divmod(number, size)
        digits.append(digit)
    digits.reverse()
    return digits


def _join(text: str, places: Places, digits: list[int]) -> str:
    characters, following = list(text), iter(digits)
    for position, place in enumerate(places):
        if place is not None:
            characters[position] = place[0][next(following)]
    return "".join(characters)
