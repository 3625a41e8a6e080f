"""The commands that share an embedded server, counted by file locks, which end with their process."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from monarch.errors import LockedError, ServerError
from monarch.progress import Progress
from monarch.system.atomic_files import open_own, write_atomically

# Starting and stopping take a second each. A loaded machine gets much more time.
GATE_SECONDS = 60.0
_REPORT_AFTER_SECONDS = 2.0


class Startable(Protocol):
    """A server that `Users` starts for its first user and stops after its last one."""

    def is_running(self) -> bool: ...
    def last_port(self) -> int | None: ...
    def start(self) -> int: ...
    def stop(self) -> None: ...


class Users:
    """The commands that share the server in ``folder``."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress

    @contextmanager
    def joined(self, server: Startable) -> Iterator[int]:
        """Yield the port of ``server``. The first user starts it, the last one stops it.

        :raises LockedError: if another command holds the gate for longer than `GATE_SECONDS`.
        """
        users = _open_lock(self._folder / "users.lock")
        try:
            with self._gate():
                try:
                    port = self._enter(users, server)
                except BaseException:
                    self._leave(users, server)
                    raise
            try:
                yield port
            finally:
                with self._gate():
                    self._leave(users, server)
        finally:
            os.close(users)

    def _enter(self, users: int, server: Startable) -> int:
        if not _lock(users, fcntl.LOCK_EX) and server.is_running():
            port = server.last_port()
            if port is None:
                raise ServerError(
                    f"{self._folder / 'server.json'} is damaged, and other commands use the server.",
                    "Try again when they are done.",
                )
            fcntl.flock(users, fcntl.LOCK_SH)
            return port
        # No command uses the server, or it died while it was used: stop what is left of it first.
        server.stop()
        port = server.start()
        write_atomically(self._folder / "server.json", json.dumps({"port": port}))
        fcntl.flock(users, fcntl.LOCK_SH)
        return port

    def _leave(self, users: int, server: Startable) -> None:
        fcntl.flock(users, fcntl.LOCK_UN)
        if _lock(users, fcntl.LOCK_EX):
            server.stop()

    @contextmanager
    def _gate(self) -> Iterator[None]:
        gate = _open_lock(self._folder / "gate.lock")
        try:
            began = time.monotonic()
            reported = False
            while not _lock(gate, fcntl.LOCK_EX):
                waited = time.monotonic() - began
                if waited > GATE_SECONDS:
                    raise LockedError(
                        f"Another command keeps {self._folder} locked{_holder(gate)}.",
                        "If that process hangs, end it. Then try again.",
                    )
                if waited > _REPORT_AFTER_SECONDS and not reported:
                    reported = True
                    self._progress.waiting("another command is starting or stopping the server")
                time.sleep(0.02)
            os.ftruncate(gate, 0)
            os.pwrite(gate, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(gate)


def _open_lock(path: Path) -> int:
    try:
        return open_own(path)
    except OSError as error:
        raise ServerError(
            f"{path} cannot be used: {error.strerror}.",
            "monarch creates that file itself. Remove it if no other command is running.",
        ) from error


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(gate: int) -> str:
    pid = os.pread(gate, 20, 0).decode(errors="replace").strip()
    return f" (process {pid})" if pid else ""
