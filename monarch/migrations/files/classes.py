"""The code of migrations: importing a file, and the one class in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import isabstract, isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from types import ModuleType

from monarch.databases.migration import Migration
from monarch.errors import ProjectError
from monarch.migrations.files.find import MigrationFile, checksum
from monarch.system.modules import import_file, is_unwritten
from monarch.system.spelling import camel_case


@dataclass(frozen=True)
class Loaded:
    """The class in a file, and the checksum of the file that was loaded."""

    kind: type[Migration]
    checksum: str

    @property
    def can_roll_back(self) -> bool:
        """Whether it has a ``rollback``."""
        return self.kind.rollback is not Migration.rollback


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
    module = import_file(file.path, root, file.top)
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


def says_repeatable(file: MigrationFile) -> bool:
    """Whether a class in ``file`` has ``repeatable = True``, found without importing it."""
    try:
        tree = ast.parse(file.path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    lines = [line for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for line in node.body]
    return any(re.fullmatch(r"repeatable(: \w+)? = True", ast.unparse(line)) for line in lines)
