"""The only place that starts a program."""

from __future__ import annotations

import contextlib
import io
import os
import select
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from monarch.errors import ServerError
from monarch.system.secrets import Secret, redact

# How long a program that was told to end may take, and how often one that waits looks around.
_PATIENCE = 5.0
_LOOK_EVERY = 2.0
_MOMENT = 1.0
_PIPE_BYTES = 1 << 20
_WHILE_IT_READS = 0.004  # then a tenth of a wide pipe has room, at 25 MB/s
_LINES_KEPT = 200
# In an argument, these become the name of a file. No argument of a program can have a NUL in it.
CONFIG_FILE, QUERY_FILE = "\0config", "\0query"


def start_server(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a server that writes what it has to say into ``log``, which begins afresh.

    It gets a session of its own: Ctrl-C in the terminal is for monarch, which stops it in order.

    :raises ServerError: if the program cannot be started at all.
    """
    try:
        with log.open("wb") as output:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise _not_started(arguments[0], error) from error


def run_on_terminal(arguments: Sequence[str], folder: Path) -> int:
    """Run a program in ``folder`` on this terminal, and return its exit code."""
    return subprocess.run(arguments, cwd=folder, check=False).returncode


def run_quietly(arguments: Sequence[str], seconds: float = 30.0) -> str:
    """What a program prints that needs nothing but a moment; empty if it fails.

    :raises ServerError: if it cannot be started.
    """
    try:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    except OSError as error:
        raise _not_started(arguments[0], error) from error
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


class Tool:
    """A program that runs beside us and has a stream of ours as its input or its output.

    ``config`` reaches it as a file that is a pipe: its name, which no other process can open, stands in
    place of `CONFIG_FILE` in the ``arguments``; so nothing of it is in the process list or on the
    disk. So does ``query``, in place of `QUERY_FILE`; that may be long, and is a file without a name.

    ``hear`` gets every line that it writes to stderr, redacted, in a thread of its own. While one waits for
    the program, ``alive`` is called every few seconds; what it raises ends the wait.

    :raises ServerError: if it cannot be started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        config: Secret,
        *,
        takes_input: bool,
        hear: Callable[[str], None],
        alive: Callable[[], None],
        query: str | None = None,
    ) -> None:
        self.name = Path(arguments[0]).name
        self._hear = hear
        self._alive = alive
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        with ExitStack() as opened:
            try:
                files = {CONFIG_FILE: _pipe_with(config.reveal(), opened)}
                if query is not None:
                    files[QUERY_FILE] = _file_with(query, opened)
                self._process = subprocess.Popen(
                    [_with_file(argument, files) for argument in arguments],
                    stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL if takes_input else subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    pass_fds=tuple(files.values()),
                    # Ctrl-C in the terminal is for monarch, which stops it in order.
                    start_new_session=True,
                )
            except OSError as error:
                raise _not_started(arguments[0], error) from error
        self._stream = self._process.stdin if takes_input else self._process.stdout
        assert self._stream is not None
        os.set_blocking(self._stream.fileno(), False)
        self._wide = _widen(self._stream.fileno())
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes of its output; none when it has closed that."""
        assert self._stream is not None
        while True:
            if select.select([self._stream], [], [], _LOOK_EVERY)[0]:
                return self._stream.read(size) or b""
            self._alive()

    def write(self, data: bytes) -> None:
        """Give it all of ``data``.

        :raises BrokenPipeError: if it takes nothing any more.
        """
        assert self._stream is not None
        rest = memoryview(data)
        while rest:
            if select.select([], [self._stream], [], _LOOK_EVERY)[1]:
                rest = rest[self._stream.write(rest) or 0 :]
                if rest and self._wide:
                    # It is full. Some read by 8 kB: to be woken for each of them costs more than it helps.
                    time.sleep(_WHILE_IT_READS)
            else:
                self._alive()

    def close(self) -> None:
        """There is no more input."""
        assert self._stream is not None
        self._stream.close()

    def wait(self) -> int:
        """Its exit code, once it has ended and all that it said has been heard."""
        while True:
            try:
                code = self._process.wait(_LOOK_EVERY)
            except subprocess.TimeoutExpired:
                self._alive()
                continue
            self._listener.join(_PATIENCE)
            return code

    def ended(self) -> int | None:
        """Its exit code, if it ends within a moment; otherwise None."""
        try:
            return self._process.wait(_MOMENT)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        """Its complaint, or else the last line that it wrote; redacted."""
        lines = list(self._lines)
        failed = [line for line in lines if "Failed:" in line or "error" in line.lower()]
        return (failed or lines or ["nothing"])[-1]

    def stop(self) -> None:
        """See that it runs no more, however it takes that."""
        if self._process.poll() is None:
            self._process.terminate()
        # Some programs do not end by a signal while they wait for input.
        assert self._stream is not None
        with contextlib.suppress(OSError):
            self._stream.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_PATIENCE)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr:
            buffered = io.BufferedReader(cast(io.RawIOBase, self._process.stderr))
            for raw in buffered:
                # TIMESTAMP<TAB>message, of which people want the message.
                line = redact(raw.decode(errors="replace").strip().rpartition("\t")[2])
                if line:
                    self._lines.append(line)
                    self._hear(line)


def _pipe_with(text: str, opened: ExitStack) -> int:
    """A pipe from which ``text`` can be read once; it is far less than a pipe holds."""
    reading, writing = os.pipe()
    opened.callback(os.close, reading)
    os.write(writing, text.encode())
    os.close(writing)
    return reading


def _file_with(text: str, opened: ExitStack) -> int:
    """A file without a name from which ``text`` can be read."""
    import tempfile

    file = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - that closes it
    file.write(text.encode())
    file.seek(0)
    return file.fileno()


def _with_file(argument: str, files: Mapping[str, int]) -> str:
    """Return ``argument`` with the names of open files in place of `CONFIG_FILE` and `QUERY_FILE`."""
    for placeholder, file in files.items():
        argument = argument.replace(placeholder, f"/dev/fd/{file}")
    return argument


def _widen(pipe: int) -> bool:
    """Let a pipe hold more than the usual 64 kB, where that can be said: both ends wait less often.

    :return: whether it does.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # not on this system
        return False
    size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if size is not None:
        with contextlib.suppress(OSError):
            return bool(fcntl.fcntl(pipe, size, _PIPE_BYTES) >= _PIPE_BYTES)
    return False


def _not_started(program: str, error: OSError) -> ServerError:
    return ServerError(f"{program} cannot be started: {error.strerror}.", "Is it a program for this machine?")
