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
    """A recorded process in words, with its job in CI if that is known."""
    process = f"process {recorded.get('pid')} of {recorded.get('user')} on {recorded.get('host')}"
    job = recorded.get("link") or recorded.get("job")
    return f"{process} ({job})" if job else process


def is_local(recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded process was of this machine, and of this container, so that `is_alive` can tell."""
    same = recorded.get("host") == socket.gethostname() and isinstance(recorded.get("pid"), int)
    return same and recorded.get("pid_space") in (None, _pid_space())


def is_alive(recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded process is on this machine and still runs. False of another machine's."""
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
    # Numbers are used again; a process that began at another moment is another one.
    return began is None or recorded.get("pid_began") in (None, began)


def _began(pid: int) -> int | None:
    """When a process began, in ticks since the machine's start (field 22 of Linux's proc_pid_stat(5)).

    None where that is not told; 0 of one that has ended and waits for its parent to take notice.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def _pid_space() -> str | None:
    """Where numbers of processes mean the same: this start of this machine, and this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None
