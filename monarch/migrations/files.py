"""The files in ``migrations/``: which are migrations, in which order, and the class in each."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from monarch.errors import ProjectError
from monarch.importing import importable
from monarch.migrations.migration import Migration
from monarch.names import camel_case, suggest
from monarch.places import FOLDER, where_else
from monarch.secret import redact

PATTERN = re.compile(r"_(?P<stamp>\d{12})_(?P<name>\w+)_migration\.py", re.ASCII)

_LIKE_A_MIGRATION = re.compile(r"_?\d{4,}.*\.py|.*migrations?\.py", re.IGNORECASE)
_MIGRATION_CLASS = re.compile(rb"^class\s+\w+\s*\([^)]*Migration\b[^)]*\)\s*:", re.MULTILINE)
_RUN = re.compile(rb"^\s+def\s+run\s*\(", re.MULTILINE)


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


def find_migrations(root: Path) -> tuple[MigrationFile, ...]:
    """The migrations of the project below ``root``, in the order in which they run: by file name.

    :raises ProjectError: if the folder is missing or cannot be read, if two migrations have one
        name, or if a file looks like a migration but is not called like one.
    """
    folder = root / FOLDER
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".py")
    except FileNotFoundError:
        raise ProjectError(f"There is no folder {FOLDER}/ here ({root}).", where_else(root)) from None
    except OSError as error:
        raise ProjectError(
            f"{FOLDER}/ cannot be read: {error.strerror}.", "It must be a folder that you may read."
        ) from None
    files = []
    for path in paths:
        match = PATTERN.fullmatch(path.name)
        if match:
            files.append(MigrationFile(path, match["stamp"], match["name"]))
        elif path.name not in ("__init__.py", "settings.py"):
            _refuse_if_like_a_migration(path)
    _refuse_duplicates(files)
    return tuple(files)


def find_migration(files: tuple[MigrationFile, ...], wanted: str) -> MigrationFile:
    """The migration that ``wanted`` names: by key, file name, path, or the name it was given.

    :raises ProjectError: naming the nearest one.
    """
    stem = Path(wanted).name.removesuffix(".py")
    for file in files:
        if stem in (file.key, file.name, f"{file.name}_migration"):
            return file
    names = [file.name for file in files]
    hint = suggest(stem, names, otherwise="Make one with `monarch generate NAME`.")
    raise ProjectError(f"There is no migration {wanted!r}.", hint)


def load_migration(file: MigrationFile, root: Path) -> type[Migration]:
    """Import ``file`` and return the one migration class that it defines.

    :raises ProjectError: if it cannot be imported, or defines no such class, or more than one.
    """
    module = _import(file, root)
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Migration) and value.__module__ == module.__name__
    ]
    if not classes:
        raise ProjectError(
            f"{file.shown_path} defines no migration.",
            f"It needs a class {camel_case(file.name)}Migration(MongoBackedMigration).",
        )
    if len(classes) > 1:
        names = ", ".join(found.__name__ for found in classes)
        raise ProjectError(
            f"{file.shown_path} defines {len(classes)} migrations: {names}.",
            "One file, one migration: move the others to files of their own (monarch generate NAME).",
        )
    if classes[0].run is Migration.run:
        raise ProjectError(
            f"{file.shown_path}: class {classes[0].__name__} has no run().", "Write def run(self): in it."
        )
    return classes[0]


def line_in(file: MigrationFile, error: BaseException) -> int | None:
    """The last line of ``file`` that ``error`` came through."""
    if isinstance(error, SyntaxError) and error.filename == str(file.path):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(file.path)), None)


def describe(file: MigrationFile, error: BaseException) -> str:
    """``error`` in one line, with the migration's own file and line, and no secret."""
    if isinstance(error, SyntaxError):
        text = f"{type(error).__name__}: {error.msg}"
    else:  # survives an error that cannot say itself
        text = " ".join("".join(traceback.format_exception_only(error)).split())
        text = text.partition(", full error: {")[0]  # pymongo's appendix says the same again
    if len(text) > 300:
        text = text[:300] + " …"
    line = line_in(file, error)
    return redact(f"{text} ({file.shown_path}{f', line {line}' if line else ''})")


def _import(file: MigrationFile, root: Path) -> ModuleType:
    name = f"{FOLDER}.{file.key}"
    spec = importlib.util.spec_from_file_location(name, file.path)
    assert spec is not None  # a path that ends in .py has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered as an import would, so that dataclasses, pickles and `from . import` work in it.
    sys.modules[name] = module
    try:
        with importable(root):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise ProjectError(
            f"{file.key} cannot be loaded: {describe(file, error)}",
            "Nothing has run. Mend the file and try again; --traceback shows the whole story.",
        ) from error
    return module


def _refuse_if_like_a_migration(path: Path) -> None:
    like = _LIKE_A_MIGRATION.fullmatch(path.name) is not None
    if not like:
        try:
            source = path.read_bytes()
        except OSError as error:
            shown = f"{FOLDER}/{path.name}"
            raise ProjectError(
                f"{shown} cannot be read: {error.strerror}.", "It must be a file that you may read."
            ) from None
        like = bool(_MIGRATION_CLASS.search(source) and _RUN.search(source))
    if like:
        raise ProjectError(
            f"{FOLDER}/{path.name} looks like a migration, but is not called like one and would never run.",
            "Call it _YYYYMMDDHHMM_<name>_migration.py (monarch generate NAME does), or move it elsewhere.",
        )


def _refuse_duplicates(files: list[MigrationFile]) -> None:
    seen: dict[str, MigrationFile] = {}
    for file in files:
        first = seen.setdefault(file.name.casefold(), file)
        if first is not file:
            raise ProjectError(
                f"Two migrations are called {file.name!r}: {first.path.name} and {file.path.name}.",
                "Rename the one that has not run anywhere yet.",
            )
