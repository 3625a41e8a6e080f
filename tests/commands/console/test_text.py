from __future__ import annotations

from datetime import timedelta

import pytest

from monarch.commands.console.text import age, count, duration, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3599, "59 min 59 s"), (7380, "2 h 03 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.9, "0 s"), (1, "1 s"), (59.9, "59 s"), (60, "1 min"), (90, "1 min 30 s"), (600, "10 min")),
        *((659, "10 min"), (3600, "1 h"), (3661, "1 h 1 min"), (48 * 3600, "48 h"), (49 * 3600, "2 d 1 h")),
        (72 * 3600, "3 d"),
        (-1, "0 s"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert age(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_940, "99.9 kB"), (99_960, "100 kB")),
        *((999_499, "999 kB"), (999_500, "1.0 MB"), (2.5e9, "2.5 GB"), (5e12, "5.0 TB")),
        (1.7e18, "1,700,000.0 TB"),
    ],
)
def test_sizes(number: float, text: str) -> None:
    assert size(number) == text


def test_counts() -> None:
    assert [count(n, "document") for n in (0, 1, 12345)] == ["0 documents", "1 document", "12,345 documents"]
