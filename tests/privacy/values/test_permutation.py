"""Permutations: nothing is lost and nothing collides, exhaustively where that is possible."""

from __future__ import annotations

import random
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monarch.privacy.values.permutation import bytes_permutation, permutations, permute_digits, walk
from tests.privacy.values.masking import KEY, OTHER_KEY

HASH = KEY.hasher("test")


@pytest.mark.parametrize("size", [1, 2, 3, 10, 26, 999, 1000, 1001, 1009, 4099])
def test_every_number_is_the_mask_of_one(size: int) -> None:
    permutation = permutations(HASH)(size)
    assert sorted(map(permutation, range(size))) == list(range(size))


@pytest.mark.parametrize("size", [1000, 5000])
def test_a_permutation_looks_like_chance(size: int) -> None:
    ours, others = permutations(HASH)(size), permutations(OTHER_KEY.hasher("test"))(size)
    masks = [ours(number) for number in range(size)]
    # A random permutation leaves one number in place on average, and two agree in one place.
    assert sum(mask == number for number, mask in enumerate(masks)) < 10
    assert sum(mask == others(number) for number, mask in enumerate(masks)) < 10
    # Half of all neighbours ascend; the standard deviation of their number is below the root of size / 8.
    ascending = sum(mask < following for mask, following in pairwise(masks))
    assert abs(ascending - size / 2) < 6 * (size / 8) ** 0.5


@given(st.integers(0, 400), st.data())
def test_large_domains_stay_inside_and_have_an_inverse(bits: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 1 << min(bits, 384)))
    permutation = permutations(HASH)(size)
    numbers = data.draw(st.lists(st.integers(0, size - 1), unique=True, max_size=20))
    masks = [permutation(number) for number in numbers]
    assert all(0 <= mask < size for mask in masks)
    assert len(set(masks)) == len(numbers)


@pytest.mark.parametrize("size", [0, (1 << 384) + 1])
def test_a_size_that_is_not_supported(size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        permutations(HASH)(size)


@pytest.mark.parametrize("length", [0, 1])
def test_every_byte_string_is_the_mask_of_one(length: int) -> None:
    permute = bytes_permutation(HASH)
    every = [bytes(one) for one in product(range(256), repeat=length)]
    assert sorted(map(permute, every)) == every


@pytest.mark.parametrize("length", [3, 15, 16, 17, 31, 64, 65, 150, 5_000])
def test_bytes_that_differ_in_one_bit_have_unrelated_masks(length: int) -> None:
    permute = bytes_permutation(HASH)
    chance = random.Random(length)
    data = chance.randbytes(length)
    others = [bytearray(data) for _ in range(min(8 * length, 400))]
    for bit, other in enumerate(others):
        other[bit // 8] ^= 1 << bit % 8
    masks = {permute(data), *(permute(bytes(other)) for other in others)}
    assert len(masks) == 1 + len(others)
    assert {len(mask) for mask in masks} == {length}
    if length > 15:
        heads, tails = {mask[: length // 2] for mask in masks}, {mask[length // 2 :] for mask in masks}
        assert len(heads) == len(tails) == len(masks)


def test_every_list_of_digits_is_the_mask_of_one() -> None:
    sizes = [2, 3, 5, 7, 4]
    every = [list(digits) for digits in product(*map(range, sizes))]
    assert sorted(permute_digits(HASH, digits, sizes) for digits in every) == every


@given(st.lists(st.tuples(st.integers(0, 25), st.sampled_from([26, 64])), min_size=1, max_size=300))
def test_long_lists_of_digits_stay_below_their_sizes(places: list[tuple[int, int]]) -> None:
    digits, sizes = [digit for digit, _ in places], [size for _, size in places]
    masked = permute_digits(HASH, digits, sizes)
    assert all(0 <= digit < size for digit, size in zip(masked, sizes, strict=True))
    other = permute_digits(HASH, [(digits[0] + 1) % sizes[0], *digits[1:]], sizes)
    assert other != masked


def test_walking_permutes_what_is_inside() -> None:
    permutation = permutations(HASH)(1000)
    walked = walk(lambda text: f"{permutation(int(text)):03}", lambda text: "7" in text)
    inside = [text for text in (f"{number:03}" for number in range(1000)) if "7" in text]
    assert sorted(map(walked, inside)) == inside
