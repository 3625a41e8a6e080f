"""Processes that the project's code forks, which must not go on as if they were monarch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_this_process() -> Iterator[None]:
    """End a forked process that leaves the context: the rest is for its parent to do.

    It ends with 0, or with 1 if it raised an exception, and runs no handlers of its parent.
    """
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != process:
            error = sys.exc_info()[1]
            ended_well = error is None or (isinstance(error, SystemExit) and error.code in (None, 0))
            os._exit(0 if ended_well else 1)
