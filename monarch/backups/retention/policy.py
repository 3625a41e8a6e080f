"""How many backups are kept: the policy of the settings or of options, with restic's meaning of its words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from monarch.errors import SettingsError, UsageError
from monarch.system.spelling import suggest

# As restic writes it: years, months, days and hours, in any order.
_WITHIN = re.compile(r"([0-9]{1,6})([ymdh])")
_WITHIN_WHOLE = re.compile(r"(?:[0-9]{1,6}[ymdh])+")
_UNITS = {"y": "years", "m": "months", "d": "days", "h": "hours"}
_PLACE = "'keep' of BACKUPS in migrations/settings.py"


@dataclass(frozen=True)
class Period:
    """A time back from a moment, by the calendar: 1 month before 31 March is 3 March, as in restic."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def before(self, moment: datetime) -> datetime:
        """Return the moment that is this period before ``moment``."""
        months = moment.year * 12 + moment.month - 1 - self.years * 12 - self.months
        if months < 12:
            return datetime.min.replace(tzinfo=moment.tzinfo)
        # A day that the month does not have counts on into the next one.
        first = moment.replace(year=months // 12, month=months % 12 + 1, day=1)
        try:
            return first + timedelta(days=moment.day - 1 - self.days, hours=-self.hours)
        except OverflowError:
            return datetime.min.replace(tzinfo=moment.tzinfo)

    def __str__(self) -> str:
        parts = ((self.years, "y"), (self.months, "m"), (self.days, "d"), (self.hours, "h"))
        return "".join(f"{number}{unit}" for number, unit in parts if number)


@dataclass(frozen=True)
class KeepPolicy:
    """What is kept: numbers of backups, and a period.

    The ``last`` ones; the last one of each hour, day, week, month and year that has one, that many of them;
    and all that are not older than ``within`` before the newest.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: Period | None = None

    def __bool__(self) -> bool:
        """Whether it keeps anything at all."""
        return self != KeepPolicy()

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self._rules())

    def as_options(self) -> str:
        """Return the options of commands that make it."""
        return " ".join(f"--keep-{name} {value}" for name, value in self._rules())

    def _rules(self) -> list[tuple[str, object]]:
        named = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [(name, value) for name, value in named if value]


@dataclass(frozen=True)
class KeepSettings:
    """The policies of the settings: one for ``everything`` and those of single environments.

    ``minimum`` is how many good backups are left at least.
    """

    everything: KeepPolicy | None = None
    environments: tuple[tuple[str, KeepPolicy], ...] = ()
    minimum: int = 1

    def policy(self, environment: str | None) -> KeepPolicy | None:
        """Return the policy for backups of ``environment``; None if there is none."""
        return dict(self.environments).get(environment or "", self.everything)


def parse_period(text: str) -> Period:
    """Read a period such as ``30d`` or ``1y6m``.

    :raises ValueError: if it is none.
    """
    if not _WITHIN_WHOLE.fullmatch(text):
        raise ValueError(text)
    period = Period()
    for number, unit in _WITHIN.findall(text):
        name = _UNITS[unit]
        period = replace(period, **{name: getattr(period, name) + int(number)})
    if period == Period():
        raise ValueError(text)
    return period


def parse_keep(backups: object, environments: Iterable[str]) -> KeepSettings:
    """Read ``keep`` and ``minimum`` of ``BACKUPS``; ``environments`` are the names of those in the settings.

    :raises SettingsError: naming what is wrong.
    """
    entries = backups if isinstance(backups, Mapping) else {}
    keep, minimum = entries.get("keep", {}), entries.get("minimum", 1)
    if not isinstance(keep, Mapping):
        raise SettingsError(f"{_PLACE} is not a dict.", "Write it like 'keep': {'daily': 7, 'weekly': 5}.")
    if isinstance(minimum, bool) or not isinstance(minimum, int) or minimum < 1:
        raise SettingsError(
            "'minimum' of BACKUPS in migrations/settings.py is not a number from 1 on.",
            "It is how many good backups are left at least.",
        )
    known = list(environments)
    single = {name: one for name, one in keep.items() if isinstance(one, Mapping)}
    for name in single:
        if name not in known:
            raise SettingsError(f"{_PLACE} names no environment {name!r}.", suggest(str(name), known))
    shared = {name: one for name, one in keep.items() if name not in single}
    return KeepSettings(
        _parse_policy(shared, _PLACE) if shared else None,
        tuple((name, _parse_policy(one, f"{name!r} in {_PLACE}")) for name, one in single.items()),
        minimum,
    )


def make_policy(numbers: Mapping[str, int | None], within: str | None) -> KeepPolicy | None:
    """Return the policy of options, by the names of `KeepPolicy`; None if none was given.

    :raises UsageError: if one is negative or no period, or they keep nothing.
    """
    given = {name: number for name, number in numbers.items() if number is not None}
    if not given and within is None:
        return None
    for name, number in given.items():
        if number < 0:
            raise UsageError(f"--keep-{name} {number} is negative.", "Use a number from 0 on.")
    try:
        period = None if within is None else parse_period(within)
    except ValueError:
        raise UsageError(
            f"--keep-within {within!r} is no period.", "Write it like 30d, 2y6m or 36h (y, m, d, h)."
        ) from None
    policy = KeepPolicy(**given, within=period)
    if not policy:
        raise UsageError("These options would keep nothing.", "Use --keep-daily 7, for example.")
    return policy


def _parse_policy(entries: Mapping[object, object], place: str) -> KeepPolicy:
    names = [field.name for field in fields(KeepPolicy)]
    values: dict[str, object] = {}
    for name, value in entries.items():
        if name not in names:
            raise SettingsError(f"Unknown key {name!r} of {place}.", suggest(str(name), names))
        if name == "within":
            try:
                values["within"] = parse_period(value if isinstance(value, str) else "")
            except ValueError:
                raise SettingsError(f"'within' of {place} is no period.", "Write it like '30d'.") from None
        elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SettingsError(f"{name!r} of {place} is not a number from 0 on.", "Write it like 7.")
        else:
            values[str(name)] = value
    policy = KeepPolicy(**values)  # type: ignore[arg-type]
    if not policy:
        raise SettingsError(f"{place} keeps nothing.", "Write it like {'daily': 7, 'weekly': 5}.")
    return policy
