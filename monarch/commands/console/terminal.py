"""The terminal one writes to."""

from __future__ import annotations

import os
import sys


def colour() -> bool | None:
    """False where NO_COLOR asks for none (no-color.org), else None: click looks at the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def columns() -> int:
    """Its width in characters: what COLUMNS says, else what the terminal says, else 80."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1).columns or 80
    except (OSError, ValueError):
        return 80
