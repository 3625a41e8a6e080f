"""Scratch databases, in which migrations are tried, do not stay."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.runs.postgres_pair import PostgresPair

pytestmark = [pytest.mark.server, pytest.mark.command]

WAITS = """
from monarch import PostgresBackedMigration


class WaitMigration(PostgresBackedMigration):
    def run(self):
        self.connection.execute("SELECT pg_sleep(300)")
"""
SLEEPING = "FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(300)%'"


def scratch_databases(pair: PostgresPair) -> list[str]:
    return [
        row[0]
        for row in pair.target.rows(
            f"SELECT datname FROM pg_database WHERE starts_with(datname, '{pair.target.name}_scratch')"
        )
    ]


@pytest.fixture
def two_runs(pair: PostgresPair) -> Iterator[list[subprocess.Popen[str]]]:
    """Two commands, each of which waits in a migration on a scratch database."""
    pair.folder.write("migrations/_201405290038_wait_migration.py", WAITS)
    runs = [pair.folder.start("verify_migration", "wait", "dev") for _ in range(2)]
    deadline = time.monotonic() + 60
    try:
        while pair.target.value(f"SELECT count(*) {SLEEPING}") < 2:
            assert time.monotonic() < deadline, [run.poll() for run in runs]
            time.sleep(0.1)
        yield runs
    finally:
        for run in runs:
            run.kill()
            run.wait()
        pair.target.rows(f"SELECT pg_terminate_backend(pid) {SLEEPING}")


def test_the_next_trial_drops_what_a_killed_one_has_left_and_no_other(
    pair: PostgresPair, two_runs: list[subprocess.Popen[str]]
) -> None:
    killed, other = two_runs
    killed.kill()
    killed.wait()
    left = scratch_databases(pair)
    pair.folder.write("migrations/_201405290038_wait_migration.py", WAITS.replace("300", "0"))
    result = pair.folder.monarch("verify_migration", "wait", "dev")
    assert result.code == 0, result.output
    remaining = scratch_databases(pair)
    assert len(remaining) == 1
    assert remaining[0] in left
    other.send_signal(signal.SIGINT)
    other.wait(60)
    assert scratch_databases(pair) == []
