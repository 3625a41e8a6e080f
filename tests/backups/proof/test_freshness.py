"""How fresh the backups of an environment are, judged from a listing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monarch.backups.proof.freshness import (
    Freshness,
    FreshnessResult,
    judge_freshness,
    require_fresh,
    select_environments,
)
from monarch.backups.state import Backup, BackupState
from monarch.databases.environment import Environment
from monarch.errors import NotFresh, StoreError

NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
PRODUCTION = Environment("production", "mongo", "app", "db:27017")
LIMIT = timedelta(hours=26)


def backup(hours: float, name: str = "app", **more: Any) -> Backup:
    """Return a good backup that is ``hours`` old."""
    when = NOW - timedelta(hours=hours)
    made = Backup(
        f"{name}_{hours}",
        f"{name}_{hours}.dmp.zst",
        "zst",
        BackupState.GOOD,
        10,
        when,
        when,
        "mongo",
        "production",
        "app",
        1,
    )
    return replace(made, **more)


def judge(*backups: Backup, limit: timedelta | None = LIMIT) -> FreshnessResult:
    listed = sorted(backups, key=lambda one: (one.taken_at, one.archive))
    return judge_freshness(PRODUCTION, listed, limit, NOW)


@pytest.mark.parametrize(
    ("hours", "finding"), [(0, "ok"), (3, "ok"), (26, "ok"), (26.001, "too old"), (9000, "too old")]
)
def test_the_newest_good_backup_counts(hours: float, finding: str) -> None:
    result = judge(backup(hours), backup(10_000))
    assert result.finding.value == finding
    assert result.newest is not None
    assert result.newest.name == f"app_{hours}"
    assert result.age == timedelta(hours=hours)


def test_without_a_limit_every_age_is_ok() -> None:
    assert judge(backup(100_000), limit=None).finding is Freshness.OK
    assert judge(limit=None).finding is Freshness.NONE


@pytest.mark.parametrize(
    "other",
    [
        {"database": "old_app"},
        {"environment": "staging"},
        {"query_set": "Recent"},
        {"masked": True},
        {"state": BackupState.LEGACY, "environment": None, "database": None},
        {"state": BackupState.RUNNING, "environment": None, "database": None},
    ],
    ids=str,
)
def test_backups_that_cannot_bring_the_database_back_do_not_count(other: dict[str, Any]) -> None:
    assert judge(backup(1, **other)).finding is Freshness.NONE
    assert judge(backup(1, **other), backup(30)).finding is Freshness.TOO_OLD
    assert judge(backup(1, **other), backup(20)).finding is Freshness.OK


def test_a_broken_newest_one_is_an_alarm_even_if_an_older_one_is_good() -> None:
    broken = backup(1, state=BackupState.BROKEN, why="its archive has 3 bytes")
    result = judge(broken, backup(20))
    assert result.finding is Freshness.BROKEN
    assert result.why == "the newest, app_1, is broken: its archive has 3 bytes"
    assert (
        judge(replace(broken, taken_at=NOW - LIMIT, modified=NOW - LIMIT), backup(20)).finding is Freshness.OK
    )
    assert judge(broken).finding is Freshness.BROKEN


@pytest.mark.parametrize("state", [BackupState.BROKEN, BackupState.INCOMPLETE])
def test_a_damaged_one_of_an_unknown_environment_may_be_the_newest(state: BackupState) -> None:
    """Its archive or its manifest is gone, or cannot be read: it may be the one of last night."""
    unknown = {"state": state, "environment": None, "database": None, "why": "its archive is missing"}
    damaged = backup(1, "x", **unknown)
    for limit in (LIMIT, None):
        result = judge(damaged, backup(20), limit=limit)
        assert (result.finding, result.damaged) == (Freshness.UNKNOWN, damaged)
        why = f"x_1 may be its newest backup, and is {state.value}: its archive is missing"
        assert result.why == why
    # It is not good in any case, so this is an alarm.
    for others, finding in (((), Freshness.NONE), ((backup(30),), Freshness.TOO_OLD)):
        result = judge(damaged, *others)
        assert (result.finding, result.damaged) == (finding, damaged)
    result = judge(backup(21, "x", **unknown), backup(20))
    assert (result.finding, result.damaged) == (Freshness.OK, None)


def test_a_backup_that_cannot_be_read_makes_it_unknown_only_if_it_matters() -> None:
    unread = {"state": BackupState.UNREADABLE, "environment": None, "database": None, "why": "no right"}
    assert judge(backup(1, "x", **unread), backup(20)).finding is Freshness.OK
    result = judge(backup(1, "x", **unread), backup(30))
    assert (result.finding, result.why) == (Freshness.UNKNOWN, "x_1 may be its newest backup: no right")
    assert judge(backup(1, "x", **unread)).finding is Freshness.UNKNOWN
    # It is too old itself.
    assert judge(backup(27, "x", **unread), backup(30)).finding is Freshness.TOO_OLD
    assert judge(backup(31, "x", **unread), backup(30), limit=timedelta(hours=40)).finding is Freshness.OK


def test_a_clock_that_was_ahead_does_not_keep_a_backup_fresh() -> None:
    """Its file in the store is as old as it really is, and newer backups count."""
    future = NOW + timedelta(days=1000)
    ahead = backup(50, taken_at=future)
    assert judge(ahead).finding is Freshness.TOO_OLD
    result = judge(ahead, backup(3))
    assert (result.finding, result.age) == (Freshness.OK, timedelta(hours=3))
    # A copied store has newer files.
    assert judge(backup(50, modified=NOW)).finding is Freshness.TOO_OLD


def test_one_from_the_future_has_no_age() -> None:
    """By both times: it is not less than a minute old, and it does not hide that no newer one was taken."""
    ahead = replace(backup(-1, "x"), taken_at=NOW + timedelta(days=1), modified=NOW + timedelta(minutes=6))
    for limit in (LIMIT, None):
        alone = judge(ahead, limit=limit)
        assert (alone.finding, alone.newest, alone.age, alone.ahead) == (
            Freshness.NONE,
            None,
            None,
            ("x_-1",),
        )
    assert judge(ahead, backup(30)).finding is Freshness.TOO_OLD
    beside = judge(ahead, backup(3))
    assert (beside.finding, beside.age, beside.ahead) == (Freshness.OK, timedelta(hours=3), ("x_-1",))
    little = replace(ahead, modified=NOW + timedelta(minutes=4))
    assert (judge(little).age, judge(little).ahead) == (timedelta(), ())


def test_the_name_of_the_database_may_be_unknown_here() -> None:
    nameless = replace(PRODUCTION, db_name="", missing="uri")
    assert judge_freshness(nameless, [backup(3)], LIMIT, NOW).finding is Freshness.OK
    assert judge_freshness(nameless, [backup(3, environment="dev")], LIMIT, NOW).finding is Freshness.NONE


def test_which_environments_need_backups() -> None:
    dev = Environment("dev", "mongo", "app", "", embedded=True)
    protected, private = replace(dev, name="shop", protected=True), replace(dev, name="people", private=True)
    all_of_them = (PRODUCTION, dev, protected, private)
    assert select_environments(all_of_them, []) == (protected, private)
    assert select_environments(all_of_them, [backup(9000)]) == (PRODUCTION, protected, private)
    # Only a subset, or one that was taken to be handed out.
    for more in ({"query_set": "Recent"}, {"masked": True}):
        assert select_environments((PRODUCTION,), [backup(1, **more)]) == ()


def test_an_alarm_comes_before_what_is_unknown() -> None:
    results = {finding: FreshnessResult(PRODUCTION, finding) for finding in Freshness}
    require_fresh([results[Freshness.OK]])
    with pytest.raises(StoreError, match="backups of production could not be checked"):
        require_fresh([results[Freshness.OK], results[Freshness.UNKNOWN]])
    for bad in (Freshness.TOO_OLD, Freshness.NONE, Freshness.BROKEN):
        with pytest.raises(NotFresh) as raised:
            require_fresh([results[Freshness.UNKNOWN], results[bad]])
        assert raised.value.exit_code == 10
