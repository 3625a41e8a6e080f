"""Random documents under random rules: links, uniqueness, types, order and no leak."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import bson
from hypothesis import given
from hypothesis import strategies as st

from monarch.databases.mongo.masking.fields import FieldMasks
from monarch.databases.mongo.stream.batches import split
from monarch.privacy import Masks, email, full_name, identifier, keep, null, number, phone, shift_date, text
from monarch.privacy.key import MaskingKey
from monarch.privacy.leaks.check import LeakComparison, LeakSearch
from monarch.privacy.rules import Mask
from monarch.system.secrets import Secret

Document = dict[str, Any]
KEYS = st.text("abcdefgh0123", min_size=32, max_size=40).map(
    lambda key: MaskingKey(Secret(key), lasting=True)
)
WORDS = st.text("bcdfghjklmnpqrstvwxz", min_size=6, max_size=12)
PEOPLE = st.lists(st.tuples(WORDS, WORDS, st.integers(10**9, 10**10)), min_size=1, max_size=6, unique=True)
MASKS: tuple[Mask, ...] = (email(unique=True), full_name(), phone(), identifier(), text())
UNIQUE: tuple[Mask, ...] = (email(unique=True), identifier(), phone(unique=True))
DATES = st.datetimes(datetime(1900, 1, 1), datetime(2030, 1, 1)).map(lambda one: one.replace(microsecond=0))


def mask(masks: Masks, collection: str, key: MaskingKey, documents: list[Document]) -> list[Document]:
    fields = FieldMasks(collection, masks[collection].tree(), key)
    return [bson.decode(one) for one in split(fields.mask(b"".join(map(bson.encode, documents))))]


def rules(rule: Mask) -> Masks:
    masks = Masks()
    masks["users"] = {"_id": keep, "who": rule, "list[].who": rule, "age": keep}
    masks["orders"] = {"a.b[]": rule, "*": keep}
    return masks


def text_of(value: Any) -> str | None:
    return None if value is None or isinstance(value, bool) else str(value)


def users(people: list[tuple[str, str, int]]) -> list[Document]:
    return [
        {
            "_id": place,
            "who": f"{first} {last} {digits}",
            "list": [{"who": f"{first} {last} {digits}"}, {"who": None}],
            "age": place,
        }
        for place, (first, last, digits) in enumerate(people)
    ]


@given(PEOPLE, st.sampled_from(MASKS), KEYS)
def test_a_value_has_one_mask_in_all_places_collections_and_copies(
    people: list[tuple[str, str, int]], rule: Mask, key: MaskingKey
) -> None:
    masks, documents = rules(rule), users(people)
    first = mask(masks, "users", key, documents)
    assert first == mask(rules(rule), "users", key, documents)
    orders = mask(masks, "orders", key, [{"a": {"b": [one["who"] for one in documents]}}])
    assert orders == [{"a": {"b": [one["who"] for one in first]}}]
    for before, after in zip(documents, first, strict=True):
        assert list(after) == list(before)
        assert (after["_id"], after["age"]) == (before["_id"], before["age"])
        assert isinstance(after["who"], str)
        assert after["list"] == [{"who": after["who"]}, {"who": None}]
        if rule == text():
            assert len(after["who"]) == len(before["who"])


@given(PEOPLE, st.sampled_from(UNIQUE), KEYS)
def test_distinct_values_have_distinct_masks(
    people: list[tuple[str, str, int]], rule: Mask, key: MaskingKey
) -> None:
    documents = users(people)
    masked = mask(rules(rule), "users", key, documents)
    assert len({one["who"] for one in masked}) == len(documents)


@given(PEOPLE, st.sampled_from(MASKS), KEYS, st.booleans())
def test_the_leak_check_and_a_plain_search_agree(
    people: list[tuple[str, str, int]], rule: Mask, key: MaskingKey, planted: bool
) -> None:
    masks, documents = rules(rule), users(people)
    masked = mask(masks, "users", key, documents)
    orders: list[Document] = [{"_id": 1, "note": "nothing to see"}]
    if planted:
        orders.append({"_id": 2, "note": f"Call {documents[-1]['who']}, please"})
    comparison = LeakComparison(masks, key, text_of)
    for before, after in zip(documents, masked, strict=True):
        comparison.compare("users", before, after)
    search = LeakSearch(masks, key, text_of, comparison.findings)
    for collection, arrived in (("users", masked), ("orders", orders)):
        for document in arrived:
            search.examine(collection, document)
    plain = any(one["who"] in repr(masked + orders) for one in documents)
    assert bool(search.leaks) == plain == planted


@given(st.lists(DATES, min_size=2, max_size=8), st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=8), KEYS)
def test_dates_and_numbers_stay_in_order(dates: list[datetime], values: list[float], key: MaskingKey) -> None:
    masks = Masks()
    masks["users"] = {"born": shift_date(days=30), "paid": number(noise=0.1), "secret": null}
    dated = mask(masks, "users", key, [{"born": one, "secret": "x"} for one in sorted(dates)])
    shifts = {after["born"] - before for before, after in zip(sorted(dates), dated, strict=True)}
    assert len(shifts) == 1
    assert timedelta(0) != shifts.pop()
    assert all(one["secret"] is None for one in dated)
    paid = [one["paid"] for one in mask(masks, "users", key, [{"paid": one} for one in sorted(values)])]
    assert paid == sorted(paid)
    for before, after in zip(sorted(values), paid, strict=True):
        assert abs(after - before) <= abs(before) * 0.1 * (1 + 1e-9)
