"""Migrations through PgBouncer in transaction mode, which gives each transaction another session."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs.billing import Billing, make_billing
from tests.support.servers.pgbouncer import run_pgbouncer
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.server, pytest.mark.command]


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer) -> Iterator[PostgresServer]:
    with run_pgbouncer(postgres) as running:
        yield running


@pytest.fixture
def pooled(tmp_path: Path, postgres: PostgresServer, pooler: PostgresServer) -> Iterator[Billing]:
    """A project whose ``dev`` is reached through the pooler, and ``direct`` without it."""
    with make_billing(tmp_path, postgres) as made:
        name = made.db_name
        made.folder.settings(dev={"uri": pooler.uri(name)}, direct={"uri": postgres.uri(name)})
        yield made


def test_the_commands_work(pooled: Billing) -> None:
    body = """
        self.connection.execute("SET LOCAL search_path = public")
        for dog in self.each('dogs', batch=1):
            self.connection.execute('UPDATE dogs SET weight = weight + 1 WHERE id = %s', [dog['id']])
        with self.connection.transaction(force_rollback=True):
            self.connection.execute('DELETE FROM dogs')
        with self.connection.pipeline():
            self.connection.execute('UPDATE dogs SET weight = weight + 1')
        """
    key = pooled.migration("weigh", body)
    assert pooled.folder.monarch("check", "dev").code == 3
    runs = [pooled.folder.start("migrate", "dev") for _ in range(4)]
    ends = [(run.communicate(timeout=120), run.returncode) for run in runs]
    assert {code for _, code in ends} == {0}, ends
    assert pooled.rows("SELECT sum(weight) FROM dogs") == [(57,)]
    assert pooled.states() == {key: "Completed"}
    for words in (("list_migrations", "dev"), ("check", "dev"), ("history", "dev"), ("migrate", "dev")):
        assert pooled.folder.monarch(*words).code == 0
    assert pooled.folder.monarch("mark", "dev", "weigh", "--as", "new", "--yes").code == 0
    assert pooled.states() == {key: "New"}
    assert pooled.folder.monarch("unlock", "dev", "--yes").code == 0
    assert pooled.folder.monarch("drop_db", "dev", "--yes").code == 0
    assert pooled.rows("SELECT to_regclass('dogs')") == [(None,)]


def test_a_failure_and_a_kill(pooled: Billing) -> None:
    change = "self.connection.execute('DELETE FROM dogs')"
    key = pooled.migration("half", f"{change}\nimport os; os.kill(os.getpid(), 9)")
    assert pooled.folder.monarch("migrate", "dev").code == -signal.SIGKILL
    assert "Interrupted" in pooled.folder.monarch("list_migrations", "dev").out
    pooled.migration("half", f"{change}\nself.connection.execute('SELECT 1/0')")
    failed = pooled.folder.monarch("migrate", "dev", "--retry")
    assert failed.code == 1
    assert pooled.rows("SELECT count(*) FROM dogs") == [(3,)]
    pooled.migration("half", change)
    assert pooled.folder.monarch("migrate", "dev", "--retry").code == 0
    assert pooled.states() == {key: "Completed"}


def test_who_holds_a_lock_is_named(pooled: Billing) -> None:
    pooled.migration(
        "column", "self.connection.execute('ALTER TABLE dogs ADD born date')", "lock_timeout = 2"
    )
    with pooled.postgres.connect(pooled.db_name) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM dogs")
        result = pooled.folder.monarch("migrate", "dev")
        pid = reader.info.backend_pid
    assert result.code == 1
    assert f"it is held by process {pid} of " in result.err
    assert pooled.folder.monarch("migrate", "dev", "--retry").code == 0


def test_without_a_transaction_it_is_refused(pooled: Billing) -> None:
    key = pooled.migration("index", "self.connection.execute('DELETE FROM dogs')", "transaction = False")
    result = pooled.folder.monarch("migrate", "dev")
    assert result.code == 1, result.output
    assert "'dev' is reached through a pooler" in result.err
    assert "Use the address of the server itself" in result.err
    assert pooled.rows("SELECT count(*) FROM dogs") == [(3,)]
    assert pooled.states() == {key: "Failed"}
    assert pooled.folder.monarch("migrate", "direct", "--retry").code == 0


def test_transfers_are_refused(pooled: Billing) -> None:
    pooled.folder.keep_backups()
    assert pooled.folder.monarch("backup", "direct", "--name", "taken").code == 0
    for words in (("backup", "dev"), ("restore", "direct:dev", "--yes")):
        result = pooled.folder.monarch(*words)
        assert result.code == 2, result.output
        assert "'dev' is reached through a pooler" in result.err
