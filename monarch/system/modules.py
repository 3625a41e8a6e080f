"""Code of the project's own, importable while it is needed and not a moment longer."""

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
    """Let ``import app`` find the project's own packages, as it would in a script that lies there."""
    entry = str(root.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:  # the project's code may have taken it out itself
            sys.path.remove(entry)


def load(path: Path, name: str, root: Path) -> ModuleType:
    """Import the file ``path`` as the module ``name``, whatever of that name there is already.

    :raises ProjectError: if that fails.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a path that ends in .py has a loader
    module = importlib.util.module_from_spec(spec)
    # Registered as an import would, so that dataclasses, pickles and `from . import` work in it.
    sys.modules[name] = module
    try:
        with importable(root):
            # From its text: Python takes what it has compiled before for a file of the same second and size.
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise ProjectError(
            f"{path.stem} cannot be loaded: {describe(path, error)}",
            "Nothing has run. Mend the file and try again; --traceback shows the whole story.",
        ) from error
    return module


def error_line(path: Path, error: BaseException) -> int | None:
    """The last line of the file ``path`` that ``error`` came through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)


def describe(path: Path, error: BaseException) -> str:
    """``error`` in one line, with the line of the file ``path`` of the project, and no secret."""
    line = error_line(path, error)
    return f"{describe_error(error)} ({path.parent.name}/{path.name}{f', line {line}' if line else ''})"


def describe_error(error: BaseException) -> str:
    """``error`` in one line, and no secret."""
    if isinstance(error, SyntaxError):
        text = redact(f"{type(error).__name__}: {error.msg}")
    else:  # survives an error that cannot say itself
        # Redacted before it is squeezed and cut: a piece of a secret would not be found any more.
        text = " ".join(redact("".join(traceback.format_exception_only(error))).split())
        text = text.partition(", full error: {")[0]  # a driver's appendix that repeats it
    if len(text) > 300:
        text = text[:300] + " …"
    return text
