"""The same backups are kept as by the real restic: random times and policies.

From 0.16 on restic also keeps the oldest while a number is not used up.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monarch.backups.retention.policy import make_policy
from monarch.backups.retention.select import select_kept
from tests.support import counts
from tests.support.servers import restic

pytestmark = pytest.mark.command

SNAPSHOTS, POLICIES = counts.number(reduced=9, full=40), counts.number(reduced=8, full=80)
PERIODS = ("30d", "1m", "2y", "36h", "1y6m", "1m1d", "5m3d2h", "12h", "1d")
NUMBERS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


def moments(chance: random.Random, count: int) -> list[datetime]:
    """Random times: close together, years apart, at ends of days, months, years, in one second, to come."""
    now = datetime.now(UTC).replace(microsecond=0)
    base = now - timedelta(days=chance.randrange(900))
    found = [base]
    while len(found) < count:
        found.append(
            chance.choice(
                (
                    base - timedelta(seconds=chance.randrange(86_400 * 4)),
                    base - timedelta(hours=chance.randrange(24 * 40)),
                    base - timedelta(days=chance.randrange(800)),
                    datetime(2024, 2, 29, chance.randrange(24), chance.choice((0, 59)), tzinfo=UTC),
                    datetime(chance.randrange(2020, 2027), 1, chance.randrange(1, 4), tzinfo=UTC),
                    datetime(chance.randrange(2020, 2026), 12, chance.randrange(28, 32), 23, 59, tzinfo=UTC),
                    now + timedelta(days=chance.randrange(1, 400)),
                    chance.choice(found),
                )
            )
        )
    return found


def options(chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: chance.choice((1, 1, 2, 3, 5, 8)) for name in NUMBERS if chance.random() < 0.4
    }
    if not found or chance.random() < 0.3:
        found["within"] = chance.choice(PERIODS)
    return found


@pytest.mark.skipif(not restic.is_installed() and "CI" not in os.environ, reason=restic.MISSING)
def test_the_same_are_kept(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    times = moments(chance, SNAPSHOTS)
    tags = [[f"t{one}" for one in range(POLICIES) if chance.random() < 0.7] for _ in times]
    repository = restic.make_repository(tmp_path / "repository", list(zip(times, tags, strict=True)))
    for number in range(POLICIES):
        tagged = sorted(
            (moment for moment, those in zip(times, tags, strict=True) if f"t{number}" in those), reverse=True
        )
        given = options(chance)
        policy = make_policy({name: given.get(name) for name in NUMBERS}, given.get("within"))
        assert policy is not None
        kept = [moment for moment, why in zip(tagged, select_kept(policy, tagged), strict=True) if why]
        theirs = repository.kept(f"t{number}", given)
        if kept != theirs and restic.keeps_oldest():
            theirs.remove(tagged[-1])
        assert kept == theirs, (seed, given, tagged)
