"""Errors as text: whole tracebacks and one line, without secrets and without the lines of the settings.

A line of the settings may contain a password. It is left out where a traceback or a warning is formatted;
the file keeps its name, so that `inspect`, `pickle` and libraries that look at frames find what they expect.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monarch.system.secrets import redact

# Files whose lines are never shown.
_hidden: set[str] = set()
_format_warning = warnings.formatwarning
_LONGEST = 300


def hide_lines_of(path: Path) -> None:
    """Never show a line of the file ``path``, neither in a traceback nor in a warning of Python."""
    _hidden.add(str(path))
    warnings.formatwarning = _without_hidden_line


def _without_hidden_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    text = _format_warning(message, category, filename, lineno, "" if filename in _hidden else line)
    return redact(text)


def format_traceback(error: BaseException, describe: Callable[[BaseException], str | None]) -> str:
    """Return the whole traceback of ``error``, with its causes.

    :param describe: returns what to say instead of the text of an error, which quotes documents.
    """
    story = traceback.TracebackException.from_exception(error)
    _hide(story, set())
    _reword(story, error, describe, set())
    return redact("".join(story.format()))


def _hide(story: Any, seen: set[int]) -> None:
    if story is None or id(story) in seen:
        return
    seen.add(id(story))
    story.stack = traceback.StackSummary.from_list(
        [
            traceback.FrameSummary(frame.filename, frame.lineno, frame.name, lookup_line=False, line="")
            if frame.filename in _hidden
            else frame
            for frame in story.stack
        ]
    )
    if getattr(story, "filename", None) in _hidden:  # of a SyntaxError
        story.text = None
    for other in (story.__cause__, story.__context__, *(getattr(story, "exceptions", None) or ())):
        _hide(other, seen)


def _reword(
    story: Any, error: BaseException | None, describe: Callable[[BaseException], str | None], seen: set[int]
) -> None:
    """Replace the texts of ``error`` and of its causes in ``story`` by their descriptions."""
    if story is None or error is None or id(story) in seen:
        return
    seen.add(id(story))
    reason = describe(error)
    if reason is not None:
        story._str = reason.removeprefix(f"{type(error).__name__}: ")
    _reword(story.__cause__, error.__cause__, describe, seen)
    _reword(story.__context__, error.__context__, describe, seen)
    inner = getattr(error, "exceptions", None) or ()
    for one, its_error in zip(getattr(story, "exceptions", None) or (), inner, strict=False):
        _reword(one, its_error, describe, seen)


def error_line(path: Path, error: BaseException) -> int | None:
    """Return the last line number of the file ``path`` in the traceback of ``error``, if any."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)


def describe_error_in(path: Path, error: BaseException, reason: str | None = None) -> str:
    """Return ``error`` as one line without secrets, with the line number in the project's file ``path``.

    :param reason: what to say instead of the text of the error.
    """
    line = error_line(path, error)
    text = describe_error(error) if reason is None else shorten_line(reason)
    return f"{text} ({path.parent.name}/{path.name}{f', line {line}' if line else ''})"


def describe_error(error: BaseException) -> str:
    """Return ``error`` as one line without secrets."""
    if isinstance(error, SyntaxError):
        return shorten_line(f"{type(error).__name__}: {error.msg}")
    # format_exception_only survives an error whose __str__ raises
    return shorten_line("".join(traceback.format_exception_only(error)))


def shorten_line(text: str) -> str:
    """Return ``text`` as one line without secrets, and without its end if it is long."""
    # Redact before whitespace is collapsed and the text is cut: part of a secret would not be found.
    text = " ".join(redact(text).split())
    text = text.partition(", full error: {")[0]  # a driver repeats the error there
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
