"""The only place that starts a program."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from monarch.errors import ServerError
from monarch.log import PROGRAM, READS, log, log_start
from monarch.system.secrets import MASKS_KEY_VARIABLE, Secret, redact
from monarch.system.signals import defer_signals

# In seconds: how long a program may take to end, and how often a wait calls `alive`.
_PATIENCE = 5.0
_LOOK_EVERY = 2.0
_MOMENT = 1.0
_PIPE_BYTES = 1 << 20
_WHILE_IT_READS = 0.004  # then a tenth of a wide pipe has room, at 25 MB/s
_LINES_KEPT = 200
# What a helper does: its arguments are a module, and the path on which it finds that and what it imports.
_HELPER = "import sys; sys.path[:] = sys.argv[2:]; __import__('importlib').import_module(sys.argv[1]).main()"


def start_server(arguments: Sequence[str], log_file: Path) -> subprocess.Popen[bytes]:
    """Start a server that writes its messages to ``log_file``, which is overwritten.

    It gets a session of its own: Ctrl-C in the terminal is for monarch, which then stops the server.

    :raises ServerError: if the program cannot be started at all.
    """
    log_start(arguments)
    try:
        with log_file.open("wb") as output:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )
    except OSError as error:
        raise _not_started(arguments[0], error) from error


def start_helper(module: str, hear: Callable[[str], None] | None = None) -> subprocess.Popen[bytes]:
    """Start Python on ``main()`` of ``module``, to work for this process, with pipes as its input and output.

    It gets a session of its own, because Ctrl-C in the terminal is for monarch. It imports from where this
    process does, and not from the current folder first, where a project may have a ``json.py``. ``hear`` is
    called with each line of its messages, redacted, in a thread of its own; without it they are discarded.

    :raises ServerError: if it cannot be started.
    """
    # As absolute paths, so that project code finds the same modules.
    path = [str(Path(entry).resolve()) for entry in sys.path]
    log_start([sys.executable, "-m", module])
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _HELPER, module, *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if hear is None else subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise _not_started(sys.executable, error) from error
    if hear is not None:
        assert process.stderr is not None
        threading.Thread(target=_pass_lines, args=(process.stderr, hear), daemon=True).start()
    return process


def _pass_lines(messages: IO[bytes], hear: Callable[[str], None]) -> None:
    with messages:
        for raw in messages:
            hear(redact(raw.decode(errors="replace").rstrip("\r\n")))


def run_on_terminal(arguments: Sequence[str], folder: Path) -> int:
    """Run a program in ``folder`` on this terminal, and return its exit code."""
    log_start(arguments)
    return subprocess.run(arguments, cwd=folder, check=False).returncode


def run_quietly(arguments: Sequence[str], seconds: float = 30.0) -> str:
    """Return what a short program prints; empty if it fails or takes more than ``seconds``.

    :raises ServerError: if it cannot be started.
    """
    log_start(arguments, READS)
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    except OSError as error:
        raise _not_started(arguments[0], error) from error
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


@dataclass(frozen=True)
class ForegroundProgram:
    """A program for a person at this terminal, which it has to itself until it ends.

    ``secrets`` are passed as for `Tool`: each key is a placeholder in the ``arguments``. ``variables`` is its
    whole environment; None is that of monarch.
    """

    arguments: tuple[str, ...]
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    variables: Mapping[str, str] | None = None


def run_in_foreground(program: ForegroundProgram) -> int:
    """Run ``program``, and return its exit code, or 128 and the number of the signal that ended it.

    Ctrl-C in the terminal is for the program alone. Other signals to monarch are passed on to it.

    :raises ServerError: if it cannot be started.
    """
    with ExitStack() as opened:
        files = {name: _pipe_with(secret.reveal(), opened) for name, secret in program.secrets.items()}
        received = opened.enter_context(defer_signals())
        log_start(program.arguments[:1])  # the others are a person's, who may ask for anything there
        try:
            process = subprocess.Popen(
                [_with_file(argument, files) for argument in program.arguments],
                pass_fds=tuple(files.values()),
                env=_environment(os.environ if program.variables is None else program.variables),
            )
        except OSError as error:
            raise _not_started(program.arguments[0], error) from error
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(_MOMENT)
                return code if code >= 0 else 128 - code
            while received:
                number = received.pop()
                if number != signal.SIGINT:
                    process.send_signal(number)


def write_to_foreground(arguments: Sequence[str], data: bytes, variables: Mapping[str, str]) -> int:
    """Run a program that shows ``data`` to the person at this terminal; return its exit code.

    Ctrl-C is for the program. It may end before it has read everything.

    :raises ServerError: if it cannot be started.
    """
    with defer_signals():
        try:
            process = subprocess.Popen(arguments, stdin=subprocess.PIPE, env=_environment(variables))
        except OSError as error:
            raise _not_started(arguments[0], error) from error
        with contextlib.suppress(BrokenPipeError):
            process.communicate(data)
        return process.wait()


class Tool:
    """A program that runs beside monarch and reads its input from monarch, or writes its output to it.

    ``secrets`` and ``texts`` are passed as files: each key is a placeholder in the ``arguments``, which the
    name of the file replaces. A secret is passed as a pipe. No other process can open it, and nothing of it
    is in the process list or on the disk. A text, which may be long, is passed as a file without a name.
    ``variables`` is its whole environment; None is that of monarch. The key of masks is in neither. It
    inherits the open files ``inherited``, and reads its input from the file ``stdin``, if there is one, not
    from monarch.

    ``hear`` is called with the ``message_of`` every line of stderr, redacted, in a thread of its own.
    ``is_error`` recognizes messages that `last_words` prefers. While monarch waits for the program,
    ``alive`` is called every few seconds; an exception ends the wait.

    :raises ServerError: if it cannot be started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        secrets: Mapping[str, Secret],
        texts: Mapping[str, str],
        takes_input: bool,
        hear: Callable[[str], None],
        alive: Callable[[], None],
        message_of: Callable[[str], str],
        is_error: Callable[[str], bool],
        variables: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
        stdin: int | None = None,
    ) -> None:
        self.name = Path(arguments[0]).name
        self._hear = hear
        self._alive = alive
        self._message_of = message_of
        self._is_error = is_error
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        given = subprocess.PIPE if takes_input else subprocess.DEVNULL
        log_start(arguments)
        with ExitStack() as opened:
            try:
                files = {name: _pipe_with(secret.reveal(), opened) for name, secret in secrets.items()}
                files |= {name: _file_with(text, opened) for name, text in texts.items()}
                self._process = subprocess.Popen(
                    [_with_file(argument, files) for argument in arguments],
                    stdin=given if stdin is None else stdin,
                    stdout=subprocess.DEVNULL if takes_input else subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    pass_fds=(*files.values(), *inherited),
                    env=_environment(os.environ if variables is None else variables),
                    # Ctrl-C in the terminal is for monarch, which stops the program in order.
                    start_new_session=True,
                )
            except OSError as error:
                raise _not_started(arguments[0], error) from error
        self._stream = self._process.stdin if takes_input else self._process.stdout
        try:
            self._wide = self._stream is not None and _prepare(self._stream.fileno())
            self._listener = threading.Thread(target=self._listen, daemon=True)
            self._listener.start()
        except BaseException:  # a signal that came with the fork: nobody else would end the program
            self._process.kill()
            raise

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes of its output; b"" after its end."""
        assert self._stream is not None
        while True:
            if select.select([self._stream], [], [], _LOOK_EVERY)[0]:
                return self._stream.read(size) or b""
            self._alive()

    def write(self, data: bytes) -> None:
        """Write all of ``data`` to its input.

        :raises BrokenPipeError: if it has closed its input.
        """
        assert self._stream is not None
        rest = memoryview(data)
        while rest:
            if select.select([], [self._stream], [], _LOOK_EVERY)[1]:
                rest = rest[self._stream.write(rest) or 0 :]
                if rest and self._wide:
                    # The pipe is full. Some programs read 8 kB at a time: waking for each costs too much.
                    time.sleep(_WHILE_IT_READS)
            else:
                self._alive()

    def close(self) -> None:
        """Close its input."""
        assert self._stream is not None
        self._stream.close()

    def wait(self) -> int:
        """Wait for its end and for all of its stderr; return its exit code."""
        while True:
            try:
                code = self._process.wait(_LOOK_EVERY)
            except subprocess.TimeoutExpired:
                self._alive()
                continue
            self._listener.join(_PATIENCE)
            log(PROGRAM, f"{self.name} ended with {code}")
            return code

    def ended(self) -> int | None:
        """Return its exit code if it ends within a second, with all of its stderr heard; otherwise None."""
        try:
            code = self._process.wait(_MOMENT)
        except subprocess.TimeoutExpired:
            return None
        self._listener.join(_PATIENCE)
        return code

    def last_words(self) -> str:
        """Return the last message of its stderr that is an error, or the last message; redacted."""
        lines = list(self._lines)
        failed = [line for line in lines if self._is_error(line)]
        return (failed or lines or ["nothing"])[-1]

    def killed_by(self) -> str | None:
        """Return the name of the signal that ends it within a second; None if there is none."""
        code = self.ended()
        return None if code is None or code >= 0 else signal.Signals(-code).name

    def stop(self) -> None:
        """End it: by a signal, by closing its stream, and finally by SIGKILL."""
        if self._process.poll() is None:
            self._process.terminate()
        # Some programs ignore the signal while they wait for input.
        if self._stream is not None:
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
                line = redact(self._message_of(raw.decode(errors="replace").strip()))
                if line:
                    self._lines.append(line)
                    self._hear(line)


def _environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a program: ``variables`` without the key of masks."""
    return {name: value for name, value in variables.items() if name != MASKS_KEY_VARIABLE}


def _pipe_with(text: str, opened: ExitStack) -> int:
    """Return a pipe from which ``text`` can be read once. The text must fit into the pipe's buffer."""
    reading, writing = os.pipe()
    opened.callback(os.close, reading)
    os.write(writing, text.encode())
    os.close(writing)
    return reading


def _file_with(text: str, opened: ExitStack) -> int:
    """Return a file without a name from which ``text`` can be read."""
    import tempfile

    file = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - that closes it
    file.write(text.encode())
    file.seek(0)
    return file.fileno()


def _with_file(argument: str, files: Mapping[str, int]) -> str:
    """Return ``argument`` with its placeholders replaced by the names of the open ``files``."""
    for placeholder, file in files.items():
        argument = argument.replace(placeholder, f"/dev/fd/{file}")
    return argument


def _prepare(pipe: int) -> bool:
    """Let a pipe not block, and enlarge its buffer beyond the usual 64 kB, where the system allows it.

    Both ends wait less then.

    :return: whether the buffer was enlarged.
    """
    os.set_blocking(pipe, False)
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
    return ServerError(
        f"{program} cannot be started: {error.strerror}.", "Check that it is a program for this machine."
    )
