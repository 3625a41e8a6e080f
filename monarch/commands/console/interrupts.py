"""Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_seen: list[str] = []


def was_signalled() -> bool:
    """Whether Ctrl-C, SIGTERM or SIGHUP came, even if a bare ``except`` of a migration has swallowed it."""
    return bool(_seen)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that runs are recorded and cleaned up."""
    import signal

    def interrupt(number: int, _: Any) -> None:
        _seen.append(signal.Signals(number).name)
        raise KeyboardInterrupt(signal.Signals(number).name)

    _seen.clear()
    previous: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        try:
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, interrupt)
        except ValueError:  # not in the main thread: the embedding program handles signals
            break
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
