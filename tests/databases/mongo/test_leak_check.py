"""The leak check of MongoDB documents: which values are searched, and what it looks at."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS

from monarch.databases.mongo.leaks.check import SAMPLE, LeakCheck
from monarch.databases.mongo.leaks.texts import decode_document, text_of
from monarch.databases.transfer import CollectionSummary
from monarch.privacy import Masks, email, keep, null, public
from monarch.privacy.key import MaskingKey
from monarch.privacy.project_masks import ProjectMasks
from monarch.privacy.rules import MaskingError
from monarch.system.secrets import Secret

IDENTITY = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Zoë", "Zoë"),
        (None, None),
        (True, None),
        (1234567, "1234567"),
        (Int64(2**40), str(2**40)),
        (3.5, "3.5"),
        (Decimal128("1.50"), "1.50"),
        (DatetimeMS(0), "1970-01-01"),
        (DatetimeMS(1_500), "1970-01-01T00:00:01.500000"),
        (DatetimeMS(2**60), str(2**60)),
        (ObjectId("5f" * 12), "5f" * 12),
        (b"abc", None),
        (b"abcd", "61626364"),
        (b"x" * 65, None),
        (Binary.from_uuid(IDENTITY), str(IDENTITY)),
        (Regex("a.b"), "a.b"),
        (Code("f(1234)"), "f(1234)"),
        (DBRef("users", "anna.k"), "anna.k"),
        (Timestamp(1, 1), None),
        (MinKey(), None),
        (MaxKey(), None),
    ],
)
def test_the_text_of_a_value(value: Any, text: str | None) -> None:
    assert text_of(decode_document(bson.encode({"v": value}))["v"]) == text


def check(*, everything: bool = False) -> LeakCheck:
    masks = Masks()
    masks["users"] = {"_id": keep, "name": null, "note": keep}
    masks["cities"] = public
    masks["mails"] = {"address": email(), "*": public}
    key = MaskingKey(Secret("a key of tests, 32 characters long"), lasting=True)
    return LeakCheck(ProjectMasks(Path(), masks, key, check_all=everything))


def user(number: int, note: str = "") -> tuple[bytes, bytes]:
    before = {"_id": number, "name": f"Ottilie Zwackelmann{number}", "note": note}
    return bson.encode(before), bson.encode({**before, "name": None})


def test_all_that_was_written_is_searched() -> None:
    checking = check()
    before, after = user(1)
    checking.compare("users", before, after)
    asked: list[int | None] = []

    def read(is_read: Callable[[str], bool], number: int | None) -> Iterator[tuple[str, bytes]]:
        asked.append(number)
        assert [name for name in ("users", "cities", "mails", "others") if is_read(name)] == [
            "users",
            "others",
        ]
        yield "users", after + bson.encode({"_id": 2, "name": None, "note": "by Ottilie Zwackelmann1"})

    with pytest.raises(MaskingError, match=r"users\.note \(1 documents\)"):
        checking.check_written(read)
    assert asked == [SAMPLE]


@pytest.mark.parametrize("everything", [True, False])
def test_a_sample_or_everything_is_compared(everything: bool) -> None:
    checking = check(everything=everything)
    number = 4 * SAMPLE
    checking.expect((CollectionSummary("users", "collection", number, 0, 1),))
    leaking = [user(one, note=f"for Ottilie Zwackelmann{one}") for one in range(8)]
    for before, after in leaking:
        checking.compare("users", before, after)
    found = checking._comparison.findings.found["users", "note"]
    assert found == (8 if everything else 2)


def test_what_stays_as_it_is_is_not_compared() -> None:
    before, _ = user(1)
    checking = check()
    checking.compare("users", before, before)
    checking.check_written(lambda is_read, number: iter([("users", before)]))
