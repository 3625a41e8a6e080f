"""The files of ``migrations_template/``, which `init` and `generate` write, and a project's templates."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from monarch.databases.kinds import DatabaseKind
from monarch.errors import ProjectError
from monarch.migrations.files.find import MigrationFile, UnknownMigration, find_migration
from monarch.settings.paths import FOLDER

_ENDING = ".py.tmpl"
MIGRATION = f"migration{_ENDING}"
_PLACEHOLDERS = "Use $class_name and $name only, and $$ for a dollar sign."
_READABLE = "It must be a file that you may read."


@dataclass(frozen=True)
class ProjectTemplate:
    """A file of the project that new migrations are made from; ``shown`` is what messages call it.

    It is a text with ``$class_name`` and ``$name``, or a migration, whose class gets another name.
    """

    path: Path
    shown: str

    def render(self, class_name: str, name: str) -> str:
        """Return the source of a new migration.

        :raises ProjectError: if it cannot be read, or does not render valid Python.
        """
        try:
            text = self.path.read_text(encoding="utf-8-sig")
            copied = None if self.path.suffix == ".tmpl" else _copy(text, class_name)
            source = Template(text).substitute(class_name=class_name, name=name) if copied is None else copied
            tree = ast.parse(source, str(self.path))
        except SyntaxError as error:
            line = f", line {error.lineno}" if error.lineno else ""
            raise self._broken(f"it renders invalid Python: {error.msg}{line}") from None
        except KeyError as error:
            raise self._broken(f"it uses the unknown ${error.args[0]}") from None
        except UnicodeDecodeError:
            raise self._broken("it is not a text in UTF-8", "Save it as UTF-8.") from None
        except ValueError as error:
            raise self._broken(str(error).removesuffix(".")) from None
        except OSError as error:
            raise self._broken(error.strerror or "it cannot be read", _READABLE) from None
        if not any(isinstance(node, ast.ClassDef) for node in tree.body):
            raise self._broken("it defines no class", "Write one like: class $class_name(…):")
        return source

    def _broken(self, why: str, hint: str = _PLACEHOLDERS) -> ProjectError:
        return ProjectError(f"The template {self.shown} cannot be used: {why}.", hint)


def read(name: str) -> str:
    """Return the text of one of monarch's templates."""
    return resources.files("monarch.migrations_template").joinpath(name).read_text(encoding="utf-8")


def render_query_set(kind: DatabaseKind, class_name: str) -> str:
    """Return the source of a new query set."""
    return Template(kind.query_set_template()).substitute(class_name=class_name)


def render_migration(kind: DatabaseKind, class_name: str, name: str) -> str:
    """Return the source of a new migration of ``kind``, from monarch's template."""
    return Template(kind.migration_template()).substitute(class_name=class_name, name=name)


def find_own(folder: Path) -> ProjectTemplate | None:
    """Return the template in ``folder`` that is used in place of monarch's; None if there is none."""
    path = folder / MIGRATION
    return ProjectTemplate(path, f"{FOLDER}/{MIGRATION}") if path.exists() else None


def find_template(folder: Path, files: Sequence[MigrationFile], selected: str) -> ProjectTemplate:
    """Return the template that a person has ``selected``.

    It is a file, by its path from the current folder; or ``SELECTED.py.tmpl`` in the ``folder`` of the
    migrations; or one of the migrations ``files``, by its name.

    :raises ProjectError: if there is none, naming those that there are; or if it is no file, or out of reach.
    """
    named = folder / f"{selected.removesuffix(_ENDING)}{_ENDING}"
    try:
        for path, shown in ((Path(selected), selected), (named, f"{FOLDER}/{named.name}")):
            if path.is_file():
                return ProjectTemplate(path, shown)
        exists = Path(selected).exists()
    except OSError as error:
        shown = f"{selected[:60]}{'…' if len(selected) > 60 else ''}"
        raise ProjectError(f"The template {shown} cannot be read: {error.strerror}.", _READABLE) from None
    try:
        file = find_migration(tuple(files), selected)
    except UnknownMigration:
        if exists:
            raise ProjectError(
                f"The template {selected} is not a file.", "Use a file with $class_name, or a migration."
            ) from None
        raise ProjectError(f"There is no template {selected!r}.", _hint(folder)) from None
    return ProjectTemplate(file.path, file.shown_path)


def names_in(folder: Path) -> list[str]:
    """Return the names of the templates in ``folder``, without that of the usual one."""
    found = (path.name.removesuffix(_ENDING) for path in folder.glob(f"*{_ENDING}"))
    return sorted(name for name in found if f"{name}{_ENDING}" != MIGRATION and not name.startswith("."))


def _hint(folder: Path) -> str:
    names = names_in(folder)
    there = f" (there is: {', '.join(names[:8])}{', …' if len(names) > 8 else ''})" if names else ""
    return f"Name a file, a NAME{_ENDING} in {FOLDER}/{there}, or a migration."


def _copy(text: str, class_name: str) -> str | None:
    """Return the migration ``text`` with its class called ``class_name``; None if it is a template.

    :raises SyntaxError: if it is neither.
    :raises ValueError: if it has several classes.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:
        if "class_name" in text or "class $" in text:
            return None
        raise
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    runs = [one for one in classes if any(getattr(line, "name", None) == "run" for line in one.body)]
    if not runs:
        return None
    if len(runs) > 1:
        raise ValueError(f"it has {len(runs)} classes with a run(): {', '.join(one.name for one in runs)}")
    return _rename(text, runs[0].name, class_name)


def _rename(text: str, old: str, new: str) -> str:
    """Return the Python code ``text`` with the name ``new`` wherever it has ``old``."""
    lines = text.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(text).readline))):
        if token.type == tokenize.NAME and token.string == old:
            row, column = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:column] + new + line[column + len(old) :]
    return "".join(lines)
