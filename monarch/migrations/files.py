"""The files in ``migrations/``: which are migrations, their order and names, and the class in each."""

from __future__ import annotations

import ast
import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from inspect import isabstract, isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from types import ModuleType

from monarch.databases.migration import Migration
from monarch.errors import ProjectError
from monarch.settings.paths import FOLDER, where_else
from monarch.system.modules import import_file, is_unwritten
from monarch.system.spelling import camel_case, suggest_carefully

_STAMP = "%Y%m%d%H%M"
# With the stamp and the suffix a file name stays well below the 255 bytes of common file systems.
_LONGEST_NAME = 120
_NAME = frozenset(string.ascii_letters + string.digits + "_")

PATTERN = re.compile(r"_(?P<stamp>\d{12})_(?P<name>\w+)_migration\.py", re.ASCII)

_LIKE_A_MIGRATION = re.compile(r"_?\d{4,}.*\.py|.*migrations?\.py", re.IGNORECASE)
# Names in the folder that are no migrations.
_OTHERS = ("__init__.py", "settings.py", "__pycache__")
_FOLDER_LIKE_A_MIGRATION = re.compile(r"_?\d{8,}.*", re.IGNORECASE)


@dataclass(frozen=True)
class MigrationFile:
    """A file that follows the naming rule. ``key`` is its name in the history."""

    path: Path
    stamp: str
    name: str

    @property
    def key(self) -> str:
        return self.path.stem

    @property
    def shown_path(self) -> str:
        return f"{FOLDER}/{self.path.name}"


def name_of(key: str) -> str | None:
    """The name of a migration, from its ``key``."""
    match = PATTERN.fullmatch(f"{key}.py")
    return match["name"] if match else None


