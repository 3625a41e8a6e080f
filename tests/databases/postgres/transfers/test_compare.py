"""A copy that differs from its source in anything is found before it is swapped in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from monarch.databases.postgres.catalog.tables import list_relations
from monarch.databases.postgres.connection.client import connect
from monarch.databases.postgres.sources.base import Expected
from monarch.databases.postgres.sources.snapshot import ExportedSnapshot
from monarch.databases.postgres.swap.compare import compare
from monarch.errors import ServerError
from tests.support.runs.postgres_pair import PostgresPair, make_pair
from tests.support.samples.postgres_contents import CONTENTS, REPHRASED
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.server

DIFFERENCES = (
    "DELETE FROM other.told",
    "DELETE FROM dogs",
    "INSERT INTO two VALUES (77, 1)",
    'DROP TABLE "日本 語"',
    "CREATE TABLE one_more (id int)",
    "CREATE SCHEMA one_more",
    "DROP VIEW _before",
    "DROP MATERIALIZED VIEW unfilled",
    "DROP SEQUENCE unused",
    "DROP FUNCTION over(int)",
    "DROP INDEX orders_day",
    "DROP INDEX partial",
    "DROP INDEX a_second_m_idx",
    "ALTER TABLE orders DETACH PARTITION orders_other",
    "ALTER TABLE tree DROP CONSTRAINT tree_parent_fkey",
    "ALTER TABLE tree DROP CONSTRAINT tree_pkey CASCADE",
    "ALTER TABLE rooms DROP CONSTRAINT rooms_at_excl",
    "ALTER TABLE loose DROP CONSTRAINT not_yet",
    "ALTER TABLE animals ALTER name DROP NOT NULL",
    "ALTER TABLE kinds ALTER m DROP DEFAULT",
    "ALTER TABLE kinds ALTER twice DROP EXPRESSION",
    "ALTER TABLE kinds ALTER id DROP IDENTITY",
    "ALTER TABLE kinds ALTER f TYPE real",
    'ALTER TABLE kinds ALTER col TYPE text COLLATE "POSIX"',
    "ALTER TABLE kinds DROP COLUMN u",
    "ALTER TABLE puppies NO INHERIT dogs",
    "ALTER TABLE watched ENABLE TRIGGER a",
    "DROP TRIGGER b ON watched",
    "DROP RULE quiet ON watched",
    "DROP EVENT TRIGGER sees_all",
    "ALTER TABLE secret DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE secret NO FORCE ROW LEVEL SECURITY",
    "DROP POLICY own ON secret",
    "CREATE OR REPLACE VIEW firsts AS SELECT id, 2 AS one FROM watched",
    "ALTER VIEW seconds RESET (security_barrier)",
    "CREATE OR REPLACE FUNCTION over(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + 1",
    "ALTER DOMAIN positive DROP CONSTRAINT small",
    "ALTER DOMAIN positive DROP DEFAULT",
    "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
    "ALTER TYPE pair ADD ATTRIBUTE c int CASCADE",
    "DROP STATISTICS both_of",
    "DROP OPERATOR === (int, int)",
    "ALTER TABLE printed DROP CONSTRAINT printed_a_check, "
    "ADD CONSTRAINT printed_a_check CHECK (a IN ('a', 'c'))",
    "ALTER TABLE two REPLICA IDENTITY DEFAULT",
    "ALTER TABLE quick SET LOGGED",
    "ALTER SEQUENCE down INCREMENT -3",
    "SELECT lo_unlink(4711)",
)


@pytest.fixture(scope="module")
def copied(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[tuple[PostgresPair, Expected]]:
    with make_pair(tmp_path_factory.mktemp("pair"), postgres, postgres) as pair:
        pair.source.run(*chain.from_iterable({**CONTENTS, **REPHRASED}.values()))
        pair.copy()
        with ExportedSnapshot(pair.project().environment("production")) as snapshot:
            tables = [one.table for one in list_relations(snapshot.cursor()) if one.kind == "table"]
            yield pair, snapshot.expected(tables, hashes=False)


class TestCompare:
    @pytest.mark.parametrize("statement", DIFFERENCES)
    def test_finds(self, statement: str, copied: tuple[PostgresPair, Expected]) -> None:
        pair, expected = copied
        with connect(pair.project().environment("dev")) as connection:
            compare(connection, expected, "dev")
            connection.execute("SET LOCAL search_path TO public")
            connection.execute(statement.encode())
            with pytest.raises(ServerError, match="differs from its source"):
                compare(connection, expected, "dev")
            connection.rollback()

    @pytest.mark.parametrize(("name", "value"), [("plain", 41), ("small", 1), ("down", -3)])
    def test_finds_a_sequence_that_is_behind(
        self, name: str, value: int, copied: tuple[PostgresPair, Expected]
    ) -> None:
        pair, expected = copied
        before = pair.target.value(f"SELECT last_value FROM {name}")
        pair.target.run(f"SELECT setval('{name}', {value})")
        with (
            connect(pair.project().environment("dev"), autocommit=True) as connection,
            pytest.raises(ServerError, match=f"sequence public.{name} is behind"),
        ):
            compare(connection, expected, "dev")
        pair.target.run(f"SELECT setval('{name}', {before})")
