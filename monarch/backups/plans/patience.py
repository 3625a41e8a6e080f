"""Work that a command waits for only for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from monarch.errors import MonarchError, StoreError
from monarch.progress import SILENT, Progress
from monarch.system.secrets import redact

# How long a store, or a server, may take before a question.
PATIENCE = 5.0
# How long for a plan that no question follows.
UNHURRIED = 30.0
# A silence of this length is explained.
_AT_ONCE = 1.0

_Result = TypeVar("_Result")


def describe(error: MonarchError) -> str:
    """Return why something is not known, as a part of a sentence, without secrets."""
    return redact(error.message.rstrip("."))


class InTime(Generic[_Result]):
    """Does ``work``, which reads the store of backups, in the background, for ``seconds`` from now.

    ``progress`` learns if somebody waits long for the result.
    """

    def __init__(self, work: Callable[[], _Result], seconds: float, progress: Progress = SILENT) -> None:
        self._seconds, self._progress = seconds, progress
        self._until = time.monotonic() + seconds
        self._results: list[_Result] = []
        self._error: MonarchError | None = None
        # A daemon: a store that does not answer must not keep the command from ending.
        self._thread = threading.Thread(target=self._run, args=(work,), name="monarch-plan", daemon=True)
        self._thread.start()

    def result(self) -> _Result:
        """Return the result, after waiting for the rest of the seconds.

        :raises StoreError: if there is none by then.
        :raises MonarchError: if the work has failed.
        """
        self._thread.join(min(_AT_ONCE, self._left()))
        if self._thread.is_alive() and self._left():
            self._progress.waiting("the store of backups has not answered yet")
            self._thread.join(self._left())
        if self._results:
            return self._results[0]
        raise self._error or StoreError(f"BACKUPS could not be read within {self._seconds:g} s.")

    def _left(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def _run(self, work: Callable[[], _Result]) -> None:
        try:
            self._results.append(work())
        except MonarchError as error:
            self._error = error
        except BaseException as error:  # of a library of the store or of age, whose panics are no `Exception`
            self._error = StoreError(f"BACKUPS cannot be read: {type(error).__name__}.")
