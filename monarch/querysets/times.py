"""Dates relative to now, such as ``30d`` for thirty days ago: in options, defaults and prompts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

# Returns what the clocks of a database show at a moment, without a zone. Asked only for a relative date.
Clock = Callable[[datetime], datetime]
# For people who have typed something else.
FORMS = "2014-05-29, 2014-05-29T00:38+00:00, or 30d for thirty days ago (h, d or w)"
_AGO = re.compile(r"([0-9]{1,6})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


def utc(moment: datetime) -> datetime:
    """Return what clocks in UTC show at ``moment``: a `Clock`."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def ago(text: str, clock: Clock) -> datetime | None:
    """Return the time that ``text`` names relative to now; None if it is no such text.

    It has no zone, and is that of ``clock``: as the database reads a time without one.

    :raises OverflowError: if no calendar reaches so far back.
    :raises MonarchError: if the database does not answer.
    """
    found = _AGO.fullmatch(text.strip())
    if found is None:
        return None
    moment = datetime.now(UTC) - timedelta(hours=int(found[1]) * _HOURS[found[2]])
    return clock(moment)


def with_relative_dates(kind: click.ParamType, clock: Clock) -> click.ParamType:  # type: ignore[type-arg]
    """Return ``kind``, the type of a prompt. If it is click's for dates, it accepts relative ones, too."""
    import click

    class RelativeDate(click.DateTime):
        """click's dates, and those that are relative to now."""

        def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
            try:
                before = ago(value, clock) if isinstance(value, str) else None
                return before or super().convert(value, param, ctx)
            except OverflowError:
                self.fail(f"{value!r} is before the first year", param, ctx)
            except click.BadParameter as error:
                more = "Or use 30d for thirty days ago (h, d or w)."
                self.fail(f"{error.message.removesuffix('.')}. {more}", param, ctx)

    return RelativeDate(kind.formats) if type(kind) is click.DateTime else kind
