"""Running a project's own code without being kept by it, and without leaving a trace of it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType

# Seconds that a file may take to load.
LONGEST = 10.0


@contextmanager
def careful(seconds: float = LONGEST) -> Iterator[None]:
    """Let the code in the context print to stderr only, write no ``.pyc``, and take no more than ``seconds``.

    Then a TimeoutError is raised in it, if this is the main thread and the system has such an alarm.
    """
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        with redirect_stdout(sys.stderr), _alarm(seconds):
            yield
    finally:
        sys.dont_write_bytecode = before


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"it had not ended after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    # Again and again: the code may catch it, and try once more.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
