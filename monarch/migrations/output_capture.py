"""Capturing what a migration prints, on its way to the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Characters of what is printed that are kept of its beginning, and of its end.
_ENDS = 20_000
_END = "\n"


class OutputCapture:
    """Standard output, which also keeps what is written to it as ``text``."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._first = ""
        self._last = ""
        self._cut = False

    @property
    def text(self) -> str:
        """What was printed; if it was too much, only the first and the last lines.

        Only whole lines: part of a secret would not be recognized as one.
        """
        if not self._cut:
            return self._first + self._last
        return f"{self._first.rpartition(_END)[0]}\n[…]\n{self._last.partition(_END)[2]}"

    def write(self, text: str) -> int:
        """Write and keep ``text``."""
        written = self._out.write(text)
        room = _ENDS - len(self._first)
        self._first += text[:room]
        self._last += text[room:] if room > 0 else text
        if len(self._last) > _ENDS:
            self._last, self._cut = self._last[-_ENDS:], True
        return int(written)

    def writelines(self, lines: Any) -> None:
        """Write and keep all ``lines``."""
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Do nothing: standard output does not belong to the migration."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


@contextmanager
def capture_output() -> Iterator[OutputCapture]:
    """Capture what is printed while the context lasts."""
    before = sys.stdout
    capture = OutputCapture(before)
    sys.stdout = capture
    try:
        yield capture
    finally:
        sys.stdout = before
