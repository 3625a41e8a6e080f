from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import bson
import pytest
from bson import Int64, ObjectId

from monarch.databases.mongo.masking.fields import FieldMasks
from monarch.databases.mongo.stream.batches import split
from monarch.privacy import Masks, keep, null, public, remove
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, MaskingError, Rule, ValueFunction, ValueKind, ValueRefused
from monarch.system.secrets import Secret
from tests.databases.mongo.masking.reference import (
    NAMES,
    Scramble,
    Stopped,
    Texts,
    any_document,
    mask_slowly,
)

KEY = MaskingKey(Secret("a key for tests of masks"), lasting=True)
scramble, texts = Scramble(), Texts()


class Returns(Mask):
    """A mask that returns ``result``, or raises it."""

    def __init__(self, result: Any, kind: ValueKind = ValueKind.TEXT) -> None:
        self.result = result
        self.kind = kind

    def __repr__(self) -> str:
        return "returns()"

    def bind(self, key: MaskingKey) -> Mapping[ValueKind, ValueFunction]:
        def function(value: Any) -> Any:
            if isinstance(self.result, Exception):
                raise self.result
            return self.result

        return {self.kind: function}


def compiled(rules: Mapping[str, Rule]) -> FieldMasks:
    masks = Masks()
    masks["people"] = rules
    return FieldMasks("people", masks["people"].tree(), KEY)


def masked(rules: Mapping[str, Rule], *documents: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = compiled(rules).mask(b"".join(map(bson.encode, documents)))
    return [bson.decode(one) for one in split(found)]


def refusal(rules: Mapping[str, Rule], *documents: Mapping[str, Any]) -> str:
    with pytest.raises(MaskingError) as error:
        masked(rules, *documents)
    return error.value.message


def any_rules(chance: random.Random) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for _ in range(chance.randrange(1, 12)):
        parts = [_any_part(chance, first=not depth) for depth in range(chance.randrange(1, 4))]
        path = ".".join(parts)
        if path.partition(".")[0] != "_id":
            rules[path] = chance.choice((scramble, scramble, scramble, texts, keep, public, null, remove))
    return rules | {"_id": keep, "*": chance.choice((keep, keep, keep, null, remove, scramble))}


def _any_part(chance: random.Random, *, first: bool) -> str:
    name = chance.choice([name for name in NAMES if name]).replace(".", "\\.")
    if not first and chance.random() < 0.2:
        name = "*"
    return name + chance.choice(("", "", "[]", "[][]"))


def test_documents_are_masked_as_by_the_reference() -> None:
    chance = random.Random(18)
    compared = stopped = 0
    for _ in range(400):
        rules = any_rules(chance)
        masks = compiled(rules)
        tree = build(rules)
        for _ in range(10):
            document = bson.encode(any_document(chance))
            try:
                expected = mask_slowly(document, tree, KEY)
            except Stopped:
                stopped += 1
                with pytest.raises(MaskingError):
                    compiled(rules).mask(document)
                continue
            assert masks.mask(document) == expected
            compared += 1
    assert compared > 500
    assert stopped > 500


def build(rules: Mapping[str, Rule]) -> Any:
    masks = Masks()
    masks["people"] = rules
    return masks["people"].tree()


def test_documents_without_a_masked_field_are_the_same_bytes() -> None:
    documents = b"".join(bson.encode({"_id": number, "a": "x" * number}) for number in range(9))
    assert compiled({"name": scramble, "*": keep}).mask(documents) is documents
    assert compiled({"name": scramble, "*": keep}).mask(b"") == b""


def test_kept_bytes_are_never_encoded_again() -> None:
    # A boolean that is neither 0 nor 1, a NaN with a payload, and an array whose items have names.
    items = b"\x10xyz\0\1\0\0\0"
    array = b"\x04l\0" + (len(items) + 5).to_bytes(4, "little") + items + b"\0"
    body = b"\x08t\0\x02" + b"\x01n\0\1\0\0\0\0\0\xf8\x7f" + array
    tail = b"\x02name\0\x04\0\0\0Ann\0"
    document = (len(body + tail) + 5).to_bytes(4, "little") + body + tail + b"\0"
    found = compiled({"name": Returns("Somebody"), "*": keep}).mask(document)
    assert found[4:].startswith(body)
    assert found.endswith(b"\x02name\0\x09\0\0\0Somebody\0\0")


def test_every_one_of_duplicate_fields_is_masked() -> None:
    element = b"\x02name\0\x04\0\0\0Ann\0"
    document = (len(element) * 2 + 5).to_bytes(4, "little") + element * 2 + b"\0"
    assert compiled({"name": Returns("Bob")}).mask(document) == document.replace(b"Ann", b"Bob")


def test_unnamed_fields_of_a_batch_are_named_together_without_values() -> None:
    found = refusal(
        {"_id": keep, "name": texts, "address.street": texts, "phones": texts},
        {"_id": 1, "name": "Ann", "nick": "Annie", "address": {"street": "x", "city": "Rome"}},
        {"_id": 2, "name": 5, "address": "Rome", "phones": ["123"], "more": [1], "tags": 1, "last": "Annie"},
    )
    assert found == (
        "migrations/privacy.py does not say what becomes of 'people': address (string); "
        "address.city (string); last (string); more (array); name (int32), which texts() does not take "
        "and 3 more."
    )


def test_an_array_where_a_rule_is_for_a_value_is_not_masked_in_silence() -> None:
    with pytest.raises(MaskingError) as error:
        masked({"phones": texts, "*": keep}, {"phones": ["123"]})
    assert "phones (array)" in error.value.message
    assert "'phones[]'" in str(error.value.hint)
    assert "phones (string)" in refusal({"phones[]": texts, "*": keep}, {"phones": "123"})


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (5, "returned a value of type int"),
        (None, "returned None"),
        ("\ud800", "returned what is not Unicode"),
        (ValueError("Ann"), "raised ValueError"),
        (MaskingError("Ann is too short"), "raised MaskingError"),
        (ValueRefused("it is too short"), "fails: it is too short"),
    ],
)
def test_what_a_mask_must_not_do_stops_with_path_and_type(result: Any, words: str) -> None:
    found = refusal({"a.b[]": Returns(result), "*": keep}, {"a": {"b": ["Ann"]}})
    assert found == f"people: a.b[] (string) cannot be masked: returns() {words}."
    assert "Ann" not in found


