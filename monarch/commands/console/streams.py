"""The standard streams of the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO


def open_missing_streams() -> None:
    """Open an empty stream for each standard stream that the process was started without.

    Otherwise the next file or socket that is opened would get its number, and what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Open until the process ends. Not by pathlib, whose import would slow down --help.
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115


def settle_stdout() -> None:
    """Flush stdout. If that fails, keep the interpreter from failing on it again at its end."""
    try:
        sys.stdout.flush()
    except ValueError:  # a migration has closed it
        pass
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Standard output for what a program reads; everything else that is printed goes to standard error.

    That includes the output of programs that a migration starts.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(sys.stdout.fileno())
    except (OSError, ValueError):  # not a file, as in tests
        out = sys.stdout
        with redirect_stdout(sys.stderr):
            yield out
        return
    number = sys.stdout.fileno()
    with os.fdopen(kept, "w", encoding="utf-8") as out:
        os.dup2(sys.stderr.fileno(), number)
        try:
            yield out
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            with suppress(OSError):
                out.flush()
            os.dup2(out.fileno(), number)


@contextmanager
def prints_aside(as_json: bool) -> Iterator[None]:
    """If the output is JSON, send what a query set prints to stderr.

    Also restores the standard streams, which a query set may replace.
    """
    stdout, stderr = sys.stdout, sys.stderr
    if as_json:
        sys.stdout = stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = stdout, stderr
