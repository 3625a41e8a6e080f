"""The terminal: its colours and its width."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def colour() -> bool | None:
    """Whether to use colours; None: click looks at the terminal.

    NO_COLOR and FORCE_COLOR decide (no-color.org, force-color.org), the first before the second; a terminal
    of the type "dumb" has no colours.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return False if is_dumb() else None


def is_dumb() -> bool:
    """Whether the terminal can do nothing but print lines, as in editors."""
    return os.environ.get("TERM") == "dumb"


# Of the palette of 256 colours, which no theme changes: each has a contrast of at least 3 with white and with
# black. The yellow and the green of the usual 16 cannot be read on white in many terminals.
_READABLE = {"red": 160, "yellow": 136, "green": 28, "cyan": 31}


def tint(shade: str | None) -> str | int | None:
    """The colour ``shade`` for `click.style`: one that is readable on light and dark, if there are 256."""
    if shade is None:
        return None
    many = "256color" in os.environ.get("TERM", "") or os.environ.get("COLORTERM") in ("truecolor", "24bit")
    return _READABLE.get(shade, shade) if many else shade


def columns(stream: TextIO | None = None) -> int:
    """The width in characters: COLUMNS, else that of the terminal of ``stream`` (stdout), else 80."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    stream = stream or sys.__stdout__
    try:
        return os.get_terminal_size(stream.fileno() if stream else 1).columns or 80
    except (OSError, ValueError):
        return 80
