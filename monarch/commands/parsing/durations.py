"""How long something may take, as people write it."""

from __future__ import annotations

import re

import click

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])+|\d+(?:\.\d+)?")


class Duration(click.ParamType):  # type: ignore[type-arg]
    """``90``, ``90s``, ``10m`` or ``1h30m``, as seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        if not _DURATION.fullmatch(str(value)):
            self.fail(f"{value!r} is no time: write 90s, 10m or 1h30m.", param, ctx)
        parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", str(value))
        return sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)


DURATION = Duration()
