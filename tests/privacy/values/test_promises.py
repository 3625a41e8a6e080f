"""What holds for all masks: determinism, links, types, uniqueness, and errors without values."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monarch import privacy
from monarch.errors import UsageError
from monarch.privacy.rules import Mask, MaskingError, ValueKind
from tests.privacy.values.masking import ALL, KEY, OTHER_KEY, TEXTS, TYPES, UNIQUE, bound, values_for

KINDS = [(mask, kind) for mask in ALL for kind in mask.bind(KEY)]
IDENTIFIER = bound(privacy.identifier())
UNIQUE_KINDS = [(mask, kind) for mask in UNIQUE for kind in mask.bind(KEY)]


def is_of(value: object, kind: ValueKind) -> bool:
    return type(value) is TYPES[kind]


def the_same(one: object, other: object) -> bool:
    """Whether two results are the same bit by bit: NaN is, and 0.0 and -0.0 are not."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return repr(one) == repr(other)


@pytest.mark.parametrize(("mask", "kind"), KINDS, ids=str)
@settings(max_examples=40)
@given(data=st.data())
def test_a_value_has_one_mask_of_its_own_type(mask: Mask, kind: ValueKind, data: st.DataObject) -> None:
    value: Any = data.draw(values_for(mask, kind))
    try:
        masked = bound(mask, kind)(value)
    except MaskingError:
        assert len(value.encode("utf-8", "surrogatepass")) > 140
        assert mask == privacy.email(unique=True)
        return
    assert is_of(masked, kind)
    assert the_same(masked, bound(mask, kind)(value))
    function = bound(mask, kind)
    assert the_same(function(value), function(value))
    if kind in (ValueKind.TEXT, ValueKind.BINARY) and len(value) == 0:
        assert masked == value or repr(mask).startswith("constant")
    if kind in (ValueKind.OBJECT_ID, ValueKind.UUID):
        assert len(masked) == len(value)
    if kind is ValueKind.INTEGER:
        width = 31 if -(1 << 31) <= value < 1 << 31 else 63
        assert -(1 << width) <= masked < 1 << width


@pytest.mark.parametrize(("mask", "kind"), UNIQUE_KINDS, ids=str)
@settings(max_examples=40)
@given(data=st.data())
def test_two_values_never_have_one_mask(mask: Mask, kind: ValueKind, data: st.DataObject) -> None:
    own = values_for(mask, kind)
    if kind is ValueKind.TEXT:
        own = own.filter(lambda text: len(text.encode("utf-8", "surrogatepass")) < 140)
    values: list[Any] = data.draw(st.lists(own, unique=True, max_size=30))
    function = bound(mask, kind)
    assert len({function(value) for value in values}) == len(values)


@pytest.mark.parametrize("mask", [privacy.identifier(), privacy.phone(unique=True)], ids=repr)
@pytest.mark.parametrize("form", ["{:03}", "A{:03}b", "{:03}0", "+49 {:03}", "00{:03}", "0{:03}", "0 {:03}"])
def test_all_texts_of_a_form_have_different_masks(mask: Mask, form: str) -> None:
    function = bound(mask)
    texts = [form.format(number) for number in range(1000)]
    assert len({function(text) for text in texts}) == 1000


