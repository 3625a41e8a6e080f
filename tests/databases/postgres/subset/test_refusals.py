"""What a query set of a PostgreSQL database is refused for: one line each, without values of rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import connect
from monarch.databases.postgres.connection.settings import uri
from monarch.databases.postgres.subset.part import Part
from monarch.databases.selection import Selection
from monarch.errors import AccessDenied, MonarchError, ServerError, UsageError
from monarch.querysets.queryset import QuerySet
from monarch.settings.environments import parse_environment
from tests.support.servers.postgres import PostgresServer, empty_database
from tests.support.servers.postgres_parts import Fill, notes_of, refused, rows_of, select

TABLES = """
    CREATE TABLE users (id serial PRIMARY KEY, name text, born date NOT NULL DEFAULT '2014-05-29');
    CREATE TABLE orders (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id integer DEFAULT 1 REFERENCES users,
        secret text NOT NULL, number integer DEFAULT nextval('users_id_seq'), code integer UNIQUE
    );
    CREATE TABLE days (id integer, day date) PARTITION BY RANGE (day);
    CREATE TABLE pairs (a integer, b integer, PRIMARY KEY (a, b));
    CREATE TABLE halves (
        id integer PRIMARY KEY, a integer, b integer, FOREIGN KEY (a, b) REFERENCES pairs MATCH FULL
    );
    CREATE VIEW seen AS SELECT * FROM users;
    CREATE FUNCTION write() RETURNS boolean LANGUAGE sql
        AS $$INSERT INTO users (name) VALUES ('x') RETURNING true$$;
    INSERT INTO users (name) VALUES ('hunter2');
    INSERT INTO orders (secret) VALUES ('hunter2');
    CREATE SCHEMA monarch_history;
    CREATE TABLE monarch_history.history (key text PRIMARY KEY);
    CREATE TABLE monarch_history.lease (id integer PRIMARY KEY);
    INSERT INTO monarch_history.history VALUES ('_201405290038_a');
    INSERT INTO monarch_history.lease VALUES (1);
