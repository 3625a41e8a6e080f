"""Import a project's own code, and describe its errors."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from monarch.errors import ProjectError
from monarch.system.secrets import redact


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Let imports in this context find the project's own packages, as in a script in its folder."""
    entry = str(root.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:  # the project's code may have removed it
            sys.path.remove(entry)


def import_file(path: Path, name: str, root: Path) -> ModuleType:
    """Import the file ``path`` as the module ``name``, replacing a loaded module of that name.

    :raises ProjectError: if that fails.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a path that ends in .py has a loader
    module = importlib.util.module_from_spec(spec)
    # Registered as an import would, so that dataclasses, pickles and `from . import` work in it.
    sys.modules[name] = module
    try:
        with importable(root):
            # From its text: Python would use an old compiled version if second and size are the same.
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise ProjectError(
            f"{path.stem} cannot be loaded: {describe_error_in(path, error)}",
            "Nothing has run. Fix the file and try again; --traceback shows the whole traceback.",
        ) from error
    return module


def error_line(path: Path, error: BaseException) -> int | None:
    """Return the last line number of the file ``path`` in the traceback of ``error``, if any."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)


def describe_error_in(path: Path, error: BaseException) -> str:
    """Return ``error`` as one line without secrets, with the line number in the project's file ``path``."""
    line = error_line(path, error)
    return f"{describe_error(error)} ({path.parent.name}/{path.name}{f', line {line}' if line else ''})"


def describe_error(error: BaseException) -> str:
    """Return ``error`` as one line without secrets."""
    if isinstance(error, SyntaxError):
        text = redact(f"{type(error).__name__}: {error.msg}")
    else:  # format_exception_only survives an error whose __str__ raises
        # Redact before whitespace is collapsed and the text is cut: part of a secret would not be found.
        text = " ".join(redact("".join(traceback.format_exception_only(error))).split())
        text = text.partition(", full error: {")[0]  # a driver repeats the error there
    if len(text) > 300:
        text = text[:300] + " …"
    return text
