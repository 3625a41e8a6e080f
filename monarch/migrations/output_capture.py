"""What a migration prints, heard on the way to the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# So many characters are kept of the beginning of what is printed, and as many of its end.
_ENDS = 20_000
_END = "\n"


class OutputCapture:
    """Standard output, as it was, and what went through it as ``text``."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._first = ""
        self._last = ""
        self._cut = False

    @property
    def text(self) -> str:
        """What was printed; of a lot, its first lines and its last ones.

        Whole ones: a piece of a secret would not be found any more.
        """
        if not self._cut:
            return self._first + self._last
        return f"{self._first.rpartition(_END)[0]}\n[…]\n{self._last.partition(_END)[2]}"

    def write(self, text: str) -> int:
        """Write ``text``, and keep it."""
        written = self._out.write(text)
        room = _ENDS - len(self._first)
        self._first += text[:room]
        self._last += text[room:] if room > 0 else text
        if len(self._last) > _ENDS:
            self._last, self._cut = self._last[-_ENDS:], True
        return int(written)

    def writelines(self, lines: Any) -> None:
        """Write them all."""
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Leave it open: it is not the migration's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


@contextmanager
def heard() -> Iterator[OutputCapture]:
    """Hear what is printed while the context lasts."""
    before = sys.stdout
    echo = OutputCapture(before)
    sys.stdout = echo
    try:
        yield echo
    finally:
        sys.stdout = before
