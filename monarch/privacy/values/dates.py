"""The mask of dates: all are moved by the same keyed number of days."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from monarch.errors import UsageError
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueKind, ValueRefused
from monarch.privacy.values.written import Bound, LibraryMask, keep_empty, to_number

_DAY = 86_400_000
_INT64 = 1 << 63
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:[Zz]| ?[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


def shift_date(days: int = 30) -> Mask:
    """Move all dates by the same number of days: a keyed one, of up to ``days`` in one direction, never 0.

    The order, the intervals and the times of day are kept. Texts are taken as ISO 8601 writes dates
    (2024-05-01, 2024-05-01T13:45:00Z), and what follows the day is kept. Who knows one real date knows all.

    :raises UsageError: if ``days`` is not a whole number from 1 on.
    """
    if not isinstance(days, int) or isinstance(days, bool) or days < 1:
        raise UsageError(f"shift_date() cannot move by {days!r} days.", "Write a number such as days=30.")
    return LibraryMask(f"shift_date(days={days})", lambda key: _bind(key, days))


def _bind(key: MaskingKey, days: int) -> Bound:
    drawn = to_number(key.hasher(f"shift_date {days}")(b"")) % (2 * days)
    shift = drawn - days if drawn < days else drawn - days + 1
    milliseconds = shift * _DAY

    def mask(value: int) -> int:
        moved = value + milliseconds
        if not -_INT64 <= moved < _INT64:
            raise _out_of_range()
        return moved

    return {ValueKind.DATE: mask, ValueKind.TEXT: keep_empty(_shift_text(shift))}


def _shift_text(shift: int) -> Callable[[str], str]:
    def mask(text: str) -> str:
        found = _ISO.fullmatch(text)
        if found is None:
            raise _no_date()
        day = found[1]
        try:
            number = date.fromisoformat(day).toordinal() + shift
        except ValueError:
            raise _no_date() from None
        if not 1 <= number <= date.max.toordinal():
            raise _out_of_range()
        return date.fromordinal(number).isoformat() + text[len(day) :]

    return mask


def _no_date() -> ValueRefused:
    return ValueRefused(
        "shift_date takes texts only as ISO 8601 writes dates, such as 2024-05-01.",
        "Use another mask, such as text() or null.",
    )


def _out_of_range() -> ValueRefused:
    return ValueRefused("shift_date moves a date out of the years that can be written.", "Use null.")
