"""Errors as text: whole tracebacks and one line, without secrets and without the lines of the settings.

A line of the settings may contain a password. It is left out where a traceback or a warning is formatted;
the file keeps its name, so that `inspect`, `pickle` and libraries that look at frames find what they expect.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from monarch.system.secrets import redact

# Files whose lines are never shown.
_hidden: set[str] = set()
_format_warning = warnings.formatwarning
_LONGEST = 300
# Returns what to say instead of the text of an error that quotes documents; None if its text may be shown.
Describe = Callable[[BaseException], str | None]


def hide_lines_of(path: Path) -> None:
    """Never show a line of the file ``path``, neither in a traceback nor in a warning of Python."""
    _hidden.add(str(path))
    warnings.formatwarning = _without_hidden_line


def _without_hidden_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    text = _format_warning(message, category, filename, lineno, "" if filename in _hidden else line)
    return redact(text)


def format_traceback(error: BaseException, describe: Describe) -> str:
    """Return the whole traceback of ``error``, with its causes, described by ``describe``."""
    story = traceback.TracebackException.from_exception(error)
    _hide(story, set())
    _reword(story, error, describe, set())
    return redact(_without_quotations("".join(story.format()), error, describe))


def described(error: BaseException, describe: Describe) -> str | None:
    """Return ``describe(error)``; only the type of ``error`` if that raises."""
    try:
        return describe(error)
    except Exception:  # of an error that is not as its driver makes it; its own text may quote documents
        return type(error).__name__


def _without_quotations(text: str, error: BaseException, describe: Describe) -> str:
    """Replace the texts of ``error`` and of its causes in ``text``, which others of them may quote."""
    for one in _with_causes(error, set()):
        reason = described(one, describe)
        if reason is not None:
            own = _text_of(one)
            if own:
                text = text.replace(own, reason.removeprefix(f"{type(one).__name__}: "))
    return text


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def _with_causes(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for other in (error.__cause__, error.__context__, *(getattr(error, "exceptions", None) or ())):
        yield from _with_causes(other, seen)


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


def _reword(story: Any, error: BaseException | None, describe: Describe, seen: set[int]) -> None:
    """Replace the texts of ``error`` and of its causes in ``story`` by their descriptions."""
    if story is None or error is None or id(story) in seen:
        return
    seen.add(id(story))
    reason = described(error, describe)
    if reason is not None:
        story._str = reason.removeprefix(f"{type(error).__name__}: ")
    _reword(story.__cause__, error.__cause__, describe, seen)
    _reword(story.__context__, error.__context__, describe, seen)
    inner = getattr(error, "exceptions", None) or ()
    for one, its_error in zip(getattr(story, "exceptions", None) or (), inner, strict=False):
        _reword(one, its_error, describe, seen)


def _as_it_is(_: BaseException) -> None:
    """Describe no error: its own text may be shown."""


def error_line(path: Path, error: BaseException) -> int | None:
    """Return the last line number of the file ``path`` in the traceback of ``error``, if any."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)


def describe_error_in(
    path: Path, error: BaseException, describe: Describe = _as_it_is, *, shown: str | None = None
) -> str:
    """Return ``error`` as one line without secrets, with the line number in the project's file ``path``.

    :param shown: what the file is called; by default its name and that of its folder.
    """
    line = error_line(path, error)
    text = describe_error(error, describe)
    shown = shown or f"{path.parent.name}/{path.name}"
    return f"{text} ({shown}{f', line {line}' if line else ''})"


def describe_error(error: BaseException, describe: Describe = _as_it_is) -> str:
    """Return ``error`` as one line without secrets, described by ``describe``."""
    reason = described(error, describe)
    if reason is not None:
        return shorten_line(reason)
    if isinstance(error, SyntaxError):
        return shorten_line(f"{type(error).__name__}: {error.msg}")
    # format_exception_only survives an error whose __str__ raises
    text = "".join(traceback.format_exception_only(error))
    return shorten_line(_without_quotations(text, error, describe))


def shorten_line(text: str) -> str:
    """Return ``text`` as one line without secrets, and without its end if it is long."""
    # Redact before whitespace is collapsed and the text is cut: part of a secret would not be found.
    text = " ".join(redact(text).split())
    text = text.partition(", full error: {")[0]  # a driver repeats the error there
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
