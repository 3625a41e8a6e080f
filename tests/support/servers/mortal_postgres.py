"""A PostgreSQL server that is killed and comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import psycopg

from monarch.databases.postgres.embedded import as_ordinary_user
from tests.support.servers.postgres import PostgresServer, run_postgres


class MortalPostgres:
    """Kills ``server``, and starts it again with the same files, port and settings."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._process = psutil.Process(server.pid)
        self._command = [*as_ordinary_user(), *self._process.cmdline()]

    def kill(self) -> None:
        """Kill the postmaster, and start another one when all of its processes are gone."""
        below = self._process.children()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)  # not only ended: the next one looks for a process of that number
        assert not psutil.wait_procs(below, 60)[1]
        with (self.server.folder / "log").open("ab") as log:
            self._process = psutil.Process(subprocess.Popen(self._command, stdout=log, stderr=log).pid)
        self._await()

    def kill_sessions(self, database: str) -> None:
        """Kill the processes of all sessions in ``database``: the server ends all others, and recovers."""
        pids = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
        with self.server.connect() as connection, suppress(psycopg.OperationalError):
            for (pid,) in connection.execute(pids, (database,)).fetchall():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            while True:  # until the server ends this session too, if there was one to kill
                time.sleep(0.02)
                connection.execute("SELECT 1")
                if not connection.execute(pids, (database,)).fetchall():
                    break
        self._await()

    def stop(self) -> None:
        """Stop the server, if it is another one than at the beginning."""
        if self._process.pid != self.server.pid:
            self._process.terminate()
            self._process.wait()

    def _await(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.server.connect().close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


@contextmanager
def run_mortal_postgres() -> Iterator[MortalPostgres]:
    with run_postgres() as server:
        mortal = MortalPostgres(server)
        try:
            yield mortal
        finally:
            mortal.stop()
