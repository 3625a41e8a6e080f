"""Where the files of a project are."""

from __future__ import annotations

from pathlib import Path

FOLDER = "migrations"
SETTINGS = Path(FOLDER) / "settings.py"
QUERY_SETS = "querysets"


def where_else(root: Path) -> str:
    """Return a hint for a person who runs monarch in ``root``, where there is no project."""
    for parent in root.parents:
        if (parent / SETTINGS).is_file():
            return f"There is a project in {parent}: run monarch there."
    return "Run `monarch init` to create a project, or run monarch in the folder of one."
