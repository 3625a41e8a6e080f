"""One thing that was looked at, and looking at several that may fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from monarch.errors import AccessDenied, MonarchError, ServerError


class Health(Enum):
    """How well something is. Only with OK and SKIPPED everywhere all is well."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Observation:
    """One thing that was looked at: ``message`` says what was found, ``hint`` what to do.

    ``code`` is the exit code that a problem leads to. ``version`` is that of the server, if this is about it.
    """

    check: str
    state: Health
    message: str
    hint: str | None = None
    code: int = ServerError.exit_code
    version: str | None = None


Check = Callable[[], Observation | None]


def of_error(check: str, error: MonarchError) -> Observation:
    """Return the observation that ``check`` ended with ``error``."""
    return Observation(check, Health.PROBLEM, error.message, error.hint, error.exit_code)


def observe(checks: Iterable[tuple[str, Check]], seconds: float) -> Iterator[Observation]:
    """Yield what each of ``checks`` finds; those that have nothing to say return None.

    One that fails does not end the others, unless it is the first: then nothing can be asked. What there is
    no time for after ``seconds`` is skipped. What the user may not ask is skipped too.
    """
    end = time.monotonic() + seconds
    for number, (name, check) in enumerate(checks):
        if time.monotonic() > end:
            yield Observation(name, Health.SKIPPED, "The server is too slow, so this was not asked.")
            continue
        try:
            found = check()
        except AccessDenied as error:
            state = Health.SKIPPED if number else Health.PROBLEM
            found = replace(of_error(name, error), state=state)
        except MonarchError as error:
            found = of_error(name, error)
        if found is not None:
            yield found
            if number == 0 and found.state is Health.PROBLEM:
                return
