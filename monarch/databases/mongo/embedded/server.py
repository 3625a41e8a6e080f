"""Start, prepare and stop the ``mongod`` of an embedded environment."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from pymongo.errors import PyMongoError

from monarch.databases.mongo.embedded import replica
from monarch.errors import ServerError
from monarch.system.subprocesses import start_server

USER, PASSWORD = "monarch", "password"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
# mongod's exit codes. It also ends with the second one when another mongod has its data open.
_ADDRESS_IN_USE, _UNCAUGHT = 48, 100


class Server:
    """The server whose files are in ``folder``. Callers hold the gate lock."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._data = folder / "data"
        self._unfinished = folder / "unfinished"
        self._process: subprocess.Popen[bytes] | None = None

    def is_running(self) -> bool:
        """Whether a mongod has the data open. It locks ``data/mongod.lock`` while it runs."""
        return self._lock_holder() is not None

    def start(self) -> int:
        """Start the server, prepare it for use, and return its port.

        :raises ServerError: if it does not start; the message ends with the last error of its log.
        """
        try:
            self._lay_out()
        except OSError as error:
            raise ServerError(f"{self._folder}: {error.strerror}.", "Fix that and try again.") from error
        port = self.last_port()
        deadline = time.monotonic() + START_SECONDS
        while True:
            port = port if port is not None and _is_free(port) else _free_port()
            process = self._process = start_server(self._arguments(port), self._folder / "log")
            try:
                code = self._await_port(process, port)
                if code is None:
                    self._prepare(port)
                    return port
            except BaseException:
                process.kill()
                process.wait()
                raise
            if code == _UNCAUGHT and self.is_running():
                # The server of a command that was killed. It had not locked its data when we looked.
                self.stop()
            elif code != _ADDRESS_IN_USE or time.monotonic() > deadline:
                raise self._not_started(f"ended with exit code {code}")

    def stop(self) -> None:
        """Stop the server if it runs: first by SIGTERM, then by SIGKILL, which its data survives."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + STOP_SECONDS
            signalled: int | None = None
            while (pid := self._lock_holder()) is not None:
                if time.monotonic() > deadline:
                    break
                if pid and pid != signalled:
                    self._check_ours(pid)
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
                    signalled = pid
                time.sleep(0.01)
            else:
                self._await_end()
                return
        raise ServerError(
            f"The server that has {self._data} open does not stop.", "Stop that mongod process yourself."
        )

    def _await_end(self) -> None:
        """Wait for the process to end: a server unlocks its data shortly before it frees its port."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        port = self.last_port()
        deadline = time.monotonic() + 1
        while port is not None and _answers(port) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _lock_holder(self) -> int | None:
        """The pid of the process that has the data open; 0 if it has not written its pid yet."""
        try:
            with (self._data / "mongod.lock").open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = file.read().strip()
                    return int(text) if text.isdigit() else 0
        except FileNotFoundError:
            pass
        return None

    def _check_ours(self, pid: int) -> None:
        """Check that ``pid`` has the data open. On a shared folder it may be a pid of another machine.

        :raises ServerError: if it has not.
        """
        descriptors = Path(f"/proc/{pid}/fd")
        if not Path("/proc/self/fd").exists():
            return
        lock = (self._data / "mongod.lock").stat()
        try:
            for descriptor in descriptors.iterdir():
                with suppress(OSError):
                    if os.path.samestat(descriptor.stat(), lock):
                        return
        except FileNotFoundError:
            return  # it has ended since
        except PermissionError:
            pass
        raise ServerError(
            f"{self._data} is open in a mongod of another machine or another user.",
            "Stop that server first.",
        )

    def _lay_out(self) -> None:
        """Create the files that are missing. ``unfinished`` stays until `_prepare` is done."""
        if self._unfinished.exists():  # killed during the very first start, so there is no data yet
            shutil.rmtree(self._data, ignore_errors=True)
        if not self._data.exists():
            self._unfinished.touch(mode=0o600)
            _sync(self._folder)
            for name in ("key", PASSWORD):
                text = base64.b64encode(secrets.token_bytes(48)) if name == "key" else _password()
                _write_private(self._folder / name, text)
            self._data.mkdir(mode=0o700)
        # The server refuses a key that others may read, which copies of a folder and some mounts make of it.
        with suppress(FileNotFoundError):  # the server's own message names it
            (self._folder / "key").chmod(0o600)

    def last_port(self) -> int | None:
        """The port the server last listened on, if it is known."""
        try:
            port = int(json.loads((self._folder / "server.json").read_text())["port"])
            return port if 0 < port < 65536 else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def _arguments(self, port: int) -> list[str]:
        settings = {
            # A clean stop has no clients to wait for: the last one has just disconnected.
            "shutdownTimeoutMillisForSignaledShutdown": 0,
            "diagnosticDataCollectionEnabled": "false",
        }
        arguments = [str(self._program), "--dbpath", str(self._data), "--port", str(port)]
        arguments += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", replica.NAME]
        arguments += ["--keyFile", str(self._folder / "key"), "--wiredTigerCacheSizeGB", "0.25"]
        # Small files: with the defaults an empty database takes 300 MB.
        arguments += ["--oplogSize", "64"]
        arguments += ["--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"]
        for name, value in settings.items():
            arguments += ["--setParameter", f"{name}={value}"]
        return arguments

    def _await_port(self, process: subprocess.Popen[bytes], port: int) -> int | None:
        """Wait until the server listens (None) or has ended (its exit code)."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            code = process.poll()
            if code is not None:
                return code
            if _answers(port):
                return None
            time.sleep(0.01)
        raise self._not_started(f"did not listen within {START_SECONDS:.0f} seconds")

    def _prepare(self, port: int) -> None:
        """Make the server accept writes from its user, on the first start and on later ones."""
        try:
            if self._unfinished.exists():
                replica.initiate(port, USER, (self._folder / PASSWORD).read_text())
                self._unfinished.unlink()
                _sync(self._folder)
            else:
                replica.resume(port, USER, (self._folder / PASSWORD).read_text())
        except (PyMongoError, OSError) as error:
            raise self._not_started(f"was not ready: {error}") from error

    def _not_started(self, what: str) -> ServerError:
        log = self._folder / "log"
        return ServerError(f"The embedded MongoDB server {what}.{_last_error(log)}", f"See its log: {log}")


def _last_error(log: Path) -> str:
    """Return the last error in a mongod's log, or its last line, for the end of a message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-200:]
    except OSError:
        return ""
    last = ""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            # Plain text is an error of the loader or shell. Half a JSON entry, cut by a full disk, is not.
            last = line if line and not line.startswith("{") else last
            continue
        if isinstance(entry, dict) and entry.get("s") in ("F", "E"):
            attributes = entry.get("attr")
            detail = attributes.get("error") if isinstance(attributes, dict) else None
            last = f"{entry.get('msg', '')} {detail if isinstance(detail, str) else ''}"
    return f" Its last error: {' '.join(last.split())[:300]}" if last else ""


def _password() -> bytes:
    return secrets.token_urlsafe(24).encode()


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
