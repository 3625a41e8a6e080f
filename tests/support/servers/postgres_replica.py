"""A replica of a PostgreSQL server of the tests, which can only be read."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monarch.databases.postgres.embedded import as_ordinary_user
from tests.support.servers.mongod import free_port
from tests.support.servers.postgres import PostgresServer, hand_over, serve


@contextmanager
def run_replica(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Run a replica of ``primary``, made by pg_basebackup, while the context lasts."""
    folder, port = Path(tempfile.mkdtemp(prefix="monarch-test-replica-")), free_port()
    try:
        hand_over(folder)
        make = [*as_ordinary_user(), str(primary.programs / "pg_basebackup"), "-d", primary.uri(), "-R"]
        make += ["-D", str(folder / "data"), "-c", "fast", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True)
        options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}"]
        replica = PostgresServer(port, folder, primary.programs, 0)
        with serve(replica, [*options, "fsync=off", "shared_buffers=32MB"]) as started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def catch_up(primary: PostgresServer, replica: PostgresServer) -> None:
    """Wait until ``replica`` has all that ``primary`` has."""
    with primary.connect() as one, replica.connect() as other:
        row = one.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        deadline = time.monotonic() + 60
        while other.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", row).fetchone() != (True,):
            assert time.monotonic() < deadline
            time.sleep(0.02)