"""


@pytest.fixture
def tables(filled: Fill) -> Environment:
    return filled(TABLES)


@pytest.fixture(scope="module")
def same_tables(postgres: PostgresServer) -> Iterator[Environment]:
    """A database that no test here changes."""
    with empty_database(postgres) as environment, postgres.connect(environment.db_name) as connection:
        connection.execute(TABLES)
        yield environment


REFUSED: list[tuple[Callable[[Any], object], type[MonarchError], str, str]] = [
    (
        lambda it: it.dump_table("user"),
        UsageError,
        "dump_table() names 'user', and 'billing' has no such table.",
        "Did you mean 'users'?",
    ),
    (
        lambda it: it.dump_table("other.users"),
        UsageError,
        "dump_table() names 'other.users', and",
        "Did you mean 'users'?",
    ),
    (
        lambda it: it.dump_table("seen"),
        UsageError,
        "dump_table() names 'seen', which is a view and not a table.",
        "Name tables only.",
    ),
    (
        lambda it: it.dump_table("users_id_seq"),
        UsageError,
        "which is a sequence and not a table",
        "Name tables only.",
    ),
    (lambda it: it.dump_table("monarch_history.lease"), UsageError, "which is monarch's own.", "Remove it"),
    (
        lambda it: it.follow("users.idd", "orders.user_id"),
        UsageError,
        "follow() names 'idd', and users has no such column.",
        "Did you mean 'id'?",
    ),
    (
        lambda it: it.follow("user.id", "orders.user_id"),
        UsageError,
        "follow() names 'user', and",
        "Did you mean 'users'?",
    ),
    (
        lambda it: it.dump_table("users", "names = %s", ["hunter2"]),
        MonarchError,
        "'billing' rejected the query of users: column \"names\" does not exist",
        "Fix the query in the query set.",
    ),
    (
        lambda it: it.dump_table("users", "name = %s", []),
        MonarchError,
        "rejected the query of users: the query has 1 placeholder",
        "Fix",
    ),
    (
        lambda it: it.dump_table("users", "name = 'a", []),
        MonarchError,
        "rejected the query of users: unterminated quoted string",
        "Fix",
    ),
    (
        lambda it: it.dump_table("users", "name::integer > 5"),
        MonarchError,
        "rejected the query of users: invalid input syntax for type integer: …",
        "Fix",
    ),
    (
        lambda it: it.dump_table("users", order_by="nothing", limit=1),
        MonarchError,
        'column "nothing" does not exist',
        "Fix",
    ),
    (
        lambda it: it.dump_table("users", "names = 1", sample=0.5),
        MonarchError,
        'column "names" does not exist',
        "Fix",
    ),
    (
        lambda it: it.dump_table("users", "write()"),
        MonarchError,
        "rejected the query of users: cannot execute INSERT in a read-only transaction",
        "Fix",
    ),
    (
        lambda it: it.dump_table("users", "true); DELETE FROM users; SELECT (1"),
        MonarchError,
        "rejected the query of users: ",
        "Fix",
    ),
    (
        lambda it: it.dump_table("users", columns=["names"]),
        UsageError,
        "columns= of users names 'names', and users has no such column.",
        "Did you mean 'name'?",
    ),
    (
        lambda it: it.dump_table("users", columns=["name"]),
        UsageError,
        "columns= of users leaves out 'id', which the primary key needs.",
        "Name it, too.",
    ),
    (
        lambda it: it.dump_table("orders", columns=["id", "code"]),
        UsageError,
        "leaves out 'secret', which is NOT NULL and has no default.",
        "Name it, too.",
    ),
    (
        lambda it: it.dump_table("orders", columns=["id", "secret"]),
        UsageError,
        "leaves out 'code', which the unique index 'orders_code_key' needs.",
        "Name it, too.",
    ),
    (
        lambda it: it.dump_table("orders", columns=["id", "secret", "code", "number"]),
        UsageError,
        "leaves out 'user_id', which the foreign key 'orders_user_id_fkey' needs.",
        "Name it, too.",
    ),
    (
        lambda it: it.dump_table("orders", columns=["id", "secret", "code", "user_id"]),
        MonarchError,
        "its default of 'number': cannot execute nextval() in a read-only transaction",
        "Fix",
    ),
    (
        lambda it: it.dump_table("halves", columns=["id", "a"]),
        UsageError,
        "leaves out 'b', which the foreign key 'halves_a_b_fkey' needs.",
        "Name it, too.",
    ),
    (
        lambda it: (it.dump_table("users"), it.dump_table("users", columns=["id"])),
        UsageError,
        "users is selected several times, with different columns",
        "Use the same columns",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message", "hint"), REFUSED, ids=[one[2][:50] for one in REFUSED])
def test_what_is_refused(
    same_tables: Environment,
    call: Callable[[QuerySet], Any],
    kind: type[MonarchError],
    message: str,
    hint: str,
) -> None:
    query_set = QuerySet()
    call(query_set)
    error = refused(same_tables, select(query_set))
    assert type(error) is kind
    assert message in error.message
    assert hint in (error.hint or "")
    assert "hunter2" not in error.message


def test_names_of_only_and_exclude(same_tables: Environment) -> None:
    assert "only() names 'user', and" in refused(same_tables, Selection(only=("user",))).message
    assert (
        "exclude() names 'seen', which is a view"
        in refused(same_tables, Selection(exclude=("seen",))).message
    )
    history = Selection(exclude=("monarch_history.history",))
    assert "exclude() names 'monarch_history.history'" in refused(same_tables, history).message


def test_a_missing_table_may_be_missing(same_tables: Environment) -> None:
    query_set = QuerySet()
    query_set.dump_table("nothing", missing_ok=True)
    assert rows_of(same_tables, select(query_set, only=())) == {"monarch_history.history": 1}


def test_a_follow_starts_somewhere(same_tables: Environment) -> None:
    query_set = QuerySet()
    query_set.follow("users.id", "orders.user_id")
    error = refused(same_tables, select(query_set, only=()))
    assert error.message == "follow() goes from users to orders, but no row of users is selected."
    assert error.hint == "Select some: self.dump_table('users', …)"
    query_set = QuerySet()
    query_set.dump_table("orders")
    query_set.follow("users.id", "pairs.a")
    error = refused(same_tables, select(query_set, only=()))
    assert error.hint == "Start at rows that foreign keys need: self.follow('orders.user_id', 'users.id')"
    query_set.follow("orders.user_id", "users.id")
    found = rows_of(same_tables, select(query_set, only=()))
    assert found == {"orders": 1, "users": 1, "monarch_history.history": 1}


def test_a_follow_that_finds_nothing_is_noted_and_one_of_other_types_refused(
    same_tables: Environment,
) -> None:
    query_set = QuerySet()
    query_set.dump_table("users", "true")
    query_set.follow("users.id", "pairs.a")
    assert notes_of(same_tables, select(query_set, only=())) == (
        "follow('users.id', 'pairs.a') finds no row.",
    )
    query_set.follow("users.name", "orders.id")
    message = refused(same_tables, select(query_set, only=())).message
    assert message == (
        "'billing' rejected the query of follow('users.name', 'orders.id'): operator does not exist: "
        "integer = text"
    )


def test_a_follow_of_several_columns(same_tables: Environment) -> None:
    query_set = QuerySet()
    query_set.follow("pairs.(a, b)", "halves.(a)")
    error = refused(same_tables, select(query_set))
    assert error.message == "follow('pairs.(a, b)', 'halves.a') has another number of columns on each side."
    query_set = QuerySet()
    query_set.follow("pairs.(a, c)", "halves.(a, b)")
    error = refused(same_tables, select(query_set))
    assert error.message == "follow() names 'c', and pairs has no such column."


def test_large_objects_are_noted(filled: Fill) -> None:
    environment = filled("SELECT lo_create(0); SELECT lo_create(0)")
    assert notes_of(environment, Selection()) == (
        "2 large objects are left out: a query set selects rows of tables.",
    )
    with psycopg.connect(uri(environment), autocommit=True) as connection:
        connection.execute("SELECT lo_unlink(min(oid)) FROM pg_largeobject_metadata")
    (note,) = notes_of(environment, Selection())
    assert note.startswith("1 large object is left out")


@pytest.fixture
def reader(tables: Environment, postgres: PostgresServer) -> Any:
    role = f"r_{uuid.uuid4().hex}"
    with postgres.connect(tables.db_name) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'r'")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        connection.execute(f'REVOKE TEMPORARY ON DATABASE "{tables.db_name}" FROM PUBLIC')
    made = f"postgresql://{role}:r@localhost:{postgres.port}/{tables.db_name}"
    yield parse_environment("billing", {"uri": made})
    with postgres.connect(tables.db_name) as connection:
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


def test_a_user_without_the_right_to_temporary_tables(reader: Environment) -> None:
    error = refused(reader, Selection())
    assert isinstance(error, AccessDenied)
    assert "may not create temporary tables in 'billing'" in error.message
    assert f"GRANT TEMPORARY ON DATABASE {reader.db_name} TO {reader.username}" in (error.hint or "")


def test_a_user_whom_row_security_hides_rows_or_who_may_not_read(
    reader: Environment, tables: Environment, postgres: PostgresServer
) -> None:
    with postgres.connect(tables.db_name) as connection:
        connection.execute(f'GRANT TEMPORARY ON DATABASE "{tables.db_name}" TO PUBLIC')
        connection.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    query_set = QuerySet()
    query_set.dump_table("users", "true")
    error = refused(reader, select(query_set, only=("pairs",)))
    assert isinstance(error, ServerError)
    assert "query would be affected by row-level security policy" in error.message
    error = refused(reader, Selection(only=("pairs",)))  # and the history
    assert "permission denied for schema monarch_history" in error.message


def test_a_database_that_is_read_only_by_its_settings(tables: Environment) -> None:
    with psycopg.connect(uri(tables), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{tables.db_name}" SET default_transaction_read_only = on')
    query_set = QuerySet()
    query_set.dump_table("users", "true")
    # Its own transaction writes a temporary table only.
    assert rows_of(tables, select(query_set, only=()))["users"] == 1
    with connect(tables) as connection:
        connection.read_only = True
        with pytest.raises(UsageError, match="and 'billing' is read-only") as raised:
            Part(connection, Selection(), tables)
        assert "keeps what it selects in a temporary table" in raised.value.message


def test_nothing_stays_on_the_server(same_tables: Environment) -> None:
    with connect(same_tables) as connection:
        Part(connection, Selection(), same_tables)
        connection.rollback()
        found = connection.execute(
            "SELECT to_regclass('pg_temp.monarch_rows'), current_setting('search_path')"
        )
        assert found.fetchall() == [(None, '"$user", public')]
