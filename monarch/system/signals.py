"""Work that no signal may cut short, because what is left of it then could not be told."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def run_to_its_end(work: Callable[[], None]) -> bool:
    """Do ``work``; Ctrl-C, SIGTERM and SIGHUP are noted meanwhile, and do nothing else.

    :return: whether one came.
    """
    seen: list[int] = []

    def note(number: int, _: Any) -> None:
        seen.append(number)

    previous: dict[int, Any] = {}
    try:
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, note)
    except ValueError:  # not in the main thread, where none of them is raised
        pass
    try:
        work()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return bool(seen)
