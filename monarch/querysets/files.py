"""The query sets of a project: classes in the files of ``querysets/``, whatever those are called."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path

from monarch.errors import ProjectError
from monarch.querysets.queryset import QuerySet
from monarch.settings.paths import QUERY_SETS
from monarch.system.modules import load
from monarch.system.spelling import suggest


@dataclass(frozen=True)
class QuerySetFile:
    """A class called ``name`` in a file. ``summary`` is the first line of what it says of itself."""

    name: str
    path: Path
    summary: str

    @property
    def shown_path(self) -> str:
        return f"{QUERY_SETS}/{self.path.name}"


def find_query_sets(root: Path) -> tuple[QuerySetFile, ...]:
    """What looks like a query set in the files of the project below ``root``, by name. Imports none of them.

    :raises ProjectError: if a file cannot be read, or is not valid Python.
    """
    found = _all_classes(root)
    known = {"QuerySet"}
    # A class is one if it derives from one, in this file or another, or says so by its base's name.
    while True:
        more = {file.name for file, bases in found if _derives(bases, known)} - known
        if not more:
            break
        known |= more
    files = [file for file, bases in found if _derives(bases, known)]
    return tuple(sorted(files, key=lambda file: (file.name, file.path)))


def find_query_set(root: Path, wanted: str) -> QuerySetFile:
    """The query set called ``wanted`` of the project below ``root``, whatever it derives from.

    :raises ProjectError: naming the nearest one, or saying that two have that name.
    """
    named = [file for file, bases in _all_classes(root) if file.name == wanted and bases]
    if len(named) > 1:
        where = " and ".join(file.shown_path for file in named)
        raise ProjectError(f"Two query sets are called {wanted}: in {where}.", "Rename one of them.")
    if not named:
        hint = suggest(
            wanted,
            dict.fromkeys(file.name for file in find_query_sets(root)),
            otherwise="Make one with `monarch generate_query_set NAME`.",
        )
        raise ProjectError(f"There is no query set {wanted!r} in {QUERY_SETS}/.", hint)
    return named[0]


def _derives(bases: set[str], known: set[str]) -> bool:
    return bool(bases & known) or any(base.endswith("QuerySet") for base in bases)


def _all_classes(root: Path) -> list[tuple[QuerySetFile, set[str]]]:
    """The classes of all files, with the names of what they derive from."""
    try:
        paths = sorted(path for path in (root / QUERY_SETS).iterdir() if path.suffix == ".py")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ProjectError(
            f"{QUERY_SETS}/ cannot be read: {error.strerror}.", "Check its permissions."
        ) from None
    return [found for path in paths for found in _classes(path)]


def load_query_set(file: QuerySetFile, root: Path) -> type[QuerySet]:
    """Import the class of ``file``.

    :raises ProjectError: if that fails, or it is no query set that does anything.
    """
    module = load(file.path, f"{QUERY_SETS}.{file.path.stem}", root)
    kind = getattr(module, file.name, None)
    if not (isinstance(kind, type) and issubclass(kind, QuerySet)):
        raise ProjectError(
            f"{file.name} in {file.shown_path} is not a query set.",
            f"Write: from monarch import QuerySet, and class {file.name}(QuerySet).",
        )
    if kind.run is QuerySet.run and kind.only is QuerySet.only and kind.exclude is QuerySet.exclude:
        raise ProjectError(f"{file.name} in {file.shown_path} has no run().", "Write def run(self): in it.")
    if any(test(kind.run) for test in (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)):
        raise ProjectError(
            f"run() of {file.name} in {file.shown_path} is async or a generator: a call runs nothing.",
            "Make it a plain function.",
        )
    return kind


def _classes(path: Path) -> list[tuple[QuerySetFile, set[str]]]:
    """The classes at the top of a file, with the names of what they derive from."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ProjectError(f"{QUERY_SETS}/{path.name} is not a file.", "Move it elsewhere.")
    try:
        tree = ast.parse(path.read_bytes())
    except OSError as error:
        raise ProjectError(
            f"{QUERY_SETS}/{path.name} cannot be read: {error.strerror}.", "Check its permissions."
        ) from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise ProjectError(
            f"{QUERY_SETS}/{path.name}{where} is not valid Python: {getattr(error, 'msg', error)}.",
            "Fix that first.",
        ) from None
    ours = {"QuerySet"} | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "monarch"
        for alias in node.names
        if alias.name == "QuerySet" and alias.asname
    }
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
            bases = {"QuerySet" if base in ours else base for base in bases}
            lines = (ast.get_docstring(node) or "").splitlines()
            found.append((QuerySetFile(node.name, path, lines[0] if lines else ""), bases))
    return found