def checksum(file: MigrationFile) -> str:
    """The SHA-256 of a file's text, regardless of how git converts the ends of its lines.

    :raises ProjectError: if it cannot be read.
    """
    try:
        content = file.path.read_bytes()
    except OSError as error:
        hint = "It must be a file that you may read."
        raise ProjectError(f"{file.shown_path} cannot be read: {error.strerror}.", hint) from None
    return sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def says_repeatable(file: MigrationFile) -> bool:
    """Whether a class in ``file`` has ``repeatable = True``, found without importing it."""
    try:
        tree = ast.parse(file.path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    lines = [line for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for line in node.body]
    return any(re.fullmatch(r"repeatable(: \w+)? = True", ast.unparse(line)) for line in lines)


def find_migrations(root: Path) -> tuple[MigrationFile, ...]:
    """The migrations of the project in ``root``, in the order in which they run: by file name.

    :raises ProjectError: if the folder is missing or cannot be read, or if a file looks like a migration
        but is not named like one.
    """
    folder = root / FOLDER
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        raise ProjectError(f"There is no folder {FOLDER}/ here ({root}).", where_else(root)) from None
    except OSError as error:
        raise ProjectError(
            f"{FOLDER}/ cannot be read: {error.strerror}.", "It must be a folder that you may read."
        ) from None
    files = []
    for entry in entries:
        match = PATTERN.fullmatch(entry.name)
        if match and entry.is_file():
            files.append(MigrationFile(folder / entry.name, match["stamp"], match["name"]))
        elif not entry.name.startswith(".") and entry.name not in _OTHERS:  # macOS and Emacs write such files
            _refuse_if_like_a_migration(folder / entry.name)
    return tuple(files)


def find_migration(files: tuple[MigrationFile, ...], selected: str) -> MigrationFile:
    """Return the migration that ``selected`` names: by its key, file name, path, or name.

    :raises ProjectError: if there is none, naming the nearest one; or if several have that name.
    """
    stem = Path(selected).name.removesuffix(".py")
    for matches in (
        [file for file in files if file.key == stem],
        [file for file in files if file.name == stem],
        [file for file in files if f"{file.name}_migration" == stem],
    ):
        if len(matches) > 1:
            keys = ", ".join(file.key for file in matches)
            raise ProjectError(
                f"{selected!r} is the name of {len(matches)} migrations: {keys}.", "Use one of these keys."
            )
        if matches:
            return matches[0]
    names = [file.name for file in files]
    hint = suggest_carefully(stem, names, otherwise="Write one with `monarch generate NAME`.")
    raise ProjectError(f"There is no migration {selected!r}.", hint)


@dataclass(frozen=True)
class Loaded:
    """The class in a file, and the checksum of the file that was loaded."""

    kind: type[Migration]
    checksum: str


def load_all(files: tuple[MigrationFile, ...], root: Path) -> Mapping[str, Loaded]:
    """Load all ``files``, by their keys, before the first one runs: a broken file changes nothing.

    :raises ProjectError: if one cannot be loaded.
    """
    # The checksum first: if the file changes in between, it is reported as edited.
    return {file.key: Loaded(checksum=checksum(file), kind=load_migration(file, root)) for file in files}


def load_migration(file: MigrationFile, root: Path) -> type[Migration]:
    """Import ``file`` and return the one migration class that it defines.

    :raises ProjectError: if it cannot be imported, or defines no such class, or more than one.
    """
    module = import_file(file.path, root)
    classes = _migration_classes(module)
    if not classes:
        raise ProjectError(
            f"{file.shown_path} defines no migration.",
            f"Define a class {camel_case(file.name)}Migration in it, as `monarch generate` does.",
        )
    if len(classes) > 1:
        names = ", ".join(kind.__name__ for kind in classes)
        raise ProjectError(
            f"{file.shown_path} defines {len(classes)} migrations: {names}.",
            "Move the others to files of their own (monarch generate NAME).",
        )
    if classes[0].run is Migration.run:
        raise ProjectError(
            f"{file.shown_path}: class {classes[0].__name__} has no run().", "Define `def run(self):` in it."
        )
    if is_unwritten(file.path, classes[0].__name__):
        raise ProjectError(
            f"{file.shown_path} is as `monarch generate` wrote it: its run() does nothing yet.",
            "Write the migration in run(), or delete the file. Nothing has run.",
        )
    for method in (classes[0].run, classes[0].rollback):
        if any(test(method) for test in (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)):
            raise ProjectError(
                f"{file.shown_path}: {method.__name__}() of {classes[0].__name__} is async or a generator, "
                "so a call of it runs nothing.",
                "Make it a plain function; use asyncio.run(…) inside it for async code.",
            )
    return classes[0]


def _migration_classes(module: ModuleType) -> list[type[Migration]]:
    """Return the migrations that ``module`` defines, without those from which another one derives."""
    found = dict.fromkeys(value for value in vars(module).values() if isinstance(value, type))
    classes = [kind for kind in found if issubclass(kind, Migration) and kind.__module__ == module.__name__]
    leaves = [
        kind
        for kind in classes
        if not any(kind is not other and issubclass(other, kind) for other in classes)
    ]
    # A base class that only other files use.
    named = [kind for kind in leaves if not kind.__name__.startswith("_") and not isabstract(kind)]
    return named or leaves


def _refuse_if_like_a_migration(path: Path) -> None:
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


def check_name(name: str, what: str = "migration", command: str = "generate") -> None:
    """Check that ``name`` can be the name of a ``what``, which ``command`` writes.

    :raises ProjectError: with a similar name that can.
    """
    if set(name) <= _NAME and len(name) <= _LONGEST_NAME and name.lstrip("_")[:1].isalpha():
        return
    cleaned = "_".join("".join(c if c in _NAME else " " for c in name).split()).lstrip("_0123456789")
    example = cleaned[:_LONGEST_NAME] or "add_indexes"
    raise ProjectError(
        f"{name!r} cannot be the name of a {what}: "
        f"it takes letters, digits and underscores, {_LONGEST_NAME} at most, and begins with a letter.",
        f"For example: monarch {command} {example}",
    )


def next_stamp(files: tuple[MigrationFile, ...]) -> str:
    """The stamp of a new migration: now, in UTC, or a minute after the newest file, so that it runs last."""
    now = datetime.now(UTC).strftime(_STAMP)
    newest = max((file.stamp for file in files), default="")
    if newest < now:
        return now
    try:
        return (datetime.strptime(newest, _STAMP) + timedelta(minutes=1)).strftime(_STAMP)
    except (ValueError, OverflowError):
        raise ProjectError(
            f"The newest migration is dated {newest}, and no valid time comes after that.",
            "Rename that file first.",
        ) from None
