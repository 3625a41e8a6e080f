"""Files that look like migrations and are not named like one: passed over, they would never run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from monarch.errors import ProjectError
from monarch.migrations.files.names import PATTERN
from monarch.settings.paths import FOLDER

_LIKE_A_MIGRATION = re.compile(r"_?\d{4,}.*\.py|.*migrations?\.py", re.IGNORECASE)
_FOLDER_LIKE_A_MIGRATION = re.compile(r"_?\d{8,}.*", re.IGNORECASE)


def refuse_if_like_a_migration(path: Path) -> None:
    """Check that ``path``, which is not named like a migration, does not look like one either.

    A file that another one imports is a helper, whatever it looks like.

    :raises ProjectError: if it does, with how to name it.
    """
    shown = f"{FOLDER}/{path.name}"
    source = path.suffix.lower() == ".py"
    pattern = _FOLDER_LIKE_A_MIGRATION if path.is_dir() else _LIKE_A_MIGRATION
    like = pattern.fullmatch(path.name) is not None
    if path.is_dir() and (inside := _find_below(path)) is not None:
        raise ProjectError(
            f"{shown}/{inside} is a migration in a folder, and would never run.",
            f"Move it to {FOLDER}/ itself. If it must not run, move the folder out of {FOLDER}/.",
        )
    if not like and source and not path.is_dir():
        if path.exists() and not path.is_file():
            raise ProjectError(f"{shown} is not a file.", "Only Python files and folders belong there.")
        try:
            like = _defines_migration(path.read_bytes())
        except OSError as error:
            hint = "It must be a file that you may read."
            raise ProjectError(f"{shown} cannot be read: {error.strerror}.", hint) from None
    if like and not (source and _is_imported(path)):
        raise ProjectError(
            f"{shown} looks like a migration, but is not named like one and would never run.",
            "Name it _YYYYMMDDHHMM_<name>_migration.py (monarch generate NAME does), or move it elsewhere.",
        )


def _find_below(folder: Path) -> Path | None:
    """Return a file in ``folder`` that is named like a migration, relative to it."""
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        if PATTERN.fullmatch(path.name) and not any(part.startswith((".", "__")) for part in inside.parts):
            return inside
    return None


def _is_imported(path: Path) -> bool:
    """Whether a file beside ``path`` imports it: then it is a helper, such as the team's own base class."""
    pattern = re.compile(rf"^\s*(?:from|import)\b.*\b{re.escape(path.stem)}\b", re.MULTILINE)
    for other in path.parent.glob("*.py"):
        if other != path and not other.name.startswith(".") and other.is_file():
            try:
                if pattern.search(other.read_text(encoding="utf-8", errors="replace")):
                    return True
            except OSError:
                continue
    return False


def _defines_migration(source: bytes) -> bool:
    """Whether a class in ``source`` derives from a migration and defines ``run``."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False  # nothing can import it: it is neither a migration nor a helper of one
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "monarch"
        for alias in node.names
    }
    return any(
        isinstance(node, ast.ClassDef)
        and any(_is_migration(base, ours) for base in node.bases)
        and any(isinstance(d, ast.FunctionDef | ast.AsyncFunctionDef) and d.name == "run" for d in node.body)
        for node in ast.walk(tree)
    )


def _is_migration(base: ast.expr, ours: set[str]) -> bool:
    name = ast.unparse(base).rpartition(".")[2]
    return name.endswith("Migration") or name in ours
