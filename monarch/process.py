"""The only place that starts a program."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from monarch.errors import ServerError


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
        raise ServerError(
            f"{arguments[0]} cannot be started: {error.strerror}.", "Is it a program for this machine?"
        ) from error


def run_shown(arguments: Sequence[str], folder: Path) -> int:
    """Run a program in ``folder`` on this terminal, and return its exit code."""
    return subprocess.run(arguments, cwd=folder, check=False).returncode
