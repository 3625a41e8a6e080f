"""Identify the process that holds or changed something, and find out whether it is still alive."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monarch.version import __version__

_PROC = Path("/proc")  # Linux has it; macOS, the BSDs and Windows have not


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


def who() -> str:
    """Return the user who runs this process, and the machine, for people."""
    me = identity()
    return f"{me['user']} on {me['host']}"


def describe(recorded: Mapping[str, Any]) -> str:
    """Return a recorded process in words, with its CI job if that is known."""
    process = f"process {recorded.get('pid')} of {recorded.get('user')} on {recorded.get('host')}"
    job = recorded.get("link") or recorded.get("job")
    return f"{process} ({job})" if job else process


def is_local(recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded process certainly ran on this machine and in this container.

    Only then can `is_alive` tell. A host name and a pid do not show it: machines share names, and containers
    share both.
    """
    same = recorded.get("host") == socket.gethostname() and isinstance(recorded.get("pid"), int)
    return same and recorded.get("pid_space") is not None and recorded["pid_space"] == _pid_space()


def is_alive(recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded process is running on this machine. False for one that is not `is_local`."""
    pid = recorded.get("pid")
    if not is_local(recorded) or not isinstance(pid, int) or not _exists(pid):
        return False
    began = _began(pid)
    # Pids are reused. A process that began at another time is another process.
    return began is None or recorded.get("pid_began") in (None, began)


def has_died(recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded process certainly ran on this machine, and does no more."""
    return is_local(recorded) and not is_alive(recorded)


def _exists(pid: int) -> bool:
    if os.name == "nt":  # there os.kill would end it
        psutil = _psutil()
        return psutil is None or bool(psutil.pid_exists(pid))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OverflowError:  # no process has such a number
        return False
    return True


def _began(pid: int) -> int | None:
    """Return when a process began; only comparable with other values from this boot of this machine.

    On Linux these are clock ticks since boot (field 22 of proc_pid_stat(5)), elsewhere milliseconds.
    None if the system does not tell; 0 for a process that has ended and was not reaped yet.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return _began_without_proc(pid)
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def _began_without_proc(pid: int) -> int | None:
    psutil = _psutil()
    if psutil is None:
        return None
    try:
        process = psutil.Process(pid)
        return 0 if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time() * 1000)
    except psutil.ZombieProcess:
        return 0
    except (psutil.Error, OSError):
        return None


def _pid_space() -> str | None:
    """Return an id of this boot and this container, within which pids are comparable; None if unknown."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        pass
    psutil = _psutil()
    try:
        # Another machine of this name did not start in the same second.
        return None if psutil is None else f"boot {psutil.boot_time():.0f}"
    except (psutil.Error, OSError, RuntimeError):
        return None


def _psutil() -> Any:
    """Return psutil, which knows other systems than Linux; None if it is missing or does not work here."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil
