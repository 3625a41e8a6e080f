"""Runs one of MongoDB's Windows tools under Wine in a way that looks like the Linux tool to its caller.

A script, not a module: ``python -IS wine.py WINE FOLDER PROGRAM.exe ARGUMENT…``; `tools` beside it writes the
``mongodump`` and the ``mongorestore`` that call it. It is started hundreds of times, so it imports little.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
PR_SET_PDEATHSIG = 1
# The low byte of Windows' STATUS_CONTROL_C_EXIT: interrupted before the tool handled signals.
INTERRUPTED = 0x3A


def main(wine: str, folder: str, *command: str) -> None:
    """Run ``command`` in the Wine that `tools` made in ``folder``, and end as it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, (*SIGNALS, signal.SIGCHLD))
    environment = environment_in(folder)
    _wake(wine, folder, command[0], environment)
    child = _start([wine, command[0], *translated(command[1:], os.getpid())], environment)
    received = _pass_on(child)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if received and code in (INTERRUPTED, -signal.SIGKILL):
        code = -received
    if code < 0:
        _end_by(-code)
    sys.exit(code)


def environment_in(folder: str) -> dict[str, str]:
    """The environment of every program that runs in the Wine of ``folder``."""
    return {
        **os.environ,
        "HOME": f"{folder}/run",  # where Wine makes folders for menus
        "LC_ALL": "C.UTF-8",  # otherwise é in an argument is lost
        "TMPDIR": f"{folder}/run",  # Wine's processes meet there, so it must be the same for every caller
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
        "WINEPREFIX": f"{folder}/prefix",
    }


def _pass_on(child: int) -> int:
    """Forward signals until ``child`` ends, without reaping it; return the last signal, or 0.

    A Windows program that is still being loaded would exit with 0 on a signal, or hang. The Linux one does
    not handle signals at that point either, and ends by the first.
    """
    received = 0
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        number = signal.sigwait((*SIGNALS, signal.SIGCHLD))
        if number in SIGNALS:
            received = number
            # The only signal that Wine forwards instead of ending the program. The tools treat all alike.
            os.kill(child, signal.SIGINT if _listens(child) else signal.SIGKILL)
    return received


def _listens(child: int) -> bool:
    """Whether the tool handles signals: it does so before it opens its second socket, next to Wine's own."""
    sockets = 0
    with os.scandir(f"/proc/{child}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                sockets += os.readlink(entry).startswith("socket:")  # noqa: PTH115
    return sockets > 1


def translated(arguments: Sequence[str], pid: int) -> Iterator[str]:
    """The ``arguments`` with Windows file names. ``/dev/fd`` in them refers to the process ``pid``."""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option.startswith("-") and equals and option not in ("--password", "-p"):
            yield f"{option}={_windows(value, pid)}"
        else:
            yield _windows(argument, pid)


def _windows(value: str, pid: int) -> str:
    """``value``, or Wine's name of it if it is an absolute path: nothing else begins with a slash."""
    if not value.startswith("/"):
        return value
    for own in ("/dev/fd/", "/proc/self/fd/"):
        if value.startswith(own):
            # Wine's server opens files. With this name it opens the caller's pipe, so its contents, usually
            # a password, are never copied.
            value = f"/proc/{pid}/fd/{value.removeprefix(own)}"
    return "Z:" + value.replace("/", "\\")


def _wake(wine: str, folder: str, program: str, environment: Mapping[str, str]) -> None:
    """Start Wine's server and keep it running: without it a tool starts in 0.5 s, with it in 0.1 s.

    Processes of the server keep the output of the first program open, and a caller that reads it would wait
    for their end. So the first program is one whose output nobody reads.
    """
    server = f"{wine.rpartition('/')[0]}/wineserver"
    with open(f"{folder}/lock", "w") as lock:  # noqa: PTH123 - pathlib takes longer to import
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in ([server, "-p15"], [wine, program, "--version"]):
            child = _start(command, environment, quiet=True)
            if os.waitpid(child, 0)[1] != 0:
                return  # a server runs already


def _start(command: list[str], environment: Mapping[str, str], *, quiet: bool = False) -> int:
    """Start ``command`` in a new session; return its process id."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        # Ctrl-C reaches the whole process group, so the tool would get it twice, and end at the second.
        os.setsid()
        if quiet:
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nothing, descriptor)
        else:
            # SIGKILL of this process must also end the tool.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
        # Processes that outlive the tool would keep the caller's pipes open.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*SIGNALS, signal.SIGCHLD))
        os.execve(command[0], command, environment)
    finally:
        os._exit(127)


def _end_by(number: int) -> None:
    """End by the signal ``number``, as the tool did."""
    if number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    main(*sys.argv[1:])
