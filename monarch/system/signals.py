"""Ctrl-C, SIGTERM and SIGHUP: turned into `KeyboardInterrupt`, or deferred until work is done.

Only the main thread of a process can install signal handlers. In any other thread both contexts install
none, and the program that embeds monarch handles its own signals. `signal` is imported where it is used:
``--help`` loads this module and does not need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_received: list[str] = []
# What the contexts that are open have replaced, the outermost first.
_replaced: list[dict[int, Any]] = []
_resets_children = False
# The signals that each thread blocked before it began to fork, by its identifier.
_blocked: dict[int, set[Any]] = {}


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
    """Install ``handler`` for every signal that this process does not ignore, and put the old ones back.

    A process that is forked meanwhile gets the old ones: a worker of a pool that turned SIGTERM into an
    exception would not end when its pool does.
    """
    import signal

    _reset_children()
    previous: dict[int, Any] = {}
    _replaced.append(previous)
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
        _replaced.remove(previous)
        for number, old in previous.items():
            signal.signal(number, old)


def _reset_children() -> None:
    global _resets_children
    if _resets_children:
        return
    import os

    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_restore)
    _resets_children = True


def _hold() -> None:
    """Hold signals back until a fork is complete.

    Python discards what a new process receives before it has put its own state in order. A pool that ends
    its workers at once would wait for such a worker forever.
    """
    import signal
    import threading

    handled = {number for previous in _replaced for number in previous}
    _blocked[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, handled)


def _release() -> None:
    import signal
    import threading

    signal.pthread_sigmask(signal.SIG_SETMASK, _blocked.pop(threading.get_ident()))


def _restore() -> None:
    """Put back what all open contexts have replaced, then let signals through."""
    import signal

    with suppress(ValueError):  # forked by a thread: Python accepts handlers from the main thread only
        for previous in reversed(_replaced):
            for number, old in previous.items():
                signal.signal(number, old)
    _release()
