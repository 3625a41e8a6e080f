"""What belongs to the database and not to its contents survives a copy: settings, rights, owner, comment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.runs.postgres_pair import End, PostgresPair
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.server

BELONGINGS = """
    SELECT pg_get_userbyid(datdba), datconnlimit, datallowconn, datistemplate, datacl::text, datcollate,
           pg_encoding_to_char(encoding), shobj_description(d.oid, 'pg_database'), ARRAY(
               SELECT concat(setrole::regrole, unnest(setconfig)) FROM pg_db_role_setting
               WHERE setdatabase = d.oid ORDER BY 1)
    FROM pg_database d WHERE datname = current_database()
"""
SETTINGS = (
    'ALTER DATABASE {} SET search_path TO app, "Odd ""Schema", public',
    "ALTER DATABASE {} SET app.tenant TO 'it''s \\ a = b'",
    "ALTER DATABASE {} SET app.\"Up.per\" TO ''",
    "ALTER DATABASE {} SET work_mem TO '7MB'",
    "ALTER DATABASE {} SET datestyle TO 'SQL, DMY'",
    "ALTER DATABASE {} SET timezone TO 'America/St_Johns'",
    "ALTER DATABASE {} SET intervalstyle TO sql_standard",
    "ALTER DATABASE {} SET bytea_output TO escape",
    "ALTER DATABASE {} SET extra_float_digits TO -5",
    "ALTER DATABASE {} SET client_encoding TO 'LATIN1'",
    "ALTER DATABASE {} SET standard_conforming_strings TO off",
    "ALTER DATABASE {} SET statement_timeout TO '2s'",
    "ALTER DATABASE {} SET lock_timeout TO '1ms'",
    "ALTER DATABASE {} SET idle_in_transaction_session_timeout TO '5s'",
    "ALTER DATABASE {} SET default_transaction_read_only TO off",
    "ALTER DATABASE {} SET default_transaction_isolation TO serializable",
    "ALTER DATABASE {} SET default_transaction_deferrable TO on",
    "ALTER DATABASE {} SET row_security TO off",
    "ALTER DATABASE {} SET quote_all_identifiers TO on",
    "ALTER DATABASE {} SET session_preload_libraries TO 'plpgsql'",
    "ALTER DATABASE {} SET temp_tablespaces TO ''",
    "ALTER DATABASE {} SET xmloption TO document",
    "ALTER DATABASE {} SET default_text_search_config TO 'pg_catalog.german'",
    'ALTER ROLE "{role}" IN DATABASE {} SET search_path TO "$user", app',
    "ALTER ROLE \"{role}\" IN DATABASE {} SET app.who TO 'me'",
    "GRANT CONNECT, TEMPORARY ON DATABASE {} TO pg_monitor WITH GRANT OPTION",
    "REVOKE ALL ON DATABASE {} FROM PUBLIC",
    "COMMENT ON DATABASE {} IS E'it''s\\nours'",
    "ALTER DATABASE {} CONNECTION LIMIT 17",
    'ALTER DATABASE {} OWNER TO "{role}"',
)
VALUES = """
    CREATE TABLE kinds (id int PRIMARY KEY, d date, t timestamptz, i interval, b bytea, f float8, s text);
    INSERT INTO kinds VALUES (1, '2024-02-01', '2024-02-01 00:00:00.123456+00', '1 year -2 days +3:04:05',
        '\\x00ff5c', 0.1::float8 + 0.2, 'é''\\');
"""


@pytest.fixture
def role(postgres: PostgresServer) -> Iterator[str]:
    """A role with an odd name, on the server 18."""
    name = "Odd role"
    with postgres.connect() as connection:
        connection.execute(f'CREATE ROLE "{name}"')
    yield name
    with postgres.connect() as connection:
        connection.execute(f'DROP ROLE "{name}"')


def give_belongings(pair: PostgresPair, role: str) -> None:
    for end in (pair.source, pair.target):
        for one in SETTINGS if end is pair.target else SETTINGS[:24]:
            words = one.replace("{role}", role)
            end.run(words.replace("{}", end.name))


def values(end: End) -> list[tuple[Any, ...]]:
    """Return the rows of ``end`` whatever its settings are."""
    with end.connect() as connection:
        connection.execute(
            "SET extra_float_digits TO 1; SET client_encoding TO utf8; SET datestyle TO iso; "
            "SET intervalstyle TO postgres"
        )
        return connection.execute("TABLE kinds").fetchall()


class TestBelongings:
    def test_survive_a_copy(self, pair: PostgresPair, role: str) -> None:
        try:
            pair.source.run(VALUES)
            give_belongings(pair, role)
            before = pair.target.rows(BELONGINGS)
            pair.copy()
            assert pair.target.rows(BELONGINGS) == before
            assert values(pair.target) == values(pair.source)
            pair.copy(in_place=True)
            assert pair.target.rows(BELONGINGS) == before
            archive = pair.back_up()
            pair.restore(archive)
            assert pair.target.rows(BELONGINGS) == before
            assert values(pair.target) == values(pair.source)
        finally:
            pair.target.server.drop(pair.target.name)
            pair.source.server.drop(pair.source.name)

    def test_a_template_stays_one(self, pair: PostgresPair) -> None:
        pair.source.run(VALUES)
        name = pair.target.name
        try:
            pair.target.run(f"ALTER DATABASE {name} IS_TEMPLATE true")
            assert any("is a template of other databases" in text for text in pair.copy())
            assert values(pair.target) == values(pair.source)
            assert pair.target.value(
                "SELECT datistemplate FROM pg_database WHERE datname = current_database()"
            )
            assert pair.leftovers() == []
        finally:
            pair.target.run(f"ALTER DATABASE {name} IS_TEMPLATE false")
