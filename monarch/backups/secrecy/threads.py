"""A thread for a function that reads all of its input and writes all of its output, as pyrage has them.

Only that function runs in the thread: the caller feeds the input and takes the output, so that stores are
used, and their errors and Ctrl-C raised, where they always are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

# Bytes of input that wait for the thread, and the size of the pieces in which its output is passed on.
_WAITING, _PIECE = 4 << 20, 256 << 10


class ThreadInput(Protocol):
    """The input of the function."""

    def read(self, size: int, /) -> bytes:
        """Return 1 to ``size`` bytes, or b"" at the end."""


class ThreadOutput(Protocol):
    """The output of the function."""

    def write(self, data: bytes, /) -> int:
        """Take all of ``data``; return its length."""

    def flush(self) -> None:
        """Do nothing."""


class StreamThread:
    """Runs ``work(reader, writer)`` in a thread, which ends with `stop`.

    The output that waits is limited by the input: the caller takes one before it feeds more of the other.
    """

    def __init__(self, work: Callable[[ThreadInput, ThreadOutput], object]) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._input: deque[bytes] = deque()
        self._held = 0
        self._closed = self._stopped = False
        self._output: list[bytes] = []
        self._running = True
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def hungry(self) -> bool:
        """Whether there is room for more input."""
        with self._changed:
            return self._has_room()

    @property
    def finished(self) -> bool:
        """Whether the function has ended, and all of its output is there."""
        with self._changed:
            return not self._running

    def feed(self, data: bytes) -> None:
        """Add ``data`` to the input, as soon as there is room.

        Raises what the function has raised.
        """
        with self._changed:
            while self._held >= _WAITING and self._running:
                self._changed.wait()
            self._raise_failure()
            self._input.append(data)
            self._held += len(data)
            self._changed.notify_all()

    def close(self) -> None:
        """End the input."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> bytes:
        """Return the output that is there, or b"".

        Raises what the function has raised, once all of its output was taken.
        """
        with self._changed:
            taken, self._output = b"".join(self._output), []
            if not taken:
                self._raise_failure()
            return taken

    def wait(self) -> None:
        """Wait until there is output, or room for more input, or the function has ended."""
        with self._changed:
            while self._running and not self._output and not self._has_room():
                self._changed.wait()

    def stop(self) -> None:
        """End the function, which may have to be in the middle of its input, and wait for its thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _has_room(self) -> bool:
        return self._running and self._held < _WAITING and not self._closed

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        pipe = _Pipe(self._next, self._pass_on)
        failure: BaseException | None = None
        try:
            self._work(pipe, pipe)
        except BaseException as error:
            failure = error
        pipe.pass_on()
        with self._changed:
            self._failure = failure
            self._running = False
            self._changed.notify_all()

    def _next(self) -> bytes:
        """Return the next piece of the input, b"" at its end."""
        with self._changed:
            while not self._input and not self._closed and not self._stopped:
                self._changed.wait()
            if self._stopped:
                raise EOFError("stopped")
            if not self._input:
                return b""
            data = self._input.popleft()
            self._held -= len(data)
            self._changed.notify_all()
            return data

    def _pass_on(self, pieces: list[bytes]) -> None:
        with self._changed:
            self._output += pieces
            self._changed.notify_all()


class _Pipe:
    """What the function reads and writes: in many small pieces, so most calls take no lock."""

    def __init__(self, next_piece: Callable[[], bytes], pass_on: Callable[[list[bytes]], None]) -> None:
        self._next_piece = next_piece
        self._pass_on = pass_on
        self._data = b""
        self._place = 0
        self._written: list[bytes] = []
        self._size = 0

    def read(self, size: int, /) -> bytes:
        if self._place == len(self._data):
            self.pass_on()
            self._data, self._place = self._next_piece(), 0
        data = self._data[self._place : self._place + size]
        self._place += len(data)
        return data

    def write(self, data: bytes, /) -> int:
        self._written.append(data)
        self._size += len(data)
        if self._size >= _PIECE:
            self.pass_on()
        return len(data)

    def flush(self) -> None:
        pass

    def pass_on(self) -> None:
        """Give what was written to the caller's thread."""
        if self._written:
            self._pass_on(self._written)
            self._written, self._size = [], 0
