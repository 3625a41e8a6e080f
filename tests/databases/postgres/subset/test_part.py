"""Parts of a PostgreSQL database: real servers, real pg_dump and pg_restore."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import uri
from monarch.databases.selection import Selection
from monarch.errors import MonarchError
from monarch.querysets.queryset import QuerySet
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.postgres_parts import contents_of, dump_part, open_part, restore, select

SHOP = """
    CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, boss integer REFERENCES users);
    CREATE TABLE products (id integer PRIMARY KEY, name text);
    CREATE TABLE orders (
        id integer PRIMARY KEY, user_id integer NOT NULL REFERENCES users, state text DEFAULT 'new', note text
    );
    CREATE TABLE items (
        order_id integer REFERENCES orders, product_id integer REFERENCES products, number integer,
        PRIMARY KEY (order_id, product_id)
    );
    CREATE TABLE logs (line text);
    INSERT INTO users (name, boss) VALUES ('chief', NULL), ('ann', 1), ('bob', 2), ('cid', 1), ('dan', NULL);
    INSERT INTO products SELECT g, 'p' || g FROM generate_series(1, 9) g;
    INSERT INTO orders SELECT g, 1 + g % 5, CASE WHEN g % 10 = 1 THEN 'open' ELSE 'done' END, 'n' || g
        FROM generate_series(1, 40) g;
    INSERT INTO items SELECT o, p, o * p FROM generate_series(1, 40) o, generate_series(1, 2) p;
    INSERT INTO logs SELECT 'line ' || g FROM generate_series(1, 7) g;
"""
Fill = Callable[[str], Environment]


@pytest.fixture
def filled(billing: Environment) -> Fill:
    def fill(statements: str) -> Environment:
        with psycopg.connect(uri(billing)) as connection:
            connection.execute(statements)
        return billing

    return fill


@pytest.fixture
def target(postgres: PostgresServer) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    postgres.create(name)
    yield name
    postgres.drop(name)


def rows_of(environment: Environment, selection: Selection) -> dict[str, int]:
    with open_part(environment, selection) as (part, _):
        return {one.title: one.rows for one in part.tables if one.rows}


def refused(environment: Environment, selection: Selection) -> MonarchError:
    with pytest.raises(MonarchError) as raised, open_part(environment, selection):
        pass
    for text in (raised.value.message, raised.value.hint or ""):
        assert "\n" not in text
    return raised.value


def test_a_part_is_restored_with_what_its_foreign_keys_need(
    filled: Fill, postgres: PostgresServer, target: str
) -> None:
    shop = filled(SHOP)
    query_set = QuerySet()
    query_set.dump_table("orders", "state = %s", ["open"])
    query_set.follow("orders.id", "items.order_id")
    dumped = dump_part(shop, select(query_set, exclude=("logs",), only=()), postgres.programs)
    # Orders 1, 11, 21 and 31 are all of user 2, whose boss is 1.
    assert dumped.rows() == {"orders": 4, "items": 8, "products": 2, "users": 2}
    assert dumped.part.filters == (
        "items: follow('orders.id', 'items.order_id')",
        "orders: state = %s",
        "products: what foreign keys need",
        "users: what foreign keys need",
    )
    assert dumped.part.notes == ()
    restore(dumped.archive, postgres.uri(target), postgres.programs, "-1")
    with postgres.connect(target) as copy:
        assert contents_of(copy, "users") == [(1, "chief", None), (2, "ann", 1)]
        assert [row[0] for row in contents_of(copy, "orders")] == [1, 11, 21, 31]
        assert len(contents_of(copy, "items")) == 8
        assert contents_of(copy, "logs") == []
        # The sequence goes on where it was.
        assert copy.execute("INSERT INTO users (name) VALUES ('new') RETURNING id").fetchall() == [(6,)]
