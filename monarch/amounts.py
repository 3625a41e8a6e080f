"""Durations, ages and sizes in words. Whatever is shown to a person is written by these."""

from __future__ import annotations

from datetime import timedelta


def duration(seconds: float, *, whole: bool = False) -> str:
    """A duration that a person reads at a glance; ``whole`` without tenths of a second."""
    if seconds < 60:
        return f"{int(seconds)} s" if whole else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def age(span: timedelta | float) -> str:
    """How old something is, rounded down: ``9 s``, ``40 min``, ``3 h 5 min``, ``2 d 4 h``.

    Up to ten minutes with seconds, up to two days in hours. A number is one of seconds.
    """
    seconds = span // timedelta(seconds=1) if isinstance(span, timedelta) else int(span)
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, rest = divmod(hours, 24)
    parts = [(days, "d"), (rest, "h")] if hours > 48 else [(hours, "h"), (minutes, "min")]
    if not hours and minutes < 10:
        parts = [(minutes, "min"), (seconds, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def size(number: float) -> str:
    """A number of bytes that a person reads at a glance, in powers of a thousand."""
    if number < 1000:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.5:
            return f"{number:.1f} {unit}" if number < 99.95 else f"{number:.0f} {unit}"
    return f"{number / 1000:,.1f} TB"
