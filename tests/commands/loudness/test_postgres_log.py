"""What the log says of PostgreSQL: statements and programs, without contents and secrets."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.runs.postgres_pair import make_pair
from tests.support.servers.mongod import PASSWORD
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.server

MIGRATION = """
from monarch import PostgresBackedMigration

class PlantedMigration(PostgresBackedMigration):
    def run(self):
        self.connection.execute("INSERT INTO old_things VALUES (4711001)")
        self.connection.execute("CREATE TABLE people (mail text UNIQUE)")
        both = "INSERT INTO people VALUES ('ann-4711@example.com'), (%s)"
        self.connection.execute(both, ["bob-4711@example.com"])
        self.connection.execute("INSERT INTO people VALUES ('ann-4711@example.com')")
"""


def test_no_contents_are_logged(tmp_path: Path, postgres: PostgresServer) -> None:
    with make_pair(tmp_path, postgres, postgres) as pair:
        folder = pair.folder
        pair.source.run("CREATE TABLE users (id int PRIMARY KEY)", "INSERT INTO users VALUES (4711002)")
        folder.write("migrations/_201405290000_planted_migration.py", MIGRATION)
        everything = ""
        for command in (
            ("migrate", "dev", "--yes"),
            ("copy_db", "production:dev", "--yes"),
            ("backup", "production"),
            ("drop_db", "dev", "--yes"),
        ):
            result = folder.monarch(*command, "-v", "--log-file", "log")
            spoken = [one for one in result.err.splitlines() if one.startswith(("database:", "program:"))]
            everything += "\n".join(spoken)
        log = (folder.path / "log").read_text()
    assert "database: INSERT INTO people VALUES (?), (%s)" in log
    assert "program: starting" in log
    assert "pg_dump ended with 0" in log
    for secret in (PASSWORD, quote(PASSWORD), "4711001", "4711002", "ann-4711", "bob-4711"):
        assert secret not in log + everything, secret
