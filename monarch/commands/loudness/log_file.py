"""The file of ``--log-file``: a line for everything, with its time."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from shlex import join

from monarch.commands.console.text import duration
from monarch.commands.looks.live_line import say
from monarch.errors import UsageError
from monarch.log import one_line
from monarch.system.secrets import MASK, redact
from monarch.version import __version__

# An argument with a value that is a person's business, such as the answer to a query set.
_ANSWER = re.compile(r"((?:--option=|(?!--))[^=]*=).*", re.DOTALL)


class LogFile:
    """The file at ``path``, to which lines are appended, each at once: several processes may use it.

    It is made readable for this user only. If it cannot be written to any more, as on a full disk, a note
    says so once, and the command goes on.

    :raises UsageError: if it cannot be opened.
    """

    def __init__(self, path: str, arguments: Sequence[str]) -> None:
        self._path = path
        self._began = time.monotonic()
        self._number = _open(path)
        self._identity = os.fstat(self._number)
        # Written with the first line: which values in it are secrets is known when the settings are read.
        self._heading: tuple[datetime, Sequence[str]] | None = (datetime.now(UTC), arguments)

    def is_at(self, path: str) -> bool:
        """Whether ``path`` is this file."""
        with suppress(OSError):
            return os.path.samestat(self._identity, os.stat(path))  # noqa: PTH116 - pathlib is slow to import
        return False

    def write(self, kind: str, text: str) -> None:
        """Add a line, without secrets."""
        if self._heading is not None:
            (when, arguments), self._heading = self._heading, None
            self._add("command", f"{_outline(arguments)} (monarch {__version__})", when)
        self._add(kind, text, datetime.now(UTC))

    def end(self, code: int) -> None:
        """Add how the command ended, and close the file."""
        self.write("command", f"exit code {code}, after {duration(time.monotonic() - self._began)}")
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def _add(self, kind: str, text: str, when: datetime) -> None:
        moment = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = f"{moment} {os.getpid()} {kind}: {one_line(redact(text))}\n"
        rest = line.encode("utf-8", "backslashreplace")
        try:
            while rest and self._number >= 0:
                rest = rest[os.write(self._number, rest) :]
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        with suppress(OSError):
            os.close(self._number)
        self._number = -1
        with suppress(OSError, ValueError):
            say(f"Note: Nothing more is written to the log file {self._path}: {error.strerror}.")


def _open(path: str) -> int:
    # A pipe that nobody reads would wait for its reader.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        number = os.open(path, flags, 0o600)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            f"The log file {path!r} cannot be opened: {why}. Nothing was done.",
            "Name a file in a folder that exists and that you may write to.",
        ) from None
    if not stat.S_ISREG(os.fstat(number).st_mode):  # wait for its reader, as for that of stderr
        os.set_blocking(number, True)
    return number


def _outline(arguments: Sequence[str]) -> str:
    """Return the command line without the values of options of query sets."""
    return join(["monarch", *(_ANSWER.sub(rf"\1{MASK}", argument) for argument in arguments)])
