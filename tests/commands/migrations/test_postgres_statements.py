"""What a run costs: its statements and connections, as PostgreSQL itself counts them, and its modules."""

from __future__ import annotations

import re
import subprocess
import sys
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

MIGRATE = """
import sys
from monarch.commands import main
sys.argv[1:] = ["migrate", "dev"]
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def loaded_by(code: str, billing: Billing) -> set[str]:
    """Return the modules that Python has loaded after ``code`` ran in the project."""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=billing.folder.path, capture_output=True, text=True, check=True
    )
    return set(run.stderr.split())


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


def test_few_modules_with_nothing_pending(billing: Billing) -> None:
    billing.migration("one", "self.connection.execute('SELECT 1')")
    assert billing.folder.monarch("migrate", "dev").code == 0
    loaded = loaded_by(MIGRATE, billing)
    least = loaded_by("import sys, click, psycopg; print(*sys.modules, file=sys.stderr)", billing)
    ours = {name for name in loaded if name.partition(".")[0] == "monarch"}
    unneeded = {"backups", "copies", "querysets", "scaffold", "stores"}
    unneeded |= {"databases.selection", "migrations.execution", "migrations.status"}
    assert "psycopg" in loaded
    assert not {f"monarch.{name}" for name in unneeded} & ours
    assert len(ours) <= 106
    more = {"__future__", "gc", "getpass", "migrations", "migrations.settings", "shlex", "termios"}
    # Python encodes the name of the server with them.
    more |= {"encodings.idna", "stringprep", "unicodedata"}
    assert loaded - least - ours <= more


def test_a_plan_reads_in_a_transaction_that_cannot_write(billing: Billing) -> None:
    billing.migration("one", "self.connection.execute('SELECT 1')")
    with billing.postgres.connect() as connection:
        connection.execute(f"ALTER DATABASE {billing.db_name} SET log_statement = 'all'")
    begin, *others, end = statements(billing, "--plan")
    assert begin.endswith(b"READ ONLY")
    assert end.endswith((b"COMMIT", b"ROLLBACK"))  # there is no history yet
    assert all(b"BEGIN" not in other or other.endswith(b"READ ONLY") for other in others)
