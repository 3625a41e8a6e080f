from __future__ import annotations

import click
import pytest

from monarch.commands.parsing.arguments import DURATION


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("0", 0), ("1.5m", 90), ("1h1m1s", 3661)],
)
def test_readable_durations(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "-1", "10x", "m", "1d", "1 h", "1h30", "1e3", "nan", "inf"])
def test_invalid_durations(text: str) -> None:
    with pytest.raises(click.BadParameter, match="Use 90s, 10m or 1h30m"):
        DURATION.convert(text, None, None)
