from __future__ import annotations

import typing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, Optional
from uuid import UUID

import pytest
from bson import ObjectId

from monarch.errors import ProjectError, UsageError
from monarch.querysets.options import QuerySetOption, options_of, parse_options, values_of
from monarch.querysets.queryset import QuerySet


class Colour(Enum):
    RED = "red"


class Odd:
    """A custom class: it accepts a text, and refuses some with its own error."""

    def __init__(self, text: str) -> None:
        if text == "even":
            raise RuntimeError("not odd")
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and other.text == self.text

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, " a=b, c ", " a=b, c "),
        (str, "", ""),
        (int, "42", 42),
        (int, "-1", -1),
        (float, "0.25", 0.25),
        (bool, "yes", True),
        (bool, "TRUE", True),
        (bool, "1", True),
        (bool, "no", False),
        (bool, "False", False),
        (bool, "0", False),
        (datetime, "2014-05-29", datetime(2014, 5, 29)),
        (datetime, "2014-05-29T00:38+00:00", datetime(2014, 5, 29, 0, 38, tzinfo=UTC)),
        (date, "2014-05-29", date(2014, 5, 29)),
        (Decimal, "1.10", Decimal("1.10")),
        (ObjectId, "5" * 24, ObjectId("5" * 24)),
        (UUID, "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
        (Path, "a/b", Path("a/b")),
        (Colour, "red", Colour.RED),
        (Odd, "x", Odd("x")),
        (Literal["a", 2], "a", "a"),
        (Literal["a", 2], "2", 2),
        (list[int], "1, 2,3", [1, 2, 3]),
        (list[int], "", []),
        (tuple[str, ...], "a,b", ("a", "b")),
        (set[ObjectId], "5" * 24, {ObjectId("5" * 24)}),
        (list, "10,2", ["10", "2"]),
        (int | str, "7", 7),
        (int | str, "seven", "seven"),
        (Any, "7", "7"),
    ],
)
def test_a_text_becomes_a_value_of_the_type(kind: Any, text: str, value: Any) -> None:
    found = QuerySetOption("n", kind).convert(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "message", "hint"),
    [
        (int, "x", "-o n=x: 'x' is not of type int.", "Use a whole number, such as 42."),
        (int, "", "-o n=: '' is not of type int.", "Use a whole number, such as 42."),
        (float, "1,5", "'1,5' is not of type float", "Use a number, such as 1.5."),
        (bool, "perhaps", "'perhaps' is not of type bool", "Use yes or no."),
        (datetime, "yesterday", "'yesterday' is not of type datetime", "Like 2014-05-29"),
        (date, "29.5.2014", "is not of type date", "Like 2014-05-29"),
        (Literal["a", 2], "b", "'b' is not one of its values.", "Use one of: a, 2."),
        (list[int], "1,x", "'1,x' is not of type list", "list raised ValueError: invalid literal"),
        (Decimal, "much", "is not of type Decimal", "Use a number, such as 1.5."),
        (ObjectId, "5", "is not of type ObjectId", "24-character hex string"),
        (Odd, "even", "is not of type Odd", "Odd raised RuntimeError: not odd."),
        (int | bool, "x", "is not of type int | bool", "Use another value"),
    ],
)
def test_a_text_that_is_not_a_valid_value(kind: Any, text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        QuerySetOption("n", kind).convert(text)
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")
    assert raised.value.exit_code == 2


class Base(QuerySet):
    account_id: int
    since: date = date(2014, 5, 29)
    not_annotated = 3


class Derived(Base):
    since: date = date(2015, 1, 1)  # overrides the inherited one
    perhaps: Optional[int] = None  # noqa: UP045 - the older spelling
    or_not: ObjectId | None
    limits: ClassVar[list[int]] = [1]
    bare: ClassVar = 2
    _private: int


def test_annotated_and_inherited_options() -> None:
    options = options_of(Derived)
    assert [(one.name, one.kind, one.required) for one in options] == [
        ("account_id", int, True),
        ("since", date, False),
        ("perhaps", int, False),
        ("or_not", ObjectId, True),
    ]
    assert options_of(QuerySet) == ()


def test_values_are_given_or_defaults() -> None:
    options = options_of(Derived)
    given = {"account_id": "42", "perhaps": "7", "asked_by_a_prompt": "x"}
    assert values_of(options, given) == {"account_id": 42, "perhaps": 7, "since": date(2015, 1, 1)}
    assert values_of(options, {"since": "2016-02-03"})["since"] == date(2016, 2, 3)
    with pytest.raises(UsageError, match="'soon' is not of type date"):
        values_of(options, {"since": "soon"})


def test_an_annotation_with_an_unknown_name() -> None:
    kind: type[QuerySet] = type("Broken", (QuerySet,), {"__annotations__": {"a": "Nowhere"}})
    with pytest.raises(
        ProjectError, match=r"An annotation of Broken cannot be understood: .*Nowhere"
    ) as raised:
        options_of(kind)
    assert raised.value.hint == "Import what it names."


def test_options_are_parsed() -> None:
    texts = ("account_id=42", "with-dashes=a", "query=a=b", "empty=", " spaced = x ")
    assert parse_options(texts) == {
        "account_id": "42",
        "with_dashes": "a",
        "query": "a=b",
        "empty": "",
        "spaced": " x ",
    }
    assert parse_options(()) == {}


@pytest.mark.parametrize(
    ("texts", "message", "hint"),
    [
        (("account_id",), "-o account_id: that is not NAME=VALUE.", "Like: -o account_id=42"),
        (("=42",), "-o =42: that is not NAME=VALUE.", "Like: -o account_id=42"),
        (("",), "that is not NAME=VALUE", "Like: -o account_id=42"),
        (("a=1", "b=2", "a=1"), "-o a= is given twice.", "Give it once."),
        (("a-b=1", "a_b=2"), "-o a_b= is given twice.", "Give it once."),
    ],
)
def test_invalid_options(texts: tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_options(texts)
    assert message in raised.value.message
    assert raised.value.hint == hint


def test_types_are_described_in_words() -> None:
    assert QuerySetOption("n", int).type_name == "int"
    assert QuerySetOption("n", ObjectId).type_name == "ObjectId"
    assert typing.get_origin(QuerySetOption("n", list[int]).kind) is list


@pytest.mark.parametrize(("text", "hours"), [("30d", 720), ("12h", 12), ("2w", 336)])
def test_a_time_may_be_relative(text: str, hours: int) -> None:
    made = QuerySetOption("since", datetime).convert(text)
    expected = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=hours)
    assert abs(made - expected) < timedelta(minutes=5)
    assert QuerySetOption("since", date).convert(text) in (expected.date(), made.date())
