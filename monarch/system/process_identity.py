"""Identify the process that holds or changed something, and find out whether it is still alive."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monarch.version import __version__


def identity() -> dict[str, Any]:
    """Describe the running process: host, user, pid, when it started, and the version of monarch."""
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
        "pid_space": _pid_space(),
        "monarch": __version__,
    }


def describe(recorded: Mapping[str, Any]) -> str:
    """Return a recorded process in words, with its CI job if that is known."""
    process = f"process {recorded.get('pid')} of {recorded.get('user')} on {recorded.get('host')}"
    job = recorded.get("link") or recorded.get("job")
    return f"{process} ({job})" if job else process


def is_local(recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded process ran on this machine, in this container, so that `is_alive` can tell."""
    same = recorded.get("host") == socket.gethostname() and isinstance(recorded.get("pid"), int)
    return same and recorded.get("pid_space") in (None, _pid_space())


def is_alive(recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded process is running on this machine. False for a process of another machine."""
    pid = recorded.get("pid")
    if not is_local(recorded) or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    except OverflowError:  # no process has such a number
        return False
    began = _began(pid)
    # Pids are reused. A process that began at another time is another process.
    return began is None or recorded.get("pid_began") in (None, began)


def _began(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot (field 22 of Linux's proc_pid_stat(5)).

    None if the system does not tell; 0 for a process that has ended and was not reaped yet.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def _pid_space() -> str | None:
    """Return an id of this boot and this container, within which pids are comparable."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None
