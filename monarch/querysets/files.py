"""Find and load the query sets of a project: classes in the files of ``querysets/``, under any file name."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path

from monarch.errors import ProjectError
from monarch.querysets.annotations import ListedOption, read_options
from monarch.querysets.queryset import QuerySet
from monarch.querysets.questions import ListedQuestion, calls_inherited, read_questions
from monarch.settings.paths import QUERY_SETS
from monarch.system.modules import import_file, is_unwritten
from monarch.system.spelling import suggest


@dataclass(frozen=True)
class _Class:
    """A class in a file, and the names of its ``bases``."""

    file: QuerySetFile
    bases: tuple[str, ...]
    node: ast.ClassDef


@dataclass(frozen=True)
class QuerySetFile:
    """A class called ``name`` in the file ``path``. ``summary`` is the first line of its docstring.

    ``listed`` are its options, ``questions`` are those that it may ask; also what it inherits from a class in
    these files.
    """

    name: str
    path: Path
    summary: str
    listed: tuple[ListedOption, ...] = ()
    questions: tuple[ListedQuestion, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The names of its options."""
        return tuple(option.name for option in self.listed)

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
        more = {one.file.name for one in found if _derives(one.bases, known)} - known
        if not more:
            break
        known |= more
    files = [_with_answers(one, found, frozenset()) for one in found if _derives(one.bases, known)]
    return tuple(sorted(files, key=lambda file: (file.name, file.path)))


def _with_answers(one: _Class, found: list[_Class], below: frozenset[int]) -> QuerySetFile:
    """Return the file of ``one`` with what it takes, after what its bases among the ``found`` ones take.

    ``below`` are the classes that derive from it: bases in a circle end there.
    """
    options: dict[str, ListedOption] = {}
    questions: dict[str, ListedQuestion] = {}
    for name in reversed(one.bases):
        named = [base for base in found if base.file.name == name and id(base) not in below | {id(one)}]
        beside = [base for base in named if base.file.path == one.file.path]
        for base in (beside or named)[:1]:
            inherited = _with_answers(base, found, below | {id(one)})
            options |= {option.name: option for option in inherited.listed}
            if calls_inherited(one.node):
                questions |= {question.name: question for question in inherited.questions}
    questions |= {question.name: question for question in read_questions(one.node)}
    return replace(
        one.file, listed=read_options(one.node, options.values()), questions=tuple(questions.values())
    )


def find_query_set(root: Path, name: str) -> QuerySetFile:
    """Return the query set ``name`` of the project at ``root``. Any class with a base may be one.

    :raises ProjectError: if there is none, with the nearest name; or if two have that name.
    """
    named = [one.file for one in _all_classes(root) if one.file.name == name and one.bases]
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


def _derives(bases: tuple[str, ...], known: set[str]) -> bool:
    return bool(known.intersection(bases)) or any(base.endswith("QuerySet") for base in bases)


def _all_classes(root: Path) -> list[_Class]:
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


def _classes(path: Path) -> list[_Class]:
    """Return the top-level classes of a file."""
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
            names = (ast.unparse(base).rpartition(".")[2] for base in node.bases)
            bases = tuple("QuerySet" if name in ours else name for name in names)
            lines = (ast.get_docstring(node) or "").splitlines()
            found.append(_Class(QuerySetFile(node.name, path, lines[0] if lines else ""), bases, node))
    return found
