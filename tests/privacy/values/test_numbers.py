"""Numbers and dates: order, bounds, intervals."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monarch import privacy
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import MaskingError, ValueKind
from monarch.system.secrets import Secret
from tests.privacy.values.masking import DECIMALS, INTEGERS, bound

NOISES = (0.001, 0.1, 0.2, 0.3, 0.5, 0.75)
FLOAT, INTEGER, DECIMAL = (
    {noise: bound(privacy.number(noise=noise), kind) for noise in NOISES}
    for kind in (ValueKind.FLOAT, ValueKind.INTEGER, ValueKind.DECIMAL)
)
noises = st.sampled_from(NOISES)
NO_DATES = ["29.2.2024", "2023-02-29", "2024-1-1", "2024-01-01x", "yesterday", "٢٠٢٤-01-01"]
HALF = sys.float_info.max / 2
NORMAL = st.one_of(st.floats(1e-300, HALF), st.floats(0.5, 5000), st.sampled_from([1.0, 2.0, 4.0, 0.5, 1.5]))


@given(noises, st.lists(NORMAL, max_size=20))
def test_floats_keep_their_order_sign_and_size(noise: float, values: list[float]) -> None:
    function = FLOAT[noise]
    masks = [function(value) for value in sorted(values)]
    assert masks == sorted(masks)
    assert all(
        abs(Fraction(mask) / Fraction(value) - 1) <= noise
        for value, mask in zip(sorted(values), masks, strict=True)
    )
    assert [function(-value) for value in sorted(values)] == [-mask for mask in masks]


@given(noises, st.integers(10**12, 10**13 - 2), st.integers(-200, 200))
def test_floats_of_13_digits_that_differ_stay_different(noise: float, digits: int, exponent: int) -> None:
    one, other = float(f"{digits}e{exponent}"), float(f"{digits + 1}e{exponent}")
    assert FLOAT[noise](one) < FLOAT[noise](other)


@pytest.mark.parametrize("noise", NOISES)
def test_neighbours_at_all_knots_keep_their_order(noise: float) -> None:
    function = FLOAT[noise]
    for knot in [math.ldexp(1 + part / 32, binade) for binade in range(-6, 7) for part in range(32)]:
        steps = [knot]
        for _ in range(4):
            steps = [math.nextafter(steps[0], 0), *steps, math.nextafter(steps[-1], math.inf)]
        masks = [function(step) for step in steps]
        assert masks == sorted(masks)


@pytest.mark.parametrize("value", [0.0, -0.0, math.inf, -math.inf])
def test_floats_that_are_no_amounts_stay(value: float) -> None:
    masked = FLOAT[0.1](value)
    assert masked == value
    assert math.copysign(1, masked) == math.copysign(1, value)


def test_floats_at_the_ends() -> None:
    assert math.isnan(FLOAT[0.1](math.nan))
    for noise in NOISES:
        assert 0 < FLOAT[noise](5e-324) < 1e-322
        assert HALF / 2 < FLOAT[noise](sys.float_info.max) < math.inf


@given(noises, st.lists(INTEGERS, max_size=20))
def test_integers_keep_their_order_sign_and_size(noise: float, values: list[int]) -> None:
    function = INTEGER[noise]
    masks = [function(value) for value in sorted(values)]
    assert masks == sorted(masks)
    for value, mask in zip(sorted(values), masks, strict=True):
        assert abs(mask - value) <= Fraction(noise) * abs(value)
        assert (mask > 0, mask < 0) == (value > 0, value < 0)


@pytest.mark.parametrize("noise", NOISES)
def test_all_small_integers_keep_their_order(noise: float) -> None:
    masks = [INTEGER[noise](value) for value in range(-3000, 3000)]
    assert masks == sorted(masks)
    assert len(set(masks)) > 600
    assert noise < 0.01 or masks != list(range(-3000, 3000))


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        *((ValueKind.INTEGER, end) for end in ((1 << 31) - 1, -1 << 31, (1 << 63) - 1, 1 - (1 << 63))),
        *((ValueKind.FLOAT, sign * sys.float_info.max) for sign in (1, -1)),
    ],
)
def test_amounts_at_the_ends_of_their_types_stay_inside(kind: ValueKind, end: float) -> None:
    """A mask that would be larger than the type holds, as under some of these keys, is its last number."""
    keys = [MaskingKey(Secret(f"key number {number} of the tests"), lasting=True) for number in range(16)]
    masks = [bound(privacy.number(noise=0.5), kind, key)(end) for key in keys]
    assert end in masks
    assert max(map(abs, masks)) == abs(end)
    assert {mask > 0 for mask in masks} == {end > 0}
    assert bound(privacy.number(noise=0.5), ValueKind.INTEGER)(-1 << 63) >= -1 << 63


@given(noises, st.lists(DECIMALS, max_size=10))
def test_decimals_keep_their_order_sign_places_and_size(noise: float, values: list[Decimal]) -> None:
    values.sort()
    masks = [DECIMAL[noise](value) for value in values]
    for value, mask in zip(values, masks, strict=True):
        assert mask.is_zero() == value.is_zero()
        assert mask.is_signed() == value.is_signed()
        assert abs(Fraction(mask) - Fraction(value)) <= Fraction(noise) * abs(Fraction(value))
        _, digits, places = mask.as_tuple()
        assert len(digits) <= 34
        assert places == value.as_tuple().exponent or len(digits) == 34
    cents = sorted(value for value in values if value.as_tuple().exponent == -2)
    assert [DECIMAL[noise](value) for value in cents] == sorted(DECIMAL[noise](value) for value in cents)


@given(noises, st.lists(st.integers(1, 10**34 - 1), max_size=20), st.integers(-30, 30))
def test_decimals_of_as_many_places_keep_their_order(noise: float, values: list[int], places: int) -> None:
    masks = [DECIMAL[noise](Decimal(f"{value}E{places}")) for value in sorted(values)]
    assert masks == sorted(masks)


@pytest.mark.parametrize(
    "value", ["NaN", "sNaN", "Infinity", "-Infinity", "0.00", "-0", "0E-6176", "0E+6111"]
)
def test_decimals_that_are_no_amounts_stay(value: str) -> None:
    for mask in (privacy.number(), privacy.choice(1, 2)):
        masked = bound(mask, ValueKind.DECIMAL)(Decimal(value))
        assert str(masked) == str(Decimal(value)) or mask != privacy.number()
    assert bound(privacy.identifier(), ValueKind.DECIMAL)(Decimal(value)) is not None


@pytest.mark.parametrize(
    "value", ["9.999999999999999999999999999999999E+6144", "1E-6176", "1E+6111", "123E-6000"]
)
def test_decimals_at_the_ends(value: str) -> None:
    for noise in NOISES:
        masked = DECIMAL[noise](Decimal(value))
        assert abs(Fraction(masked) / Fraction(Decimal(value)) - 1) <= noise
        _, digits, exponent = masked.as_tuple()
        assert isinstance(exponent, int)
        assert len(digits) <= 34
        assert -6176 <= exponent <= 6111


@given(st.integers(-(1 << 60), 1 << 60), st.integers(-(1 << 60), 1 << 60))
def test_dates_keep_their_intervals(one: int, other: int) -> None:
    function = bound(privacy.shift_date(days=30), ValueKind.DATE)
    shift = function(one) - one
    assert function(other) - other == shift
    assert shift % 86_400_000 == 0
    assert 1 <= abs(shift) <= 30 * 86_400_000


@pytest.mark.parametrize("days", range(1, 20))
def test_a_shift_is_never_zero(days: int) -> None:
    shift = bound(privacy.shift_date(days=days), ValueKind.DATE)(0) / 86_400_000
    assert shift == int(shift)
    assert 1 <= abs(shift) <= days


@pytest.mark.parametrize(
    "rest", ["", "T13:45", "T13:45:10Z", " 13:45:10.123456", "T13:45:10+02:00", "t23:59:60z"]
)
def test_texts_of_dates_move_as_dates_do(rest: str) -> None:
    functions = privacy.shift_date(days=400)
    moment = datetime(2024, 2, 29, tzinfo=UTC)
    masked = bound(functions, ValueKind.DATE)(int(moment.timestamp() * 1000))
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=masked)
    assert bound(functions)(f"2024-02-29{rest}") == f"{expected:%Y-%m-%d}{rest}"


@pytest.mark.parametrize("text", NO_DATES)
def test_other_texts_fail_without_a_value(text: str) -> None:
    function = bound(privacy.shift_date())
    with pytest.raises(MaskingError, match="ISO 8601") as caught:
        function(text)
    assert text not in f"{caught.value.message}{caught.value.hint}"


def test_a_date_that_would_leave_the_calendar_fails() -> None:
    forward = bound(privacy.shift_date(), ValueKind.DATE)(0) > 0
    function = bound(privacy.shift_date())
    with pytest.raises(MaskingError, match="out of the years"):
        function("9999-12-31" if forward else "0001-01-01")
    function_of_dates = bound(privacy.shift_date(), ValueKind.DATE)
    with pytest.raises(MaskingError, match="out of the years"):
        function_of_dates((1 << 63) - 1 if forward else -(1 << 63))


@given(st.floats(-180, 180), st.sampled_from([0.1, 1, 10, 500]))
def test_coordinates_move_a_little_and_stay_on_earth(degrees: float, km: float) -> None:
    function = bound(privacy.location(km=km), ValueKind.FLOAT)
    masked = function(degrees)
    assert abs(masked - degrees) <= km / 111.195 * (1 + 1e-9) + 1e-12
    assert abs(masked) <= (90 if abs(degrees) <= 90 else 180)


def test_places_around_a_home_get_one_place() -> None:
    function = bound(privacy.location(km=10), ValueKind.FLOAT)
    assert len({function(52.5 + step / 10_000) for step in range(200)}) <= 2
    assert len({function(40 + step / 2) for step in range(20)}) == 20
    assert bound(privacy.location(km=10), ValueKind.INTEGER)(52) == 52


@pytest.mark.parametrize("value", [360.5, -1e300])
def test_what_is_no_place_fails_without_a_value(value: float) -> None:
    with pytest.raises(MaskingError, match="no place") as caught:
        bound(privacy.location(), ValueKind.FLOAT)(value)
    assert str(value) not in caught.value.message
