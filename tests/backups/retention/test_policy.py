"""Policies of settings and options, and their periods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from monarch.backups.retention.policy import KeepPolicy, Period, make_policy, parse_keep, parse_period
from monarch.errors import SettingsError, UsageError


@pytest.mark.parametrize(
    ("text", "moment", "before"),
    [
        ("30d", "2026-03-31", "2026-03-01"),
        ("1m", "2026-03-31", "2026-03-03"),
        ("1y", "2024-02-29", "2023-03-01"),
        ("4y", "2024-02-29", "2020-02-29"),
        ("1y1m1d", "2026-01-01", "2024-11-30"),
        ("24h", "2026-03-01", "2026-02-28"),
        ("3000y", "2026-03-01", "0001-01-01"),
        ("999999d", "2026-03-01", "0001-01-01"),
    ],
)
def test_a_period_counts_back_by_the_calendar(text: str, moment: str, before: str) -> None:
    found = parse_period(text).before(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(before).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "0d", "30", "d", "-3d", "3 d", "3w", "1d 2h", "1.5d", "３d"])
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        parse_period(text)


def test_policies_of_the_settings() -> None:
    keep = {"daily": 7, "within": "36h", "production": {"yearly": 3}}
    found = parse_keep({"LOCAL": {}, "keep": keep, "minimum": 2}, ["production", "dev"])
    assert found.policy("dev") == KeepPolicy(daily=7, within=Period(hours=36))
    assert found.policy("production") == KeepPolicy(yearly=3)
    assert found.minimum == 2
    assert parse_keep({"LOCAL": {}}, []).policy("dev") is None
    assert parse_keep({"keep": {"dev": {"last": 1}}}, ["dev"]).policy("production") is None


@pytest.mark.parametrize(
    ("backups", "message", "hint"),
    [
        ({"keep": 7}, "is not a dict", "'daily': 7"),
        ({"keep": {"dayly": 7}}, "Unknown key 'dayly'", "'daily'"),
        ({"keep": {"daily": -1}}, "'daily' of .* is not a number from 0 on", "7"),
        ({"keep": {"daily": True}}, "'daily' of .* is not a number from 0 on", "7"),
        ({"keep": {"daily": "7"}}, "'daily' of .* is not a number from 0 on", "7"),
        ({"keep": {"within": "7"}}, "'within' of .* is no period", "30d"),
        ({"keep": {"within": 7}}, "'within' of .* is no period", "30d"),
        ({"keep": {"daily": 0}}, "keeps nothing", "daily"),
        ({"keep": {"dev": {}}}, "'dev' in .* keeps nothing", "daily"),
        ({"keep": {"prodution": {"daily": 1}}}, "no environment 'prodution'", "'production'"),
        ({"minimum": 0}, "'minimum' of BACKUPS", "at least"),
        ({"minimum": "2"}, "'minimum' of BACKUPS", "at least"),
    ],
)
def test_wrong_settings(backups: Any, message: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        parse_keep(backups, ["production", "dev"])
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("numbers", "within", "message"),
    [
        ({"daily": -1}, None, "--keep-daily -1 is negative"),
        ({"daily": 0, "last": 0}, None, "keep nothing"),
        ({}, "3w", "'3w' is no period"),
        ({}, "", "'' is no period"),
    ],
)
def test_wrong_options(numbers: dict[str, int | None], within: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_policy(numbers, within)
    assert make_policy({"daily": None}, None) is None
