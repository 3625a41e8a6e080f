"""What a migration prints, on its way to the terminal: it is kept, and it never makes the migration fail."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Characters of what is printed that are kept of its beginning, and of its end.
_ENDS = 20_000
_END = "\n"


class OutputCapture:
    """What was printed while one migration ran."""

    def __init__(self) -> None:
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

    def keep(self, text: str) -> None:
        """Add ``text``."""
        room = _ENDS - len(self._first)
        self._first += text[:room]
        self._last += text[room:] if room > 0 else text
        if len(self._last) > _ENDS:
            self._last, self._cut = self._last[-_ENDS:], True


# The captures of the migrations that run, the innermost last.
_captures: list[OutputCapture] = []


class _Stream(io.TextIOBase):
    """A standard stream that does not fail, and does not end.

    What ``out`` cannot encode is escaped, what it does not take is dropped. A log handler may hold this
    stream when its migration is over, or a new one may be made of its ``buffer``: closing or detaching it
    does nothing to ``out``. ``hear`` is called with each text before it is written.
    """

    def __init__(self, out: Any, hear: Callable[[str], object], *, kept: bool) -> None:
        self._out = out
        self._hear = hear
        self._kept = kept
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        """Write ``text``, and keep it for the migration that runs."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with suppress(OSError, ValueError):  # a closed pipe, a full disk, a closed file
            self._hear(text)
            try:
                self._out.write(text)
            except UnicodeEncodeError:
                encoding = getattr(self._out, "encoding", None) or "ascii"
                self._out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        if self._kept and _captures:
            _captures[-1].keep(text)
        return len(text)

    def flush(self) -> None:
        """Write what ``out`` has buffered."""
        with suppress(OSError, ValueError):
            self._out.flush()

    def close(self) -> None:
        """Do nothing: a standard stream does not belong to the migration."""

    def detach(self) -> Any:
        """Return the buffer, which stays usable."""
        return self.buffer

    def reconfigure(self, **_: Any) -> None:
        """Do nothing: this stream takes every character."""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        with suppress(OSError, ValueError):
            return bool(self._out.isatty())
        return False

    def fileno(self) -> int:
        return int(self._out.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._out, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def closed(self) -> bool:
        return False


class _Bytes(io.BufferedIOBase):
    """The bytes below a `_Stream`, which are UTF-8 or in its encoding."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: Any) -> int:
        data = bytes(data)
        self._stream.write(self._decoder.decode(data))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        """Do nothing, as the stream."""

    def detach(self) -> Any:
        return self

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def raw(self) -> Any:
        return self

    @property
    def closed(self) -> bool:
        return False


@contextmanager
def capture_output(hear: Callable[[str], object] = len) -> Iterator[OutputCapture]:
    """Capture what is printed while the context lasts, and put the standard streams back afterwards.

    ``hear`` is called with each text before it is printed.
    """
    before = sys.stdout, sys.stderr
    capture = OutputCapture()
    sys.stdout = _Stream(before[0], hear, kept=True)
    sys.stderr = _Stream(before[1], hear, kept=False)
    _captures.append(capture)
    try:
        yield capture
    finally:
        _captures.remove(capture)
        sys.stdout, sys.stderr = before
