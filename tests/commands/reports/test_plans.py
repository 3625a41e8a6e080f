"""What a plan says of its target."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monarch.backups.plans.newest import NewestBackup, WayBack
from monarch.backups.plans.target import TargetState
from monarch.backups.state import Backup, BackupState
from monarch.commands.reports.plans import show_collections, show_target, target_as_json
from monarch.databases.base import Holdings
from monarch.databases.environment import Environment
from monarch.databases.transfer import CollectionSummary

TARGET = Environment("production", "mongo", "app", "db:27017")
TAKEN = datetime(2026, 3, 1, 7, 5, tzinfo=UTC)
BACKUP = Backup("app__2026_03_01", "app__2026_03_01.dmp.zst", "zst", BackupState.GOOD, 10, TAKEN, TAKEN)
USERS = CollectionSummary("users", "collection", 1234, 5600, 2)
SERIES = CollectionSummary("weather", "timeseries", 7, 100, 0)
VIEW = CollectionSummary("young", "view", 0, 0, 0)
THREE_HOURS = timedelta(hours=3)


def newest(found: WayBack = WayBack.NONE, **more: Any) -> NewestBackup:
    return NewestBackup(TARGET, found, **more)


@pytest.mark.parametrize(
    ("holdings", "said"),
    [
        (Holdings.of(()), "holds no collections."),
        (Holdings.of((USERS, VIEW)), "holds 1 collection, 1,234 documents, 5.6 kB."),
        (
            Holdings.of((USERS, SERIES)),
            "holds 2 collections, 1,234 documents and 7 buckets of time series, 5.7 kB.",
        ),
        (
            Holdings.of((USERS,), ("logs",)),
            "holds 2 collections, at least 1,234 documents, at least 5.6 kB, 1 collection not counted.",
        ),
        (Holdings(1, 3), "holds 1 collection, 3 documents."),
    ],
)
def test_what_it_holds(capsys: pytest.CaptureFixture[str], holdings: Holdings, said: str) -> None:
    show_target(TargetState(TARGET, newest(), holdings), err=False)
    first, _ = capsys.readouterr().out.splitlines()
    assert first == f"app on production (db:27017) {said}"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            newest(WayBack.BACKUP, backup=BACKUP, age=THREE_HOURS),
            "Its newest good backup is app__2026_03_01, 3 h old (2026-03-01 07:05 UTC).",
        ),
        (
            newest(WayBack.BACKUP, backup=BACKUP, age=THREE_HOURS, why="x is broken"),
            "Its newest good backup is app__2026_03_01, 3 h old (2026-03-01 07:05 UTC). But x is broken.",
        ),
        (newest(), "There is no good backup of app on production."),
        (
            newest(why="the folder backups does not exist"),
            "There is no good backup of app on production: the folder backups does not exist.",
        ),
        (newest(WayBack.NO_STORE), "There is no backup of it: the settings have no BACKUPS."),
        (
            newest(WayBack.UNKNOWN, why="no\x1b[2Janswer"),
            "Its newest good backup is not known: no\\x1b[2Janswer.",
        ),
    ],
)
def test_the_way_back(capsys: pytest.CaptureFixture[str], found: NewestBackup, said: str) -> None:
    show_target(TargetState(TARGET, found, unknown="it refuses"), err=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "app on production (db:27017): what it holds is not known: it refuses.",
        said,
    ]


def test_for_programs() -> None:
    state = TargetState(TARGET, newest(WayBack.BACKUP, backup=BACKUP, age=THREE_HOURS), Holdings.of((USERS,)))
    assert target_as_json(state) == {
        "environment": "production",
        "database": "app",
        "server": "db:27017",
        "collections": 1,
        "documents": 1234,
        "buckets": 0,
        "bytes": 5600,
        "uncounted": (),
        "why": None,
        "holder": None,
        "newest_backup": {
            "state": "backup",
            "name": "app__2026_03_01",
            "archive": "app__2026_03_01.dmp.zst",
            "taken_at": "2026-03-01T07:05:00Z",
            "age_seconds": 10800,
            "empty": False,
            "encrypted": False,
            "opens": None,
            "why": None,
        },
    }


def test_of_many_the_largest_are_shown_before_a_question(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those that are large only today: what is lost counts as what comes."""
    comes = [CollectionSummary(f"c{number}", "collection", number, number * 10, 1) for number in range(6)]
    huge = CollectionSummary("c0", "collection", 5_000_000, 10**9, 1)
    show_collections(comes, ("a", "b", "c"), 2, {"c0": huge, "c5": None})
    head, first, second, rest, uncounted = capsys.readouterr().out.splitlines()
    assert head.split() == ["COLLECTION", "DOCUMENTS", "SIZE", "INDEXES", "REPLACES"]
    assert first.split() == ["c0", "0", "0", "B", "1", "5,000,000", "documents"]
    assert second.split() == ["c5", "5", "50", "B", "1", "not", "counted"]
    assert rest == "… and 4 smaller ones, which --plan lists: 6 collections, 15 documents, 150 B together."
    assert uncounted == "Not counted: a, b and 1 more."
