from __future__ import annotations

import pytest

from monarch.commands.console.text import count, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3599, "59 min 59 s"), (7380, "2 h 03 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    assert [count(n, "document") for n in (0, 1, 12345)] == ["0 documents", "1 document", "12,345 documents"]
