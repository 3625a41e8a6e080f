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

# Of an option of a query set, which may be anything of anybody: what comes before it, or begins with it.
_BEFORE = re.compile(r"--option|-[A-Za-z]*o")
# How a line of a log file begins, and how much of the end of one is read: some lines are long.
_LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d+ [a-z]+: ")
_END = 65_536
_ATTACHED = re.compile(r"--option=|-[A-Za-z]*?o(?=[^=]+=)")
# A shorter value is in any text by chance.
_SHORTEST = 4


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
        shown, self._answers = _without_answers(arguments)
        self._heading: tuple[datetime, str] | None = (datetime.now(UTC), join(["monarch", *shown]))

    def is_at(self, path: str) -> bool:
        """Whether ``path`` is this file."""
        with suppress(OSError):
            return os.path.samestat(self._identity, os.stat(path))  # noqa: PTH116 - pathlib is slow to import
        return False

    def write(self, kind: str, text: str) -> None:
        """Add a line, without secrets."""
        heading, self._heading = self._heading, None
        if heading is not None:
            self._add("command", f"{heading[1]} (monarch {__version__})", heading[0])
        self._add(kind, text, datetime.now(UTC))

    def end(self, code: int) -> None:
        """Add how the command ended, and close the file."""
        self.write("command", f"exit code {code}, after {duration(time.monotonic() - self._began)}")
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def _add(self, kind: str, text: str, when: datetime) -> None:
        moment = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for answer in self._answers:  # an error may quote it
            text = text.replace(answer, MASK)
        line = f"{moment} {os.getpid()} {kind}: {one_line(redact(text))}\n"
        rest = line.encode("utf-8", "backslashreplace")
        try:
            if self._number >= 0 and not os.path.samestat(os.fstat(self._number), self._identity):
                # A migration has closed it, and opened another file, which must not get our lines.
                self._number = -1
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
    found = os.fstat(number)
    if stat.S_ISREG(found.st_mode) and found.st_size and not _is_log(path, found.st_size):
        os.close(number)
        raise UsageError(
            f"{path!r} is there already, and is no log file of monarch. Nothing was done.",
            "Name a new file, or one that monarch has written as a log file.",
        )
    if not stat.S_ISREG(found.st_mode):  # wait for its reader, as for that of stderr
        os.set_blocking(number, True)
    return number


def _is_log(path: str, size: int) -> bool:
    """Whether the last line of a file is one of a log file, or whether that cannot be read."""
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:  # it may be written to, but not read
        return True
    try:
        end = os.pread(number, _END, max(0, size - _END))
    finally:
        os.close(number)
    *_, last = end.removesuffix(b"\n").split(b"\n")
    return len(last) == len(end.removesuffix(b"\n")) == _END or _LINE.match(last) is not None


def _without_answers(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments without the values of options of query sets, and these values."""
    shown: list[str] = []
    answers: list[str] = []
    follows = False
    for number, argument in enumerate(arguments):
        if argument == "--" and "shell" in arguments[:number]:  # statements, for example
            return [*shown, "--", MASK], answers
        if follows or _ATTACHED.match(argument):
            start = 0 if follows else len(_ATTACHED.match(argument)[0])  # type: ignore[index]
            name, equals, value = argument[start:].partition("=")
            shown.append(f"{argument[:start]}{name}{equals}{MASK if equals else ''}")
            answers += [value] if len(value) >= _SHORTEST else []
        else:
            shown.append(argument)
        follows = not follows and _BEFORE.fullmatch(argument) is not None
    return shown, answers