def test_a_number_must_fit() -> None:
    rule = Returns(2**31, ValueKind.INTEGER)
    assert masked({"n": rule}, {"n": Int64(1)}) == [{"n": 2**31}]
    assert "does not fit into int32" in refusal({"n": rule}, {"n": 1})
    assert "does not fit into int64" in refusal({"n": Returns(2**63, ValueKind.INTEGER)}, {"n": Int64(1)})


def test_a_document_may_not_become_larger_than_servers_accept() -> None:
    rule = Returns("x" * (9 << 20))
    assert len(masked({"*": rule}, {"a": "a"})[0]["a"]) == 9 << 20
    assert "larger than 16 MB" in refusal({"*": rule}, {"a": "a", "b": "b"})


def test_an_id_cannot_be_removed_or_null() -> None:
    assert "every document has" in refusal({"*": remove}, {"_id": 1})
    assert "every document has" in refusal({"_id": null}, {"_id": 1})


@pytest.mark.parametrize("cut", range(5, 60, 3))
def test_invalid_bson_is_an_error(cut: int) -> None:
    document = bson.encode({"_id": ObjectId(), "name": "Ann", "in": {"name": "Bob", "n": 1}, "l": ["x"]})
    rules = {"name": texts, "in.name": texts, "l[]": texts, "*": keep}
    broken = document[:cut] + b"\xff\xff" + document[cut + 2 :]
    try:
        bson.decode(broken)
    except bson.errors.InvalidBSON:
        with pytest.raises(MaskingError):
            compiled(rules).mask(broken)
    cut_off = document[:cut]
    with pytest.raises(MaskingError, match="no valid BSON"):
        compiled(rules).mask(cut_off)


def test_nesting_of_any_depth_is_no_problem() -> None:
    document = bson.encode({"name": "Ann"})
    for _ in range(3_000):
        document = (len(document) + 8).to_bytes(4, "little") + b"\x03d\0" + document + b"\0"
    assert compiled({"a": texts, "*": keep}).mask(document) == document
    with pytest.raises(MaskingError, match=r"d\.d \(document\)"):
        compiled({"d.name": texts}).mask(document)
