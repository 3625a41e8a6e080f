"""Debian's PgBouncer in transaction mode, before a PostgreSQL server of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from monarch.databases.postgres.embedded import as_ordinary_user
from tests.support.servers.mongod import PASSWORD, USER, free_port
from tests.support.servers.postgres import PostgresServer, hand_over

# It is not on the PATH of ordinary users.
_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
_SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 4
"""


@contextmanager
def run_pgbouncer(server: PostgresServer) -> Iterator[PostgresServer]:
    """Run a pooler before ``server``, and yield what looks like a server: transactions share its sessions.

    Where there is none the test is skipped, but in CI it fails.
    """
    program = shutil.which("pgbouncer", path=_PATH)
    if program is None:
        assert not os.environ.get("CI"), "install Debian's pgbouncer"
        pytest.skip("there is no pgbouncer")
    folder, port = Path(tempfile.mkdtemp(prefix="monarch-test-pgbouncer-")), free_port()
    try:
        settings, users = folder / "pgbouncer.ini", folder / "users"
        quoted = PASSWORD.replace('"', '""')
        users.write_text(f'"{USER}" "{quoted}"\n')
        settings.write_text(_SETTINGS.format(server=server.port, port=port, users=users))
        hand_over(folder)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*as_ordinary_user(), program, str(settings)], stdout=log, stderr=log)
        try:
            pooler = replace(server, port=port, pid=process.pid)
            _await(pooler, process, folder / "log")
            yield pooler
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(pooler: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            pooler.connect().close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.05)
