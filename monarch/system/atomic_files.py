"""Write files atomically, and keep old versions of them."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path``: afterwards the file has all of it, or is as it was before."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def keep_old_version(settings: Path) -> Path:
    """Copy the existing ``settings`` to the first free name ``settings.py.N.old``, and return its path."""
    for number in itertools.count(1):
        kept = settings.with_name(f"settings.py.{number}.old")
        try:
            with settings.open("rb") as old, kept.open("xb") as new:
                kept.chmod(settings.stat().st_mode & 0o777)
                shutil.copyfileobj(old, new)
                new.flush()
                os.fsync(new.fileno())
            return kept
        except FileExistsError:
            continue
        except OSError:
            kept.unlink(missing_ok=True)
            raise
    raise AssertionError("count() does not end")
