"""``--quiet``, ``--verbose`` and ``--log-file`` of the command that runs. Unused, they import nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.commands.loudness.log_file import LogFile

# The last words of the names of loggers.
_KINDS = ("database", "store", "program")
# Of the process, like its standard streams: when an error is reported, the context of click is gone.
_arguments: tuple[str, ...] = ()
_quiet = _verbose = False
_file: LogFile | None = None


def begin(arguments: Sequence[str]) -> None:
    """Begin a command that was called with ``arguments``: as loud as usual."""
    global _arguments, _quiet, _verbose, _file
    _arguments, _quiet, _verbose, _file = tuple(arguments), False, False, None
    from monarch import log

    log.be_commanded(True)


def end(code: int) -> None:
    """End the command, which ends with the exit code ``code``."""
    global _quiet, _verbose, _file
    from monarch import log

    log.send_to(None)
    log.be_commanded(False)
    _quiet = _verbose = False
    if _file is not None:
        _file.end(code)
        _file = None


def be_quiet() -> None:
    """Print results, warnings and errors only.

    :raises UsageError: with ``--verbose``.
    """
    global _quiet
    _quiet = True
    _require_one()


def be_verbose() -> None:
    """Print what is done to servers and stores, and which programs are started.

    :raises UsageError: with ``--quiet``.
    """
    global _verbose
    _verbose = True
    _require_one()
    _listen()


def log_to(path: str) -> None:
    """Add what is printed, and what is done to servers and stores, to the file ``path``.

    :raises UsageError: if it cannot be written to.
    """
    global _file
    from monarch.commands.loudness.log_file import LogFile

    if _file is None or not _file.is_at(path):
        _file = LogFile(path, _arguments)
    _listen()


def is_quiet() -> bool:
    """Whether only results, warnings and errors are printed."""
    return _quiet


def for_worker() -> dict[str, bool]:
    """Return what a process that works for this command must know, to be passed to `work_for`."""
    return {"quiet": _quiet, "heard": _verbose or _file is not None}


def work_for(given: Mapping[str, bool]) -> None:
    """Be as loud as the command that this process works for, which takes the lines by `relay`."""
    global _quiet, _verbose
    from monarch import log

    log.be_commanded(True)
    _quiet, _verbose = given["quiet"], given["heard"]
    if _verbose:
        _listen()


def relay(label: str, line: str) -> bool:
    """Take a line that a process printed which works on the database ``label``, if it is one of the log."""
    kind, colon, text = line.partition(": ")
    if not (_verbose or _file is not None) or not colon or kind not in _KINDS:
        return False
    _hear(kind, f"[{label}] {text}")
    return True


def record(kind: str, text: str) -> None:
    """Add a line to the log file, if there is one. ``kind`` is its first word."""
    if _file is not None:
        _file.write(kind, text)


def _require_one() -> None:
    if _quiet and _verbose:
        raise UsageError("Both --quiet and --verbose are given.", "Use one of them.")


def _listen() -> None:
    from monarch import log

    log.send_to(_hear)


def _hear(logger: str, text: str) -> None:
    kind = logger.rpartition(".")[2]
    record(kind, text)
    if _verbose:
        from monarch.commands.looks.live_line import say

        with suppress(OSError, ValueError):  # nobody reads it any more; the work goes on
            say(text, f"{kind}:", "cyan")
