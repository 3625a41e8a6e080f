"""Find and load the query sets of a project: classes in the files of ``querysets/``, under any file name."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path

from monarch.errors import ProjectError
from monarch.querysets.queryset import QuerySet
from monarch.settings.paths import QUERY_SETS
from monarch.system.modules import import_file, is_unwritten
from monarch.system.spelling import suggest


@dataclass(frozen=True)
class QuerySetFile:
    """A class called ``name`` in the file ``path``. ``summary`` is the first line of its docstring.

    ``options`` are the names that it annotates itself.
    """

    name: str
    path: Path
    summary: str
    options: tuple[str, ...] = ()

    @property
    def shown_path(self) -> str:
        return f"{QUERY_SETS}/{self.path.name}"


def find_query_sets(root: Path) -> tuple[QuerySetFile, ...]:
    """Return the query sets in the files of the project at ``root``, sorted by name. Imports none of them.

    :raises ProjectError: if a file cannot be read, or is not valid Python.
    """
    found = _all_classes(root)
    known = {"QuerySet"}
    # A class is one if it derives from one, in any file, or if its base's name ends in QuerySet.
    while True:
        more = {file.name for file, bases in found if _derives(bases, known)} - known
        if not more:
            break
        known |= more
    files = [file for file, bases in found if _derives(bases, known)]
    return tuple(sorted(files, key=lambda file: (file.name, file.path)))


def find_query_set(root: Path, name: str) -> QuerySetFile:
    """Return the query set ``name`` of the project at ``root``. Any class with a base may be one.

    :raises ProjectError: if there is none, with the nearest name; or if two have that name.
    """
    named = [file for file, bases in _all_classes(root) if file.name == name and bases]
    if len(named) > 1:
        where = " and ".join(file.shown_path for file in named)
        raise ProjectError(f"Two query sets are called {name}: in {where}.", "Rename one of them.")
    if not named:
        hint = suggest(
            name,
            dict.fromkeys(file.name for file in find_query_sets(root)),
            otherwise="Make one with `monarch generate_query_set NAME`.",
        )
        raise ProjectError(f"There is no query set {name!r} in {QUERY_SETS}/.", hint)
    return named[0]


def _derives(bases: set[str], known: set[str]) -> bool:
    return bool(bases & known) or any(base.endswith("QuerySet") for base in bases)


def _all_classes(root: Path) -> list[tuple[QuerySetFile, set[str]]]:
    """Return the classes of all files, with the names of their bases."""
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
    """Import and return the class of ``file``.

    :raises ProjectError: if that fails, or the class is no query set, or selects nothing.
    """
    module = import_file(file.path, root)
    kind = getattr(module, file.name, None)
    if not (isinstance(kind, type) and issubclass(kind, QuerySet)):
        raise ProjectError(
            f"{file.name} in {file.shown_path} is not a query set.",
            f"Write: from monarch import QuerySet, and class {file.name}(QuerySet).",
        )
    if kind.run is QuerySet.run and kind.only is QuerySet.only and kind.exclude is QuerySet.exclude:
        raise ProjectError(f"{file.name} in {file.shown_path} has no run().", "Write def run(self): in it.")
    if is_unwritten(file.path, file.name):
        raise ProjectError(
            f"{file.shown_path} is as `monarch generate_query_set` wrote it: its run() selects nothing yet.",
            "Select documents in run(), or delete the file. Nothing was changed.",
        )
    if any(test(kind.run) for test in (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)):
        raise ProjectError(
            f"run() of {file.name} in {file.shown_path} is async or a generator: a call runs nothing.",
            "Make it a plain function.",
        )
    return kind


def _classes(path: Path) -> list[tuple[QuerySetFile, set[str]]]:
    """Return the top-level classes of a file, with the names of their bases."""
    if path.exists() and not path.is_file():  # reading a pipe would hang
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
            options = tuple(
                line.target.id
                for line in node.body
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            )
            found.append((QuerySetFile(node.name, path, lines[0] if lines else "", options), bases))
    return found
