"""What the rules of a project print: it may hold values of people, so it is discarded.

Masks run in several threads while others show the progress, so this depends on who prints: the standard
streams pass on everything but what is printed in the context of `Printed.discard`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Printed:
    """What rules have printed; ``any`` if they have."""

    def __init__(self) -> None:
        self.any = False

    @contextmanager
    def discard(self) -> Iterator[None]:
        """Discard what is printed in this context, if `watch_streams` is active."""
        token = _printed.set(self)
        try:
            yield
        finally:
            _printed.reset(token)


_printed: ContextVar[Printed | None] = ContextVar("printed", default=None)


class _Stream:
    """A standard stream, or the bytes below it."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def write(self, data: Any) -> int:
        """Write ``data``, unless it is to be discarded."""
        printed = _printed.get()
        if printed is None:
            return int(self._out.write(data))
        printed.any = printed.any or bool(data)
        return len(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write all of ``lines``."""
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> _Stream:
        """The bytes below."""
        return _Stream(self._out.buffer)


@contextmanager
def watch_streams() -> Iterator[None]:
    """Let `Printed.discard` work for as long as the context lasts."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream(before[0]), _Stream(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
