"""Work that is not to be cut short by Ctrl-C, because what is left of it then cannot be told."""

from __future__ import annotations

import threading
from collections.abc import Callable


def run_to_its_end(work: Callable[[], None]) -> bool:
    """Do ``work``, and return whether Ctrl-C (or what the caller makes of other signals) came meanwhile.

    It is done in a thread: signals reach the main one, which waits. What ``work`` raises is raised.
    """
    failures: list[BaseException] = []
    done = threading.Event()

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    interrupted = False
    threading.Thread(target=guarded, name="monarch swap", daemon=True).start()
    # Not by joining the thread: a join that Ctrl-C interrupts takes it for ended.
    while not done.is_set():
        try:
            done.wait()
        except KeyboardInterrupt:
            interrupted = True
    if failures:
        raise failures[0]
    return interrupted
