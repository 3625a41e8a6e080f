"""What is said of an error of pymongo, without the values of documents."""

from __future__ import annotations

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import DuplicateKeyError

from monarch.databases.mongo.connection.driver_errors import describe_driver_error

ENCODED = "cannot encode object: Fraction(7, 2), of type: <class 'fractions.Fraction'>"


@pytest.mark.parametrize(
    "before",
    ["", "Invalid document: ", "Invalid document {'name': 'eve | bob\\n', 'salary': Fraction(7, 2)} | "],
)
def test_a_document_that_cannot_be_encoded_is_not_shown(before: str) -> None:
    described = describe_driver_error(InvalidDocument(before + ENCODED))
    assert described is not None
    assert described.endswith("cannot encode an object, of type: <class 'fractions.Fraction'>")
    assert "bob" not in described
    assert "7" not in described


@pytest.mark.parametrize("field", [r"C:\dir", r"a\1", r"\g<0>"])
def test_the_fields_of_an_index_may_have_backslashes(field: str) -> None:
    error = DuplicateKeyError(
        "E11000", 11000, {"errmsg": "E11000 index: x dup key: { a: 'ann' }", "keyPattern": {field: 1}}
    )
    assert describe_driver_error(error) == f"DuplicateKeyError: E11000 index: x dup key: {field}"
