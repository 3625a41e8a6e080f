"""Files that look like migrations and are not named like one: passed over, they would never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from monarch.errors import ProjectError
from monarch.migrations.files.names import PATTERN
from monarch.settings.paths import FOLDER

_LIKE_A_MIGRATION = re.compile(r"_?\d{4,}.*\.py|.*migrations?\.py", re.IGNORECASE)
_FOLDER_LIKE_A_MIGRATION = re.compile(r"_?\d{8,}.*", re.IGNORECASE)
# In folders there are other files too, such as data: only a whole date counts.
_LIKE_A_MIGRATION_IN_A_FOLDER = re.compile(r"_?\d{12}_.*\.py", re.IGNORECASE)
_FOLDER_LIKE_A_MIGRATION_IN_A_FOLDER = re.compile(r"_?\d{12}_.*", re.IGNORECASE)
_OF_ANOTHER_TOOL = re.compile(
    rb"^\s*(?:from|import)\s+(?:alembic|django|flask_migrate|peewee|peewee_migrate|piccolo|tortoise|yoyo)\b",
    re.MULTILINE,
)


def refuse_if_any_is_like_a_migration(
    folder: Path, others: Sequence[PurePosixPath], migrations: Sequence[Path]
) -> None:
    """Check that none of ``others``, files in ``folder`` and below, looks like a migration.

    They are not named like one. A file that another one imports is a helper, whatever it looks like.

    :param migrations: the files that are named like one.
    :raises ProjectError: if one does, with how to name it.
    """
    sources = [*migrations, *(folder / other for other in others if other.suffix == ".py")]
    for other in others:
        if other.name == "__init__.py":
            _refuse_package(folder, other.parent, migrations)
        else:
            _refuse_if_like_a_migration(folder / other, other, sources)


def _refuse_package(folder: Path, package: PurePosixPath, migrations: Sequence[Path]) -> None:
    """Refuse a folder of code that is called like one migration, and has none in it."""
    path = folder / package
    pattern = _FOLDER_LIKE_A_MIGRATION_IN_A_FOLDER if package.parent.name else _FOLDER_LIKE_A_MIGRATION
    if pattern.fullmatch(package.name) and not any(path in one.parents for one in migrations):
        raise _is_like_a_migration(package)


def _refuse_if_like_a_migration(path: Path, inside: PurePosixPath, sources: Iterable[Path]) -> None:
    source = path.suffix.lower() == ".py"
    pattern = _LIKE_A_MIGRATION_IN_A_FOLDER if inside.parent.name else _LIKE_A_MIGRATION
    try:
        if PATTERN.fullmatch(path.name):  # a folder, a pipe, or a link to nothing
            with suppress(FileNotFoundError):
                path.stat()  # or a link to where nobody may look
            raise ProjectError(
                f"{FOLDER}/{inside} is named like a migration, but is not a file.",
                "Put the file there, or delete this.",
            )
        if path.is_dir():  # its name ends in .py
            like = _FOLDER_LIKE_A_MIGRATION.fullmatch(path.name) is not None
        else:
            like = pattern.fullmatch(path.name) is not None
            if source and (path.is_file() or not like):
                like = _is_migration_inside(path, inside, named=like)
    except OSError as error:
        hint = "It must be a file that you may read."
        raise ProjectError(f"{FOLDER}/{inside} cannot be read: {error.strerror}.", hint) from None
    if like and not (source and _is_imported(path, sources)):
        raise _is_like_a_migration(inside)


def _is_migration_inside(path: Path, inside: PurePosixPath, *, named: bool) -> bool:
    """Whether what is in the file ``path`` looks like a migration, which is ``named`` like one or not."""
    if path.exists() and not path.is_file():
        raise ProjectError(f"{FOLDER}/{inside} is not a file.", "Only Python files and folders belong there.")
    content = path.read_bytes()
    # Django, for example, has its own in folders of applications. Beside ours they are a mistake.
    if inside.parent.name and _OF_ANOTHER_TOOL.search(content):
        return False
    return named or _defines_migration(content)


def _is_like_a_migration(inside: PurePosixPath) -> ProjectError:
    return ProjectError(
        f"{FOLDER}/{inside} looks like a migration, but is not named like one and would never run.",
        "Name it _YYYYMMDDHHMM_<name>_migration.py (monarch generate NAME does), or move it elsewhere.",
    )


def _is_imported(path: Path, sources: Iterable[Path]) -> bool:
    """Whether one of the other ``sources`` imports ``path``, such as the team's own base class."""
    pattern = re.compile(rf"^\s*(?:from|import)\b.*\b{re.escape(path.stem)}\b", re.MULTILINE)
    for other in sources:
        try:
            if other != path and other.is_file():
                text = other.read_text(encoding="utf-8", errors="replace")
                if pattern.search(text):
                    return True
        except OSError:
            continue
    return False


def _defines_migration(source: bytes) -> bool:
    """Whether a class in ``source`` derives from a migration and defines ``run``."""
    if b"Migration" not in source and b"monarch" not in source:
        return False
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
