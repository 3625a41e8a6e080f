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
# What each thread that forks had blocked before, by its identifier. Exceptions are lost while it forks.
_blocked: dict[int, set[Any]] = {}
# The signals that came while the main thread forked.
_late: list[int] = []
# Seconds after which they are sent again: the fork is over then.
_AGAIN = 0.01


def was_signalled() -> bool:
    """Return whether a signal came since `signals_as_interrupts` began, even one that code swallowed."""
    return bool(_received)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP as on Ctrl-C, so that the stack unwinds and cleans up."""
    import signal
    import threading

    def interrupt(number: int, _: Any) -> None:
        _received.append(signal.Signals(number).name)
        if threading.get_ident() in _blocked:
            _late.append(number)
            return
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

    this = threading.get_ident()
    _blocked[this] = set()  # from now on no handler raises
    handled = {number for previous in _replaced for number in previous}
    _blocked[this] = signal.pthread_sigmask(signal.SIG_BLOCK, handled)


def _release() -> None:
    """Let the signals of the parent through again, and repeat those that came meanwhile."""
    import signal
    import threading

    _unblock()
    while _late:
        # Sent to this thread, so that it wakes up whatever it waits for.
        again = (threading.get_ident(), _late.pop())
        threading.Timer(_AGAIN, signal.pthread_kill, again).start()


def _restore() -> None:
    """Put back in a child what all open contexts have replaced, then let signals through."""
    import signal

    _late.clear()  # they were for the parent
    try:
        with suppress(ValueError, TypeError):  # forked by a thread, or a handler that is not Python's
            for previous in reversed(_replaced):
                for number, old in previous.items():
                    signal.signal(number, old)
    finally:
        _unblock()


def _unblock() -> None:
    import signal
    import threading

    this = threading.get_ident()
    if this in _blocked:
        signal.pthread_sigmask(signal.SIG_SETMASK, _blocked[this])
        _blocked.pop(this)
