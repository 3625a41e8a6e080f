"""Code of the project's own, importable while it is needed and not a moment longer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Let ``import app`` find the project's own packages, as it would in a script that lies there."""
    entry = str(root.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:  # the project's code may have taken it out itself
            sys.path.remove(entry)
