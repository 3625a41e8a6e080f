"""Do something with each database of an environment, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from monarch.databases.environment import Environment
from monarch.errors import MonarchError, RunInterrupted

Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What became of one database: the ``result``, the ``error``, or both if it failed after it was done."""

    environment: Environment
    result: Result | None
    error: MonarchError | None
    seconds: float


def do_each(
    members: Iterable[Environment],
    run: Callable[[Environment], Result],
    report: Callable[[Done[Result]], None],
) -> tuple[Done[Result], ...]:
    """Call ``run`` with each of ``members``, also after one has failed; ``report`` gets each result at once.

    :raises RunInterrupted: on Ctrl-C: the rest is not begun.
    """
    found = []
    for member in members:
        began = time.monotonic()
        result, error = None, None
        try:
            result = run(member)
        except RunInterrupted:
            raise
        except MonarchError as failed:
            result, error = failed.result, failed
        found.append(Done(member, result, error, time.monotonic() - began))
        report(found[-1])
    return tuple(found)


class SomeFailed(MonarchError):
    """Some of several databases failed. The exit code is the one that all failures have, or 1."""

    def __init__(self, message: str, hint: str | None, errors: Iterable[MonarchError]) -> None:
        super().__init__(message, hint)
        codes = {error.exit_code for error in errors}
        self.exit_code = codes.pop() if len(codes) == 1 else 1
