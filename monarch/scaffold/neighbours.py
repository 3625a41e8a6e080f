"""Folders with the migrations of other tools, which often are called ``migrations/`` too."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_DJANGO = re.compile(r"\d{4}_\w+\.py")
_DJANGOS = re.compile(rb"^\s*(?:from|import)\s+django\b", re.MULTILINE)
_ALEMBICS = ("env.py", "script.py.mako", "alembic.ini", "versions")
_PRISMAS = "migration_lock.toml"


def whose(folder: Path) -> str | None:
    """Return of which tool ``folder`` holds the migrations, for people; None if of none that is known."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return None
    for name in filter(_DJANGO.fullmatch, names):
        with suppress(OSError):
            if _DJANGOS.search((folder / name).read_bytes()):
                return f"Django ({name})"
    alembics = [name for name in _ALEMBICS if name in names]
    if len(alembics) > 1:
        return f"Alembic or Flask-Migrate ({', '.join(alembics)})"
    return f"Prisma ({_PRISMAS})" if _PRISMAS in names else None
