"""Which backups a policy keeps: the rules of restic's ``forget``.

From the newest to the oldest, each rule keeps a backup if it is the first one in its hour, day, week, month
or year, as often as its number says. Weeks are those of ISO 8601; all times are in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from monarch.backups.retention.policy import KeepPolicy

Bucket = Callable[[datetime, int], object]

_BUCKETS: dict[str, Bucket] = {
    "last": lambda _, number: number,
    "hourly": lambda moment, _: (moment.date(), moment.hour),
    "daily": lambda moment, _: moment.date(),
    "weekly": lambda moment, _: moment.isocalendar()[:2],
    "monthly": lambda moment, _: (moment.year, moment.month),
    "yearly": lambda moment, _: moment.year,
}


def select_kept(
    policy: KeepPolicy, moments: Sequence[datetime], now: datetime | None = None
) -> list[tuple[str, ...]]:
    """Return why each of ``moments`` is kept by ``policy``: the names of its rules; none if it goes.

    :param moments: aware times, the newest first.
    :param now: what the clock shows. ``within`` counts back from the newest that is not after it.
    """
    now = now or datetime.now(UTC)
    left = {name: getattr(policy, name) for name in _BUCKETS}
    seen: dict[str, object] = {}
    newest = next((moment for moment in moments if moment < now), datetime.min.replace(tzinfo=UTC))
    after = None if policy.within is None else policy.within.before(newest)
    kept = []
    for number, moment in enumerate(one.astimezone(UTC) for one in moments):
        reasons = []
        if after is not None and moment > after:
            reasons.append(f"within {policy.within}")
        for name, bucket in _BUCKETS.items():
            if not left[name]:
                continue
            value = bucket(moment, number)
            if name not in seen or seen[name] != value:
                seen[name] = value
                left[name] -= 1
                reasons.append(name)
        kept.append(tuple(reasons))
    return kept
