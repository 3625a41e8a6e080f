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
