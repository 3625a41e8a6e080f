"""With --in-place all of a copy happens or nothing, whatever the dump holds."""

from __future__ import annotations

import pytest

from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.lease import PostgresLease
from monarch.databases.postgres.swap.in_place import Script
from monarch.databases.postgres.tools.installed import PostgresEngine
from monarch.errors import ServerError
from tests.support.runs.postgres_pair import PostgresPair

pytestmark = pytest.mark.server

# A foreign key that the rows break is only found when all of them have arrived.
BROKEN_LATE = (
    "CREATE TABLE parents (id int PRIMARY KEY)",
    "CREATE TABLE children (id int REFERENCES parents)",
    "ALTER TABLE children DISABLE TRIGGER ALL",
    "INSERT INTO children VALUES (4711)",
)
LARGE = "SELECT lo_from_bytea(77, 'content')"


class TestInPlace:
    @pytest.mark.parametrize("versions", ["18 to 18", "15 to 15"], indirect=True)
    def test_large_objects_do_not_end_the_transaction(self, versions: PostgresPair) -> None:
        # pg_restore prints BEGIN and COMMIT around them.
        versions.source.run(LARGE, *BROKEN_LATE)
        versions.give_history()
        before = versions.target.dump()
        with pytest.raises(ServerError, match="children_id_fkey") as error:
            versions.copy(in_place=True)
        assert "4711" not in str(error.value)
        assert versions.target.dump() == before
        assert versions.target.rows("SELECT key FROM monarch_history.history") == [("kept",)]

    @pytest.mark.parametrize("versions", ["18 to 18", "15 to 15"], indirect=True)
    def test_large_objects_arrive(self, versions: PostgresPair) -> None:
        versions.source.run(LARGE, "CREATE TABLE big (id int)", "INSERT INTO big VALUES (1)")
        versions.copy(in_place=True)
        assert versions.target.dump() == versions.source.dump()

    def test_a_failure_ends_it_while_much_is_left_to_read(self, pair: PostgresPair) -> None:
        pair.source.run(
            "SET check_function_bodies = off",
            "CREATE FUNCTION known(int) RETURNS boolean LANGUAGE sql "
            "AS 'SELECT EXISTS (SELECT FROM nowhere)'",
            "CREATE TABLE zoo (id int, pad text)",
            "ALTER TABLE zoo ALTER pad SET STORAGE EXTERNAL",
            "INSERT INTO zoo SELECT n, repeat('x', 1000000) FROM generate_series(1, 40) n",
            "CREATE TABLE dogs (id int CHECK (known(id)))",
            "CREATE TABLE nowhere ()",
            "INSERT INTO nowhere DEFAULT VALUES",
            "INSERT INTO dogs VALUES (1)",
        )
        with pytest.raises(ServerError, match="cannot write into 'dev'"):
            pair.copy(in_place=True)
        assert pair.target.rows("SELECT count(*) FROM old_things") == [(2,)]


def test_what_cascade_takes_along_is_in_nobodys_way(pair: PostgresPair) -> None:
    """The server fetches names in parts, and those that come later may be gone by then."""
    pair.target.run(
        "CREATE TABLE first (id int PRIMARY KEY)",
        *(f"CREATE VIEW view_{number} AS SELECT * FROM first" for number in range(100)),
        *(f"CREATE TABLE child_{number} () INHERITS (first)" for number in range(100)),
    )
    pair.copy(in_place=True)
    with pair.project().open("dev") as database:
        database.drop()
    assert pair.target.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


KILLERS = {
    # A shell of psql's ends it: what its script says, and not what monarch is called.
    "before": ("\\! kill -9 $PPID\n", ""),
    "after": ("", "\\! kill -9 $PPID\n"),
}


@pytest.mark.parametrize("moment", KILLERS)
def test_a_psql_that_is_killed_around_its_commit(moment: str, pair: PostgresPair) -> None:
    before, after = KILLERS[moment]
    with pair.project().open("dev") as database, database.lease("a test"):
        environment = pair.project().environment("dev")
        session = Session(environment)
        engine = PostgresEngine()
        lease = PostgresLease(session, "a test")
        with Script(session, engine.choose(18, 18), session.open(), lease, []) as script:
            state = script.state()
            script.send("BEGIN;\nALTER SCHEMA monarch_history RENAME TO kept;\n")
            script.send(f"ALTER SCHEMA kept RENAME TO monarch_history;\n{before}COMMIT;\n{after}")
            assert script.has_committed(state) == (moment == "after")
        session.close()
