"""Ctrl-C, SIGTERM and SIGHUP: turned into `KeyboardInterrupt`, or deferred until work is done.

Only the main thread of a process can install signal handlers. In any other thread both contexts install
none, and the program that embeds monarch handles its own signals. `signal` is imported where it is used:
``--help`` loads this module and does not need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_received: list[str] = []


def was_signalled() -> bool:
    """Return whether a signal came since `signals_as_interrupts` began, even one that code swallowed."""
    return bool(_received)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP as on Ctrl-C, so that the stack unwinds and cleans up."""
    import signal

    def interrupt(number: int, _: Any) -> None:
        _received.append(signal.Signals(number).name)
        raise KeyboardInterrupt(signal.Signals(number).name)

    _received.clear()
    with _handled_by(interrupt):
        yield


@contextmanager
def defer_signals() -> Iterator[list[int]]:
    """Ignore signals while the context lasts, so that its work is done whole.

    :return: a list that gets each signal that comes meanwhile. The caller decides what to do about it.
    """
    received: list[int] = []

    def note(number: int, _: Any) -> None:
        received.append(number)

    with _handled_by(note):
        yield received


@contextmanager
def _handled_by(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Install ``handler`` for every signal that this process does not ignore, and put the old ones back."""
    import signal

    previous: dict[int, Any] = {}
    try:
        for name in _SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, handler)
    except ValueError:  # not in the main thread
        pass
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
