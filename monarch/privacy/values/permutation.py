"""Keyed permutations: what makes masks unique by construction.

Two values never have the same mask, because each step can be undone by who has the key. Hashes alone, of any
length, only make collisions rare.

- Up to 1,000 values: the prefix cipher of Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (CT-RSA
  2002): the values in the order of their keyed hashes. Each permutation is equally likely.
- More values: the generalised Feistel network of the same paper, with the alternating rounds of FE2 in
  Bellare, Ristenpart, Rogaway and Stegers, "Format-Preserving Encryption" (SAC 2009). The domain is padded to
  a product of two nearly equal sizes, and cycle walking stays inside: permute again until the result is in
  the domain. 10 rounds, as in FF1 of NIST SP 800-38G; 6 from 2**80 values on, where 5 are indistinguishable
  from chance for far fewer than 2**40 known pairs (Patarin, "Security of Random Feistel Schemes with 5 or
  More Rounds", CRYPTO 2004).
- Bytes, from 16 on, and lists of digits of any length: a Feistel network of two halves, 6 rounds. SHAKE256
  expands the keyed hash where a half is longer than it.

The round functions are keyed BLAKE2b. The results are part of the promise that masks are the same in later
versions: never change them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import shake_256
from math import isqrt
from struct import unpack

from monarch.privacy.values.written import HashFunction, to_number

Permutation = Callable[[int], int]

# Below it, a table; it costs as many hashes as it has values.
_TABLE = 1_000
_WIDE = 1 << 80
# A round is a hash of 256 bits. 64 bits more than a half has make its remainder even.
_LARGEST = 1 << 384
_SHORT_BYTES = 16
# Permutations of a key that are kept. Of most sizes they take 200 bytes, of less than 2**32 up to 1.3 MB.
_SIZES = 256
_HASH_BYTES = 32
# No step of a round where halves are remembered: it is as large as they can be, and steps are smaller.
_UNKNOWN = 0xFFFF
_ROUNDS = 6


def permutations(hash_of: HashFunction) -> Callable[[int], Permutation]:
    """Return a function that makes permutations: for a size, the permutation of ``range(size)``."""

    @lru_cache(_SIZES)
    def permutation(size: int) -> Permutation:
        if not 0 < size <= _LARGEST:
            raise ValueError(size)
        tag = hash_of(b"range" + size.to_bytes(49, "big"))[:8]
        return _table(hash_of, tag, size) if size <= _TABLE else _feistel(hash_of, tag, size)

    return permutation


def _table(hash_of: HashFunction, tag: bytes, size: int) -> Permutation:
    table = sorted(range(size), key=lambda number: hash_of(tag + number.to_bytes(2, "big")))
    return table.__getitem__


def _feistel(hash_of: HashFunction, tag: bytes, size: int) -> Permutation:
    left_size = isqrt(size - 1) + 1
    right_size = -(-size // left_size)
    width = (left_size.bit_length() + 7) // 8
    pairs = 5 if size < _WIDE else 3
    tags = [(tag + bytes([2 * pair]), tag + bytes([2 * pair + 1])) for pair in range(pairs)]
    if left_size < _UNKNOWN:
        return _narrow_feistel(hash_of, tags, width, left_size, right_size, size)
    number_of = int.from_bytes

    def permute(number: int) -> int:
        while True:
            left, right = divmod(number, right_size)
            for even, odd in tags:
                left = (left + number_of(hash_of(even + right.to_bytes(width, "big")), "big")) % left_size
                right = (right + number_of(hash_of(odd + left.to_bytes(width, "big")), "big")) % right_size
            number = left * right_size + right
            if number < size:
                return number

    return permute


def _narrow_feistel(
    hash_of: HashFunction,
    tags: Sequence[tuple[bytes, bytes]],
    width: int,
    left_size: int,
    right_size: int,
    size: int,
) -> Permutation:
    """Return the same permutation, which remembers what each round adds to which half, in two bytes each."""
    rounds = [
        (even, array("H", [_UNKNOWN]) * right_size, odd, array("H", [_UNKNOWN]) * left_size)
        for even, odd in tags
    ]
    number_of = int.from_bytes

    def permute(number: int) -> int:
        while True:
            left, right = divmod(number, right_size)
            for even, to_left, odd, to_right in rounds:
                step = to_left[right]
                if step == _UNKNOWN:
                    step = number_of(hash_of(even + right.to_bytes(width, "big")), "big") % left_size
                    to_left[right] = step
                left = (left + step) % left_size
                step = to_right[left]
                if step == _UNKNOWN:
                    step = number_of(hash_of(odd + left.to_bytes(width, "big")), "big") % right_size
                    to_right[left] = step
                right = (right + step) % right_size
            number = left * right_size + right
            if number < size:
                return number

    return permute


def walk(step: Callable[[str], str], is_inside: Callable[[str], bool]) -> Callable[[str], str]:
    """Return the permutation that ``step``, one of more texts, is of those that are inside.

    It ends for a text that is inside: repeated, a permutation comes back to where it began.
    """

    def permute(text: str) -> str:
        text = step(text)
        while not is_inside(text):
            text = step(text)
        return text

    return permute


def bytes_permutation(hash_of: HashFunction) -> Callable[[bytes], bytes]:
    """Return a function that permutes the bytes of each length."""
    permutation = permutations(hash_of)

    @lru_cache(256)
    def tags_of(length: int) -> list[bytes]:
        return [b"bytes" + bytes([number]) + length.to_bytes(8, "big") for number in range(_ROUNDS)]

    def permute(data: bytes) -> bytes:
        length = len(data)
        if length < _SHORT_BYTES:
            return permutation(256**length)(to_number(data)).to_bytes(length, "big")
        half = length // 2
        left, right = data[:half], data[half:]
        number_of = int.from_bytes
        for tag in tags_of(length):
            size = len(left)
            digest = hash_of(tag + right)
            step = digest[:size] if size <= _HASH_BYTES else shake_256(digest).digest(size)
            mixed = number_of(left, "big") ^ number_of(step, "big")
            left, right = right, mixed.to_bytes(size, "big")
        return left + right

    return permute


def permute_digits(hash_of: HashFunction, digits: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Return a permutation of lists of ``digits``, each of which is below its size; sizes are at most 64."""
    half = len(digits) // 2
    parts = [list(digits[:half]), list(digits[half:])]
    halves = [sizes[:half], sizes[half:]]
    form = hash_of(b"digits" + bytes(sizes))
    for number in range(_ROUNDS):
        here = number % 2
        steps = digits_of(hash_of(form + bytes([number]) + bytes(parts[1 - here])), halves[here])
        moved = zip(parts[here], steps, halves[here], strict=True)
        parts[here] = [(digit + step) % size for digit, step, size in moved]
    return parts[0] + parts[1]


def digits_of(digest: bytes, sizes: Sequence[int]) -> list[int]:
    """Return digits from a hash, each below its size."""
    drawn = unpack(f">{len(sizes)}I", shake_256(digest).digest(4 * len(sizes)))
    return [number % size for number, size in zip(drawn, sizes, strict=True)]


def expand(digest: bytes, length: int) -> bytes:
    """Return ``length`` bytes from a hash."""
    return digest[:length] if length <= _HASH_BYTES else shake_256(digest).digest(length)
