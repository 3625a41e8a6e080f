"""How many statements and connections a run costs, as PostgreSQL itself counts them."""

from __future__ import annotations

import re
import time

import pytest

from tests.support.runs.billing import Billing

pytestmark = [pytest.mark.server, pytest.mark.command]


MORE = """
    INSERT INTO monarch_history.history
        SELECT '_' || 201400000000 + n || '_x_migration', 'Completed', now() FROM generate_series(1, 999) n;
    INSERT INTO monarch_history.journal (attempt, key, action, outcome, started_at, process)
        SELECT gen_random_uuid(), key, 'run', state, processed_at, '{}' FROM monarch_history.history
        WHERE key LIKE '%_x_migration'
"""


def sessions(billing: Billing) -> int:
    """Return how many sessions this database has had, once all have ended."""
    query = (
        "SELECT sessions, (SELECT count(*) FROM pg_stat_activity WHERE datname = %(name)s) "
        "FROM pg_stat_database WHERE datname = %(name)s"
    )
    while True:
        with billing.postgres.connect() as connection:
            ended, going = connection.execute(query, {"name": billing.db_name}).fetchone() or (0, 1)
        if not going:
            return int(ended)
        time.sleep(0.02)


def statements(billing: Billing, *options: str) -> list[bytes]:
    """Run `migrate` with ``options``; return the beginnings of what the server has received."""
    log = billing.postgres.folder / "log"
    before = log.stat().st_size
    result = billing.folder.monarch("migrate", "dev", *options)
    assert result.code == 0, result.output
    return re.findall(rb"LOG:  (?:statement|execute).*", log.read_bytes()[before:])


def test_few_statements_with_nothing_pending(billing: Billing) -> None:
    billing.migration("one", "self.connection.execute('SELECT 1')")
    with billing.postgres.connect() as connection:
        connection.execute(f"ALTER DATABASE {billing.db_name} SET log_statement = 'all'")
    before = sessions(billing)
    assert len(statements(billing)) > 10
    assert sessions(billing) - before == 2  # monarch's own, and the migration's
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute(MORE)
    for number in range(1, 1000):
        billing.folder.write(f"migrations/_{201400000000 + number}_x_migration.py", "")
    before = sessions(billing)
    assert 1 <= len(statements(billing)) <= 3
    assert sessions(billing) - before == 1
    assert billing.rows("SELECT count(*) FROM monarch_history.journal") == [(1000,)]


def test_a_plan_reads_in_a_transaction_that_cannot_write(billing: Billing) -> None:
    billing.migration("one", "self.connection.execute('SELECT 1')")
    with billing.postgres.connect() as connection:
        connection.execute(f"ALTER DATABASE {billing.db_name} SET log_statement = 'all'")
    begin, *others, end = statements(billing, "--plan")
    assert begin.endswith(b"READ ONLY")
    assert end.endswith((b"COMMIT", b"ROLLBACK"))  # there is no history yet
    assert all(b"BEGIN" not in other for other in others)
