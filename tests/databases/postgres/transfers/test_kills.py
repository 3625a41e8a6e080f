"""What is left when monarch or a connection is killed during a transfer."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg.rows import dict_row

from monarch import Project
from monarch.databases.postgres.schema import create_schema
from monarch.errors import ServerError
from tests.support.runs.postgres_pair import End, PostgresPair
from tests.support.runs.shell import Folder
from tests.support.servers.mortal_postgres import MortalPostgres, run_mortal_postgres
from tests.support.servers.postgres_proxy import PostgresProxy

pytestmark = [pytest.mark.server, pytest.mark.command]

CONTENTS = {
    "first": (
        "CREATE TABLE dogs (id serial PRIMARY KEY, name text)",
        "INSERT INTO dogs (name) SELECT md5(n::text) FROM generate_series(1, 2000) n",
        "CREATE TABLE of_first (id int PRIMARY KEY REFERENCES dogs)",
        "CREATE VIEW either AS SELECT 1 AS a",
        "SELECT lo_from_bytea(77, 'first')",
    ),
    "second": (
        "CREATE TABLE dogs (id serial PRIMARY KEY, name text, age int)",
        "INSERT INTO dogs (name) SELECT md5(n::text) FROM generate_series(1, 1000) n",
        "CREATE INDEX ON dogs (name)",
        "CREATE TABLE either (id int)",
        "CREATE TYPE of_second AS ENUM ('a')",
    ),
}
# Far longer than a transfer takes, even on a busy machine.
SECONDS = 90
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'monarch%'"


@dataclass
class Scenario:
    """A target that has the contents ``current`` of one of two sources."""

    folder: Folder
    mortal: MortalPostgres
    ends: dict[str, End]
    dumps: dict[str, list[str]]
    temporary: Path
    current: str = "first"

    @property
    def other(self) -> str:
        return "second" if self.current == "first" else "first"

    def project(self) -> Project:
        return Project(self.folder.path)

    def start_copy(self) -> subprocess.Popen[str]:
        """Start a copy of the contents that the target does not have."""
        return self.folder.start("copy_db", f"{self.other}:dev", "--yes")

    def sessions(self) -> list[int]:
        return [pid for (pid,) in End(self.mortal.server, "postgres").rows(SESSIONS)]

    def await_end(self) -> None:
        """Wait until all that has belonged to a killed run has ended by itself."""
        deadline = time.monotonic() + SECONDS
        while self.sessions():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def require_contents(self) -> str:
        """Check that the target has all contents of one source, and what is its own; return which."""
        dump, target = self.ends["dev"].dump(), self.ends["dev"]
        (found,) = [name for name, contents in self.dumps.items() if contents == dump]
        assert target.rows("SELECT key FROM monarch_history.history") == [(found,)]
        (first, *_, last) = target.rows("SELECT key FROM monarch_history.journal ORDER BY id")
        # Who has brought these contents arrives with them.
        assert (first, last) == (("kept",), (f"copy_db {found}:dev",))
        return found

    def require_next_copy(self) -> None:
        """The next copy works, and removes what the killed one has left."""
        self.project().copy(self.other, "dev")
        self.current = self.other
        assert self.require_contents() == self.current
        assert self.ends["dev"].rows("SELECT datname FROM pg_database WHERE datname LIKE '%monarch%'") == []


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    folder = Folder(tmp_path_factory.mktemp("project"))
    temporary = tmp_path_factory.mktemp("temporary")
    folder.variables["TMPDIR"] = str(temporary)
    with run_mortal_postgres() as mortal:
        ends = {name: End(mortal.server, name) for name in (*CONTENTS, "dev")}
        for name, end in ends.items():
            mortal.server.create(name)
            with end.connect() as connection:
                create_schema(connection.cursor(row_factory=dict_row))
            end.run(*CONTENTS.get(name, ()))
        for name in CONTENTS:
            ends[name].run(f"INSERT INTO monarch_history.history VALUES ('{name}', 'Completed', now())")
        ends["dev"].run(
            "INSERT INTO monarch_history.journal (attempt, key, action, started_at, process) "
            "VALUES (gen_random_uuid(), 'kept', 'run', now(), '{}')"
        )
        folder.settings(**{name: {"uri": mortal.server.uri(name)} for name in ends})
        folder.keep_backups()
        project = Project(folder.path)
        project.copy("first", "dev")
        ends["dev"].run("CHECKPOINT")  # otherwise sequences skip values when the server is killed
        dumps = {name: ends[name].dump() for name in CONTENTS}
        yield Scenario(folder, mortal, ends, dumps, temporary)


def test_a_killed_monarch_leaves_no_file(scenario: Scenario) -> None:
    # Its indexes take so long that the kill comes while they are created.
    scenario.ends[scenario.other].run(
        "CREATE TABLE slow AS SELECT 1 AS id",
        "CREATE FUNCTION slowly(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(1)'",
        "CREATE INDEX ON slow (slowly(id))",
    )
    process = scenario.start_copy()
    creating = "SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%slowly%' AND state = 'active'"
    while process.poll() is None and not End(scenario.mortal.server, "postgres").rows(creating):
        pass
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert list(scenario.temporary.iterdir()) == []
    scenario.ends[scenario.other].run("DROP TABLE slow", "DROP FUNCTION slowly")
    scenario.await_end()
    scenario.require_next_copy()


QUERY_SET = """
from monarch import QuerySet

class SomeQuerySet(QuerySet):
    def run(self):
        self.dump_table("dogs", "id < 10")
"""
# What a backup sends: the text of a message, the number of the one at which it is cut off, and its query set.
CUT_OFF = {
    "whole": (b"relkind IN ('r', 'v', 'm') AND relpersistence", 2, None),
    "part": (b"COPY (SELECT", 1, "SomeQuerySet"),
}


@pytest.mark.parametrize("name", CUT_OFF)
def test_a_source_that_is_cut_off_is_named(pair: PostgresPair, name: str) -> None:
    text, number, query_set = CUT_OFF[name]
    pair.source.run("CREATE TABLE dogs AS SELECT n AS id FROM generate_series(1, 100) n")
    pair.folder.write("querysets/some.py", QUERY_SET)
    server = pair.source.server
    with PostgresProxy(server.port, text) as proxy:
        uri = server.uri(pair.source.name).replace(f"localhost:{server.port}", f"127.0.0.1:{proxy.port}")
        pair.folder.settings(production={"uri": f"{uri}?sslmode=disable&gssencmode=disable"})
        pair.folder.keep_backups()
        proxy.at(number, "before", lambda: None)
        with pytest.raises(ServerError, match="'production'"):
            pair.project().backup("production", query_set=query_set)
        assert proxy.hit
    assert pair.project().list_backups() == ()
