"""Checks of the arguments of a query set's methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

_MOST = (1 << 31) - 1


def check_table_query(name: object, where: object, values: object) -> None:
    """Check the arguments of a query of the table ``name``.

    :raises TypeError: if one has the wrong type.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"{name!r} is not the name of a table")
    if not isinstance(where, str):
        raise TypeError(f"the condition of {name!r} must be a text, not {type(where).__name__}")
    if isinstance(values, str | bytes | Set) or not isinstance(values, Iterable):
        raise TypeError(f"the values of {name!r} must be a list or a dict, not {type(values).__name__}")
    if values and not where.strip():
        raise TypeError(f"there are values for {name!r}, but no condition")


def check_limit(name: str, limit: object, what: str) -> None:
    """Check that ``limit`` of a query of ``name`` is None or a number of ``what``.

    :raises ValueError: if it is not.
    """
    if limit is not None and (type(limit) is not int or not 0 <= limit <= _MOST):
        raise ValueError(f"limit={limit!r} of {name!r} is not a number of {what}")


def check_sample(name: str, sample: object, seed: object, others: Mapping[str, object]) -> None:
    """Check the sample of a query of ``name``; it combines with none of ``others`` that has a value.

    :raises ValueError: if it is neither a number nor a fraction, or the seed is no number.
    """
    if sample is None:
        if seed is not None:
            raise ValueError(f"seed= of {name!r} requires sample=")
        return
    if any(value is not None for value in others.values()):
        named = " or ".join(f"{other}=" for other in others)
        raise ValueError(f"sample= of {name!r} cannot be combined with {named}")
    whole = type(sample) is int and sample > 0
    if not whole and not (type(sample) is float and 0 < sample <= 1):
        raise ValueError(f"sample={sample!r} of {name!r} is neither a number nor a fraction up to 1.0")
    if seed is not None and type(seed) is not int:
        raise ValueError(f"seed={seed!r} of {name!r} is not a whole number")


def names_of(name: str, argument: str, names: Any) -> tuple[str, ...]:
    """Return ``names``, an ``argument`` of a query of ``name``.

    :raises TypeError: if it is not a list of names.
    """
    listed = (None,) if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    if not all(isinstance(one, str) and one for one in listed):
        raise TypeError(f"{argument}={names!r} of {name!r} is not a list of names")
    return listed
