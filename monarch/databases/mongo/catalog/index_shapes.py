"""What must be equal of two indexes that are one, on servers of any version."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bson import Decimal128

# Seconds until documents expire, as servers since 5.0.14 store what is not a number.
_NEVER = 2**31 - 1
_FLAGS = ("unique", "sparse", "hidden")


def index_shapes(indexes: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what must be equal of each index, by name. Server versions write the rest differently."""
    return {
        str(index["name"]): {
            "key": list(index["key"].items()),  # in their order
            # Some servers store that an index is not unique, others store nothing.
            **{word: _truth(index.get(word)) for word in _FLAGS},
            "expireAfterSeconds": _whole_seconds(index.get("expireAfterSeconds")),
            "partialFilterExpression": index.get("partialFilterExpression"),
        }
        for index in indexes
        if not index.get("clustered")
    }


def _truth(value: Any) -> bool:
    """Return whether a flag is set; servers before 5.0 store any value, and false, 0 and null unset it."""
    return value is not None and value != 0  # False is 0


def _whole_seconds(value: Any) -> Any:
    """Return ``value`` as current servers store it; those before 5.0 store fractions and NaN."""
    if isinstance(value, Decimal128):
        value = float(value.to_decimal())
    if isinstance(value, float):
        return _NEVER if math.isnan(value) else int(value)
    return value
