"""The terminal: its colours and its width."""

from __future__ import annotations

import os
import sys


def colour() -> bool | None:
    """False if NO_COLOR is set (no-color.org), else None: click looks at the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def columns() -> int:
    """The width in characters: COLUMNS, else that of the terminal, else 80."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1).columns or 80
    except (OSError, ValueError):
        return 80
