"""Run commands as forks of a process that has imported monarch, which start in a tenth of the time.

Starting Python and importing monarch takes most of the time of a short command, and the tests run hundreds.
`Forks` sends each command line to one process that has imported monarch and nothing of a project. That
process forks, and the child runs ``monarch`` as ``python -m monarch`` does: as ``__main__``, in the
folder and with the variables and output of its caller, to the end of its own interpreter.

This file is also the program of that process, so it imports nothing from the tests.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

# The modules that most commands import on demand. A command imports further modules itself.
_PRELOADED = (
    "monarch.commands.console.boundary",
    "monarch.databases.mongo.database",
    "monarch.databases.postgres.database",
    "monarch.databases.postgres.history.reader",
    "monarch.project",
    "monarch.stores.local.store",
)
_LIMIT = 1 << 20  # bytes of a request
# Variables that Python or the C library reads when a process starts.
_READ_AT_START = ("COVERAGE_", "LANG", "LC_", "LD_", "PYTHON", "TZ")


def can_replace(variables: Mapping[str, str]) -> bool:
    """Whether a fork behaves like a process that starts with these ``variables``."""
    changed = {name for name, value in variables.items() if os.environ.get(name) != value}
    changed |= os.environ.keys() - variables.keys()
    changed.discard("PYTHONDONTWRITEBYTECODE")
    return (
        sys.platform == "linux"
        and not any(name.startswith("COVERAGE_PROCESS") for name in variables)
        and not any(name.startswith(_READ_AT_START) for name in changed)
    )


class Forks:
    """Runs command lines as forks of one process, which ends when this object is closed."""

    def __init__(self) -> None:
        self._requests, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )

    def run(
        self, arguments: tuple[str, ...], folder: Path, variables: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``monarch`` with ``arguments``, and return its exit code and output.

        :raises subprocess.TimeoutExpired: after ``timeout`` seconds; the command has been killed.
        """
        request = json.dumps({"arguments": arguments, "folder": str(folder), "variables": dict(variables)})
        with TemporaryFile() as out, TemporaryFile() as err:
            answers, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with answers:
                with other:
                    handles = [out.fileno(), err.fileno(), other.fileno()]
                    socket.send_fds(self._requests, [request.encode()], handles)
                pid = int(answers.recv(100))
                answers.settimeout(timeout)
                try:
                    status = int(answers.recv(100))
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(arguments, timeout) from None
            code = os.waitstatus_to_exitcode(status)
            return subprocess.CompletedProcess(arguments, code, _text(out), _text(err))

    def close(self) -> None:
        self._requests.close()
        self._process.wait()


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _serve(requests: socket.socket) -> dict[str, object] | None:
    """Fork for each request. Return the request in the child, and None when there are no more."""
    running: dict[int, tuple[int, socket.socket]] = {}
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    while True:
        for handle, _ in poll.poll():
            if handle in running:
                poll.unregister(handle)
                pid, answers = running.pop(handle)
                os.close(handle)
                with answers, suppress(BrokenPipeError):  # the caller may have given up
                    answers.send(str(os.waitpid(pid, 0)[1]).encode())
                continue
            message, handles, _, _ = socket.recv_fds(requests, _LIMIT, 3)
            if not message:
                return None
            out, err, answer = handles
            pid = os.fork()
            if pid == 0:
                os.dup2(out, 1)
                os.dup2(err, 2)
                os.closerange(3, max(handles) + 1)
                return dict(json.loads(message))
            os.close(out)
            os.close(err)
            answers = socket.socket(fileno=answer)
            answers.send(str(pid).encode())
            process = os.pidfd_open(pid)
            running[process] = pid, answers
            poll.register(process, select.POLLIN)


def _become(arguments: list[str], folder: str, variables: dict[str, str]) -> None:
    """Make this process look as if the caller of `Forks.run` had just started it."""
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv[1:] = arguments
    random.seed()


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file
    for _name in _PRELOADED:
        importlib.import_module(_name)
    sys.path.insert(0, "")  # `python -m` puts the working directory here
    gc.freeze()
    _request = _serve(socket.socket(fileno=int(sys.argv[1])))
    if _request is not None:
        _become(**_request)  # type: ignore[arg-type]
        runpy.run_module("monarch", run_name="__main__", alter_sys=True)
