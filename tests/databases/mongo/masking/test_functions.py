"""Functions of privacy.py that mask whole documents: what they raise shows no value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson
import pytest

from monarch.databases.mongo.masking.functions import FunctionMasks
from monarch.privacy import constant, shift_date
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, MaskingError, ValueFunction, ValueKind
from monarch.system.secrets import Secret

KEY = MaskingKey(Secret("a key for tests of masks"), lasting=True)


class Own(Mask):
    """A mask of a project, whose errors quote values."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Own({self.value})"

    def bind(self, key: MaskingKey) -> Mapping[ValueKind, ValueFunction]:
        return {ValueKind.TEXT: self.fail}

    def fail(self, value: str) -> str:
        raise MaskingError(f"{value} is odd")


def raise_name(document: dict[str, Any]) -> None:
    raise MaskingError(f"{document['name']} is odd")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (raise_name, "raised MaskingError"),
        (lambda document: Own("x")(document["name"]), "fails: Own raised MaskingError"),
        (lambda document: Own(document["name"])(7), "fails: Own takes no integer"),
        (lambda document: constant(document["name"])(b""), "fails: constant takes no binary"),
        (lambda document: constant(document["name"])(...), "fails: constant takes no value of type ellipsis"),
        (lambda document: shift_date(days=3)(document["name"]), "fails: shift_date takes texts"),
    ],
)
def test_what_a_function_raises_shows_no_value(function: Any, words: str) -> None:
    masks = FunctionMasks("people", function, KEY)
    with pytest.raises(MaskingError) as error:
        masks.mask(bson.encode({"name": "Ottilie"}))
    assert words in error.value.message
    assert "Ottilie" not in str(error.value)
