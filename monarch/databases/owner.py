"""Which process did something to a database, and whether it is still there."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monarch.version import __version__


def identity() -> dict[str, Any]:
    """This process, as it is recorded: host, user, pid, when it began, and monarch's version."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "?"
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "user": user.encode("utf-8", "backslashreplace").decode(),
        "pid": pid,
        "pid_began": _began(pid),
        "monarch": __version__,
    }


def describe(recorded: Mapping[str, Any]) -> str:
    """A recorded process in words."""
    return f"process {recorded.get('pid')} of {recorded.get('user')} on {recorded.get('host')}"


def is_alive(recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded process is on this machine and still runs. False of another machine's."""
    pid = recorded.get("pid")
    if recorded.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    began = _began(pid)
    # Numbers are used again; a process that began at another moment is another one.
    return began is None or recorded.get("pid_began") in (None, began)


def _began(pid: int) -> int | None:
    """When a process began, in ticks since the machine's start (field 22 of Linux's proc_pid_stat(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])
