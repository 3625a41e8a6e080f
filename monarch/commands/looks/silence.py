"""How long something takes that says nothing: a line that counts, and without a terminal one now and then."""

from __future__ import annotations

import builtins
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from click import termui

from monarch.commands.console.terminal import is_dumb
from monarch.commands.console.text import duration
from monarch.commands.looks import live_line
from monarch.commands.loudness.levels import is_quiet

# In seconds: how often the line of a terminal is drawn again, and after which silence.
_EVERY = 1.0
_SOON = 1.5
# When a line is printed without a terminal; after the last of these, once more in each such time. Many CI
# systems end a job that is silent for ten minutes.
_MARKS = (30.0, 60.0, 120.0, 300.0)
# A mark passes without a line if another one was printed so shortly before.
_RECENT = 10.0
_INPUT = builtins.input


class Silence:
    """A work that may be silent. ``what`` is what it is called, ``line`` is its line in a terminal."""

    def __init__(self, what: str, line: Callable[[str], str]) -> None:
        self._what = what
        self._line = line
        self._began = self._spoken = time.monotonic()
        self._marks = list(_MARKS)
        self._open = False
        self._is_live = sys.stderr.isatty() and not is_dumb()

    def hear(self, text: str) -> None:
        """Something else is printed now."""
        self._spoken = time.monotonic()
        if text:  # print() writes its end separately, which may be empty
            # A line that has not ended yet may be a question.
            self._open = not text.endswith("\n")

    def tick(self) -> None:
        """Say how long it takes by now, if it is time to."""
        now = time.monotonic()
        if self._is_live:
            if not self._open and now - self._spoken >= _SOON and not _is_taken():
                live_line.draw(self._line(duration(now - self._began, whole=True)))
        elif now - self._began >= self._marks[0]:
            passed = self._marks.pop(0)
            self._marks = self._marks or [passed + _MARKS[-1]]
            if now - self._spoken >= _RECENT:
                took = duration(passed, whole=True)
                live_line.say(f"{self._what[:1].upper()}{self._what[1:]} for {took} …")


_work: Silence | None = None
_ticker: threading.Thread | None = None


def begin(what: str, line: Callable[[str], str] | None = None) -> None:
    """Something begins that may be silent, in place of what began before.

    :param what: what it is called, without a time: "waiting".
    :param line: returns its line in a terminal, given the time that it takes by now.
    """
    global _work, _ticker
    if is_quiet():
        return
    with live_line.lock:
        _work = Silence(what, line or (lambda took: f"{what} … {took}"))
        if _ticker is None:
            _ticker = threading.Thread(target=_tick, name="elapsed time", daemon=True)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_forget)
            _ticker.start()
        if builtins.input is _INPUT:
            builtins.input = _input
            termui.visible_prompt_func = _input


def end() -> None:
    """Nothing runs, or something that has the terminal to itself, such as a question."""
    global _work
    if _work is not None:
        with live_line.lock:
            _work = None
            live_line.erase()


def close() -> None:
    """The command ends."""
    end()
    if builtins.input is _input:
        builtins.input = _INPUT
        termui.visible_prompt_func = _INPUT


def hear(text: str) -> None:
    """The ``text`` is printed next, by whomever. It begins a line of its own."""
    if _work is not None:
        with live_line.lock:
            if not live_line.is_drawing():
                live_line.erase()
                _work.hear(text)


def drawn() -> None:
    """The line was drawn by whoever reports progress: it is not silent."""
    if _work is not None:
        _work.hear("")


def _input(prompt: object = "", /) -> str:
    """As Python's own, which writes its ``prompt`` past sys.stdout if both are a terminal."""
    hear(str(prompt) or "?")
    try:
        return _INPUT(prompt)
    finally:
        hear("\n")


def _is_taken() -> bool:
    """Whether a program reads the terminal in its own way, as editors, pagers and passwords do."""
    try:
        import termios

        flags = termios.tcgetattr(sys.stderr.fileno())[3]
    except Exception:  # not on this system; termios.error, which is no OSError
        return False
    return not (flags & termios.ICANON and flags & termios.ECHO)


def _tick() -> None:
    while True:
        time.sleep(_EVERY)
        if _work is not None:
            # Nobody may read it any more.
            with live_line.lock, suppress(OSError, ValueError):
                if _work is not None:
                    _work.tick()


def _forget() -> None:
    """In a forked process, which has no other threads and may have inherited a lock that is held."""
    global _work, _ticker
    _work = _ticker = None
    live_line.lock = threading.RLock()