@pytest.mark.parametrize("form", ["{}{}{}", "+{} {}{}", "0{}{}{}", "({}{}){}", "00{}{} {}", "{}-{}{}"])
def test_phones_with_and_without_a_country_never_collide(form: str) -> None:
    function = bound(privacy.phone(unique=True))
    digits = [f"{number:03}" for number in range(1000)]
    texts = {form.format(*one) for one in digits}
    assert len({function(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    "mask", [privacy.identifier(), privacy.number(unique=True), privacy.postcode()], ids=repr
)
def test_whole_numbers_keep_their_digits_sign_and_type(mask: Mask) -> None:
    numbers = range(-1_100, 1_100)
    function, function_of_floats = bound(mask, ValueKind.INTEGER), bound(mask, ValueKind.FLOAT)
    masks = [function(number) for number in numbers]
    assert len(set(masks)) == len(masks)
    for number, masked in zip(numbers, masks, strict=True):
        assert (number < 0) == (masked < 0)
        if number >= 0:
            assert len(str(number)) == len(str(masked))
    assert [function_of_floats(float(number)) for number in numbers] == masks


@pytest.mark.parametrize("edge", [1 << 31, 1 << 53, (1 << 63) - 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_whole_numbers_stay_in_their_width(edge: int, sign: int) -> None:
    function = bound(privacy.identifier(), ValueKind.INTEGER)
    for number in range(edge - 300, edge):
        masked = function(sign * number) * sign
        assert 0 < masked <= edge
    if edge == 1 << 31:
        assert -edge <= function(-edge) < 0


@pytest.mark.parametrize("mask", [privacy.identifier(), privacy.phone()], ids=repr)
@pytest.mark.parametrize("value", [0.5, 1e300, float(1 << 53)])
def test_numbers_that_are_not_whole_fail_without_a_value(mask: Mask, value: float) -> None:
    with pytest.raises(MaskingError, match=r"whole numbers only") as caught:
        bound(mask, ValueKind.FLOAT)(value)
    assert str(value) not in caught.value.message


def test_an_object_id_and_its_text_have_linked_masks() -> None:
    functions = privacy.identifier().bind(KEY)
    mask, mask_text = functions[ValueKind.OBJECT_ID], functions[ValueKind.TEXT]
    for number in range(200):
        # Also those whose text has digits only.
        for data in (number.to_bytes(12, "big"), bytes.fromhex(f"507f1f77bcf86cd7{number:08x}")):
            assert mask(data).hex() == mask_text(data.hex())
            assert mask_text(data.hex().upper()) == mask_text(data.hex()).upper()


@given(st.uuids(), st.booleans())
def test_a_uuid_and_its_text_have_linked_masks_of_one_version(uuid: Any, capitals: bool) -> None:
    functions = privacy.identifier().bind(KEY)
    masked = type(uuid)(bytes=functions[ValueKind.UUID](uuid.bytes))
    text = str(uuid).upper() if capitals else str(uuid)
    assert functions[ValueKind.TEXT](text).lower() == str(masked)
    assert functions[ValueKind.TEXT](text).isupper() == capitals or str(uuid).upper() == str(uuid)
    # Its version and its variant.
    assert (masked.int >> 76 & 15, masked.int >> 62 & 3) == (uuid.int >> 76 & 15, uuid.int >> 62 & 3)


# Under the key of the tests the first step of the permutation makes digits only of it, which is no ObjectId.
@pytest.mark.parametrize("text", ["ffffffff0000000000046956", "ffffffff-0000-4000-8000-0000005ca381"])
def test_an_id_whose_permutation_walks_keeps_its_case(text: str) -> None:
    masked, capitals = IDENTIFIER(text), IDENTIFIER(text.upper())
    assert re.fullmatch("[0-9a-f-]+", masked)
    assert capitals == masked.upper() != masked
    data = bytes.fromhex(text.replace("-", ""))
    kind = ValueKind.UUID if "-" in text else ValueKind.OBJECT_ID
    assert bound(privacy.identifier(), kind)(data).hex() == masked.replace("-", "")


@pytest.mark.parametrize("form", ["{:023}g", "{:08}-0000-4000-8000-00000000000z"])
def test_a_text_that_is_no_id_never_gets_the_mask_of_one(form: str) -> None:
    """One letter of 26 is replaced: without the walk, a quarter of the masks would be hexadecimal."""
    masks = [IDENTIFIER(form.format(number)) for number in range(200)]
    assert len(set(masks)) == len(masks)
    assert all(re.search("[g-z]", mask) for mask in masks)


@pytest.mark.parametrize("mask", [privacy.email(unique=True), privacy.username(unique=True)], ids=repr)
def test_texts_that_end_with_the_padding_have_masks_of_their_own(mask: Mask) -> None:
    texts = [text + end for text in ("", "a", "a" * 14) for end in ("", "\0", "\0\0", "\x80", "\x80\0")]
    assert len(set(map(bound(mask), texts))) == len(texts)


def test_an_all_hexadecimal_text_is_not_the_mask_of_another() -> None:
    function = bound(privacy.identifier())
    texts = [f"{number:024x}" for number in range(400)] + [f"{number:023d}g" for number in range(400)]
    texts += [f"{number:08}-0000-4000-8000-00000000000{last}" for number in range(200) for last in "0fFg"]
    assert len({function(text) for text in texts}) == len(texts)


@settings(max_examples=300)
@given(TEXTS)
@example("\u0600\u0660\u06ff")
def test_an_identifier_keeps_its_form(text: str) -> None:
    masked = IDENTIFIER(text)
    assert len(masked) == len(text)
    if re.fullmatch(r"[0-9A-Fa-f-]{24,36}", text):
        return
    for old, new in zip(text, masked, strict=True):
        assert len(old.encode("utf-8", "surrogatepass")) == len(new.encode("utf-8", "surrogatepass"))
        if old.isascii():
            assert (old.isdigit(), old.islower(), old.isupper()) == (
                new.isdigit(),
                new.islower(),
                new.isupper(),
            )
            assert old.isalnum() or old == new
        if 0xD800 <= ord(old) < 0xE000:
            assert old == new


@pytest.mark.parametrize("mask", ALL, ids=repr)
def test_a_mask_is_written_as_it_is_read(mask: Mask) -> None:
    again = eval(repr(mask), {name: getattr(privacy, name) for name in privacy.__all__})
    assert again == mask
    assert repr(again) == repr(mask)
    assert hash(again) == hash(mask)


def make(kind: ValueKind, number: int) -> Any:
    """Return the value of a kind that has a number."""
    if kind is ValueKind.TEXT:
        return f"value {number:06}"
    if kind in (ValueKind.INTEGER, ValueKind.FLOAT, ValueKind.DECIMAL):
        return TYPES[kind](10**9 + number)
    return bytes([7]) * (8 if kind is ValueKind.OBJECT_ID else 12) + number.to_bytes(4, "big")


def test_masks_of_another_key_are_unrelated() -> None:
    for mask, kind in KINDS:
        if repr(mask).startswith(("constant", "blank", "choice", "shift_date", "number(noise", "location")):
            continue
        ours, others = bound(mask, kind), bound(mask, kind, OTHER_KEY)
        values = [make(kind, number) for number in range(300)]
        same = sum(ours(value) == others(value) for value in values)
        # First names are drawn from some hundreds.
        assert same <= 8, (mask, kind)


@pytest.mark.parametrize(
    "write",
    [
        lambda: privacy.number(noise=0),
        lambda: privacy.number(noise=0.8),
        lambda: privacy.number(noise=math.nan),
        lambda: privacy.number(noise=0.1, unique=True),
        lambda: privacy.shift_date(days=0),
        lambda: privacy.shift_date(days=1.5),  # type: ignore[arg-type]
        lambda: privacy.location(km=0),
        lambda: privacy.choice(),
        lambda: privacy.choice("a", "b", weights=[1]),
        lambda: privacy.choice("a", "b", weights=[0, 0]),
        lambda: privacy.choice("a", "b", weights=[-1, 2]),
        lambda: privacy.constant(object()),
    ],
)
def test_what_cannot_be_meant_is_refused(write: Any) -> None:
    with pytest.raises(UsageError) as caught:
        write()
    assert caught.value.hint
