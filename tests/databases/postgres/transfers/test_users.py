"""Transfers into a database of a user who is no superuser."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from monarch.databases.postgres.connection.maintenance import staging_name
from monarch.databases.postgres.database import PostgresDatabase
from monarch.errors import MonarchError
from monarch.progress import SILENT
from tests.support.runs.postgres_pair import PostgresPair
from tests.support.servers.postgres import run_postgres

pytestmark = pytest.mark.server


@pytest.fixture
def maker(pair: PostgresPair) -> Iterator[str]:
    """The owner of the target, with whom the project connects, and who may create databases."""
    name = f"maker_{uuid.uuid4().hex}"
    pair.target.run(
        f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD 'hush'",
        f"ALTER DATABASE {pair.target.name} OWNER TO {name}",
        f"ALTER TABLE old_things OWNER TO {name}",
    )
    address = f"localhost:{pair.target.server.port}/{pair.target.name}"
    pair.folder.settings(
        production={"uri": pair.source.server.uri(pair.source.name)},
        dev={"uri": f"postgresql://{name}:hush@{address}"},
    )
    pair.folder.keep_backups()
    yield name
    pair.target.server.drop(pair.target.name)
    with pair.target.server.connect() as connection:
        connection.execute(f"DROP ROLE {name}".encode())


def owners(pair: PostgresPair) -> list[tuple[str, ...]]:
    return pair.target.rows(
        "SELECT tableowner, pg_get_userbyid(datdba) FROM pg_tables, pg_database "
        "WHERE tablename = 'things' AND datname = current_database()"
    )


def test_the_right_to_create_databases_is_enough(pair: PostgresPair, maker: str) -> None:
    pair.source.run("CREATE TABLE things (id int PRIMARY KEY)", "INSERT INTO things VALUES (1)")
    (note,) = pair.copy()
    assert f"everything will belong to '{maker}'" in note
    assert owners(pair) == [(maker, maker)]
    assert pair.leftovers() == []


def test_a_session_that_this_user_may_not_end(pair: PostgresPair, maker: str) -> None:
    pair.source.run("CREATE TABLE things (id int PRIMARY KEY)")
    with pair.target.connect(), pytest.raises(MonarchError, match="session") as caught:
        pair.copy()
    assert "is as it was" in caught.value.message
    assert "pg_signal_backend" in str(caught.value.hint)
    assert pair.target.rows("SELECT count(*) FROM old_things") == [(2,)]
    assert pair.leftovers() == []


SIMPLE = ("CREATE TABLE things (id int PRIMARY KEY)", "INSERT INTO things VALUES (1)")


def test_the_times_that_statements_may_take_do_not_hold(pair: PostgresPair, maker: str) -> None:
    pair.source.run(
        *SIMPLE,
        "INSERT INTO things SELECT generate_series(2, 60)",
        # ANALYZE calls it for every row.
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "'BEGIN PERFORM pg_sleep(0.05); RETURN $1; END'",
        "CREATE INDEX ON things (slow(id))",
    )
    pair.target.run(f"ALTER DATABASE {pair.target.name} SET statement_timeout = '2s'")
    pair.copy()
    assert pair.target.value("SELECT count(*) FROM things") == 60


def test_a_setting_that_only_a_superuser_may_change_stays(pair: PostgresPair, maker: str) -> None:
    pair.source.run(*SIMPLE)
    pair.target.run(f"ALTER DATABASE {pair.target.name} SET log_min_duration_statement = '250ms'")
    *_, note = pair.copy()
    assert "in place, in one transaction: only a superuser may carry over its setting" in note
    assert pair.target.value("SELECT count(*) FROM things") == 1
    assert pair.target.value("SHOW log_min_duration_statement") == "250ms"


def test_a_publication_of_the_target_stays(pair: PostgresPair) -> None:
    pair.source.run(*SIMPLE)
    pair.target.run("CREATE PUBLICATION everything FOR ALL TABLES")
    (note,) = pair.copy()
    assert "it has the publication 'everything'" in note
    assert pair.target.value("SELECT count(*) FROM pg_publication") == 1
    assert pair.target.value("SELECT count(*) FROM things") == 1


def test_what_publications_lose_is_reported(pair: PostgresPair) -> None:
    pair.source.run(*SIMPLE)
    pair.target.run(
        "CREATE SCHEMA shop",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "CREATE PUBLICATION a FOR TABLE old_things",
        "CREATE PUBLICATION b FOR TABLES IN SCHEMA public, shop",
        "CREATE PUBLICATION c FOR TABLES IN SCHEMA public",
    )
    _, *notes = pair.copy()
    assert [note.split()[2] for note in notes] == ["'a'", "'b'"]
    assert pair.target.rows("SELECT * FROM pg_publication_rel") == []


def test_an_event_trigger_is_refused_before_anything_begins(pair: PostgresPair, maker: str) -> None:
    pair.source.run(
        *SIMPLE,
        "CREATE FUNCTION quiet() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER sees_all ON ddl_command_end EXECUTE FUNCTION quiet()",
    )
    try:
        archive = pair.back_up()
        with pytest.raises(MonarchError, match="Only a superuser may create the event trigger sees_all"):
            pair.copy()
        with pytest.raises(MonarchError, match="Only a superuser may create the event trigger sees_all"):
            pair.restore(archive)
    finally:
        pair.source.run("DROP EVENT TRIGGER sees_all")
    assert pair.target.value("SELECT count(*) FROM old_things") == 2


def test_rows_that_their_owner_would_not_see(pair: PostgresPair, maker: str) -> None:
    pair.source.run(
        *SIMPLE,
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE things FORCE ROW LEVEL SECURITY",
    )
    with pytest.raises(MonarchError, match="would not see the rows of 'things'"):
        pair.copy()


def test_a_role_for_which_the_user_may_not_act(pair: PostgresPair, maker: str) -> None:
    """Since 16 who creates a role may administer it, and not act for it."""
    other = f"other_{uuid.uuid4().hex}"
    pair.target.run(f"ALTER ROLE {maker} CREATEROLE")
    with psycopg.connect(
        pair.target.server.uri(pair.target.name), user=maker, password="hush", autocommit=True
    ) as connection:
        connection.execute(f"CREATE ROLE {other}".encode())
    pair.source.run(
        *SIMPLE,
        f"ALTER TABLE things OWNER TO {other}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {other} GRANT SELECT ON TABLES TO {maker}",
    )
    try:
        notes = pair.copy()
        assert any(f"everything will belong to '{maker}'" in note for note in notes), notes
        assert any("none are carried over" in note for note in notes), notes
        assert owners(pair) == [(maker, maker)]
    finally:
        pair.source.run(f"DROP OWNED BY {other}")
        with pair.target.server.connect() as connection:
            connection.execute(f"DROP ROLE {other}".encode())


def test_a_reader_of_the_target_is_not_waited_for_without_end(pair: PostgresPair) -> None:
    pair.source.run(*SIMPLE)
    pair.folder.settings(
        production={"uri": pair.source.server.uri(pair.source.name)},
        dev={"uri": pair.target.server.uri(pair.target.name), "lock_timeout": 0.2},
    )
    with pair.target.connect() as reader:
        reader.autocommit = False
        reader.execute("SELECT * FROM old_things")
        with pytest.raises(MonarchError, match="another session locks a table"):
            pair.copy(in_place=True)
    assert pair.target.value("SELECT count(*) FROM old_things") == 2


def test_a_database_that_is_called_postgres(pair: PostgresPair) -> None:
    pair.source.run(*SIMPLE)
    with run_postgres() as server:
        pair.folder.settings(
            production={"uri": pair.source.server.uri(pair.source.name)}, dev={"uri": server.uri("postgres")}
        )
        pair.copy()
        with server.connect("postgres") as connection:
            assert connection.execute("SELECT count(*) FROM things").fetchone() == (1,)
            assert connection.execute(
                "SELECT datname FROM pg_database WHERE NOT datistemplate"
            ).fetchall() == [("postgres",)]


def test_the_planner_knows_the_tables(pair: PostgresPair) -> None:
    pair.source.run(*SIMPLE)
    pair.copy()
    assert pair.target.value("SELECT count(*) FROM pg_stats WHERE tablename = 'things'") == 1


def test_who_has_lost_the_lease_leaves_the_staging_of_the_next_run(pair: PostgresPair) -> None:
    pair.source.run(*SIMPLE)
    new = staging_name(pair.target.name)
    with pair.project().open("dev") as target, pair.project().open("production") as source:
        assert isinstance(target, PostgresDatabase)
        assert isinstance(source, PostgresDatabase)
        engine = target.choose_engine("auto")
        contents = source.read(engine)
        with target.lease("a test") as lease:
            # Another run takes over, and builds its own copy under the same name.
            pair.target.run(
                "UPDATE monarch_history.lease SET fence = fence + 1, run = gen_random_uuid()::text"
            )
            pair.target.server.create(new)
            with pytest.raises(MonarchError):
                target.replace(contents, engine, lease, "a test", progress=SILENT)
    assert pair.leftovers() == [new]
    pair.target.server.drop(new)


def test_things_of_every_kind_are_replaced_in_place_twice(pair: PostgresPair) -> None:
    pair.source.run(
        *SIMPLE,
        "CREATE FOREIGN DATA WRAPPER wrapper",
        "CREATE SERVER far FOREIGN DATA WRAPPER wrapper",
        "CREATE CONVERSION turned FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
        "CREATE OPERATOR FAMILY family USING btree",
        "CREATE FUNCTION quiet() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER sees_all ON ddl_command_end EXECUTE FUNCTION quiet()",
        "CREATE TEXT SEARCH CONFIGURATION words (COPY = simple)",
    )
    pair.copy(in_place=True)
    pair.copy(in_place=True)
    assert pair.target.value("SELECT count(*) FROM things") == 1
    with pair.project().open("dev") as database:
        database.drop()
    left = pair.target.dump("--schema-only")
    assert not [line for line in left if line.startswith("CREATE")]
