"""Runs one of MongoDB's Windows tools under Wine so that its caller takes it for the Linux one.

A script and no module: ``python -IS wine.py WINE FOLDER PROGRAM.exe ARGUMENT…``; `tools` beside it writes the
``mongodump`` and the ``mongorestore`` that call it. It imports little, for it is started hundreds of times.
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
# What is left of Windows' STATUS_CONTROL_C_EXIT: interrupted before the tool asked to be told.
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
        "LC_ALL": "C.UTF-8",  # or an argument's é is lost on its way
        "TMPDIR": f"{folder}/run",  # where Wine's processes meet: for every caller the same place
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
        "WINEPREFIX": f"{folder}/prefix",
    }


def _pass_on(child: int) -> int:
    """Pass on the signals that come until ``child`` ends, which is not reaped here; return the last, or 0.

    A Windows program that is still being loaded would end with 0 by a signal, or hang. The Linux one does not
    listen for signals there yet either, and ends by the first.
    """
    received = 0
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        number = signal.sigwait((*SIGNALS, signal.SIGCHLD))
        if number in SIGNALS:
            received = number
            # The only signal that Wine tells a program of instead of ending it. The tools take all alike.
            os.kill(child, signal.SIGINT if _listens(child) else signal.SIGKILL)
    return received


def _listens(child: int) -> bool:
    """Whether the tool has a socket beside the one to Wine's server: it listens before it connects."""
    sockets = 0
    with os.scandir(f"/proc/{child}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                sockets += os.readlink(entry).startswith("socket:")  # noqa: PTH115
    return sockets > 1


def translated(arguments: Sequence[str], pid: int) -> Iterator[str]:
    """The ``arguments`` with every file as Windows names it. The ``/dev/fd`` in them is that of ``pid``."""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option.startswith("-") and equals and option not in ("--password", "-p"):
            yield f"{option}={_windows(value, pid)}"
        else:
            yield _windows(argument, pid)


def _windows(value: str, pid: int) -> str:
    """``value``, or what Wine calls it if it is a file's full name: nothing else begins with a slash."""
    if not value.startswith("/"):
        return value
    for own in ("/dev/fd/", "/proc/self/fd/"):
        if value.startswith(own):
            # It is Wine's server that opens files. By this name it comes to the caller's pipe all the same,
            # and what is in that, a password as a rule, is never copied.
            value = f"/proc/{pid}/fd/{value.removeprefix(own)}"
    return "Z:" + value.replace("/", "\\")


def _wake(wine: str, folder: str, program: str, environment: Mapping[str, str]) -> None:
    """Have Wine's server run, and go on for a while: without it a tool starts in 0.5 s, with it in 0.1.

    What the server starts in turn keeps the output of the first program open as long as it lives, and the
    caller would wait for the end of it: so the first program is one that nobody listens to.
    """
    server = f"{wine.rpartition('/')[0]}/wineserver"
    with open(f"{folder}/lock", "w") as lock:  # noqa: PTH123 - pathlib takes longer to import
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in ([server, "-p15"], [wine, program, "--version"]):
            child = _start(command, environment, quiet=True)
            if os.waitpid(child, 0)[1] != 0:
                return  # one that runs already


def _start(command: list[str], environment: Mapping[str, str], *, quiet: bool = False) -> int:
    """Start ``command`` in a session of its own; return its process id."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        # A Ctrl-C goes to the whole group, and would reach the tool twice: with the second it drops its work.
        os.setsid()
        if quiet:
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nothing, descriptor)
        else:
            # Who kills us means the tool, too.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
        # What outlives the tool would keep the caller's pipes open.
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
