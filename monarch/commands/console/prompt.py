"""A Python prompt."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from monarch.commands.looks import silence

if TYPE_CHECKING:
    from code import InteractiveConsole

_INTERRUPTED = 130


def open_prompt(names: Mapping[str, object], banner: str) -> int:
    """Let a person type Python with the variables ``names``; without a terminal, run what stdin holds.

    :return: the exit code: 0, or what the person's code exits with.
    """
    from code import InteractiveConsole

    silence.end()
    console = InteractiveConsole(dict(names), filename="<stdin>")
    for name in ("SIGTERM", "SIGHUP"):  # the prompt catches what Ctrl-C raises, and goes on
        if (number := getattr(signal, name, None)) is not None:
            with suppress(ValueError):
                signal.signal(number, _leave)
    try:
        if not sys.stdin.isatty():
            return _run(console, sys.stdin.read())
        _complete(console.locals)
        console.interact(banner, exitmsg="")
    except SystemExit as end:
        return _code(end)
    return 0


def _run(console: InteractiveConsole, source: str) -> int:
    try:
        exec(compile(source, "<stdin>", "exec"), console.locals)
    except SystemExit:
        raise
    except Exception:  # the person's own code
        console.showtraceback()
        return 1
    return 0


def _leave(_: int, __: FrameType | None) -> None:
    raise SystemExit(_INTERRUPTED)


def _complete(names: Mapping[str, object]) -> None:
    with suppress(ImportError):  # Python may be built without it
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(dict(names)).complete)
        readline.parse_and_bind("tab: complete")


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1
