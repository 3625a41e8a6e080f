"""Which rows a query set selects of a PostgreSQL database, and what comes out of pg_restore."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from monarch.databases.environment import Environment
from monarch.databases.postgres.archive.blocks import rows_as_block
from monarch.databases.selection import Selection
from monarch.querysets.queryset import QuerySet
from tests.support.servers.postgres import PostgresServer, empty_database
from tests.support.servers.postgres_parts import (
    Fill,
    contents_of,
    dump_part,
    notes_of,
    open_part,
    restore,
    rows_of,
    select,
)

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


def test_a_part_is_restored_with_what_its_foreign_keys_need(version: PostgresServer) -> None:
    with empty_database(version) as shop, empty_database(version) as copy:
        with version.connect(shop.db_name) as connection:
            connection.execute(SHOP)
        restore_part(shop, version, copy.db_name)


def restore_part(shop: Environment, server: PostgresServer, target: str) -> None:
    query_set = QuerySet()
    query_set.dump_table("orders", "state = %s", ["open"])
    query_set.follow("orders.id", "items.order_id")
    dumped = dump_part(shop, select(query_set, exclude=("logs",), only=()), server.programs)
    # Orders 1, 11, 21 and 31 are all of user 2, whose boss is 1.
    assert dumped.rows() == {"orders": 4, "items": 8, "products": 2, "users": 2}
    assert dumped.part.filters == (
        "items: follow('orders.id', 'items.order_id')",
        "orders: state = %s",
        "products: what foreign keys need",
        "users: what foreign keys need",
    )
    assert dumped.part.notes == ()
    restore(dumped.archive, server.uri(target), server.programs, "-1")
    with server.connect(target) as copy:
        assert contents_of(copy, "users") == [(1, "chief", None), (2, "ann", 1)]
        assert [row[0] for row in contents_of(copy, "orders")] == [1, 11, 21, 31]
        assert len(contents_of(copy, "items")) == 8
        assert contents_of(copy, "logs") == []
        # The sequence goes on where it was.
        assert copy.execute("INSERT INTO users (name) VALUES ('new') RETURNING id").fetchall() == [(6,)]


def test_tables_that_nothing_names_are_whole_and_bring_what_they_need(filled: Fill) -> None:
    shop = filled(SHOP)
    query_set = QuerySet()
    query_set.dump_table("orders", "id = 1")
    selection = select(query_set)
    # The items are whole, so all of the orders are needed.
    assert rows_of(shop, selection) == {"users": 5, "products": 9, "orders": 40, "items": 80, "logs": 7}
    assert notes_of(shop, selection) == (
        "All rows of items are selected, and 39 more of orders that they need. To select only those of the "
        "others, use self.follow('orders.id', 'items.order_id').",
    )
    query_set.follow("orders.id", "items.order_id")
    assert rows_of(shop, select(query_set)) == {"users": 5, "products": 9, "orders": 1, "items": 2, "logs": 7}
    assert notes_of(shop, select(query_set)) == ()


def test_only_and_exclude_leave_out_rows_that_nothing_needs(filled: Fill) -> None:
    shop = filled(SHOP)
    assert rows_of(shop, Selection(only=("logs",))) == {"logs": 7}
    assert rows_of(shop, Selection(only=("orders",))) == {"orders": 40, "users": 5}
    assert rows_of(shop, Selection(only=("orders",), exclude=("orders",))) == {}
    selection = Selection(exclude=("users", "items"))
    assert rows_of(shop, selection) == {"orders": 40, "products": 9, "logs": 7, "users": 5}
    assert notes_of(shop, selection) == ("exclude() names users, but foreign keys need 5 of its rows.",)
    query_set = QuerySet()
    query_set.dump_table("logs", "line = 'line 1'")
    # What run() selects is included in any case.
    assert rows_of(shop, select(query_set, only=(), exclude=("logs",))) == {"logs": 1}


def test_calls_for_one_table_accumulate(filled: Fill) -> None:
    shop = filled(SHOP)
    query_set = QuerySet()
    query_set.dump_table("logs", "line = %s", ["line 1"])
    query_set.dump_table("logs", "line = ANY(%(lines)s)", {"lines": ["line 1", "line 2"]})
    query_set.dump_table("public.logs", "line LIKE '%%3' -- and no more")
    assert rows_of(shop, select(query_set, only=())) == {"logs": 3}
    query_set.dump_table("logs")
    assert rows_of(shop, select(query_set, only=())) == {"logs": 7}


def test_limits_and_orders(filled: Fill, postgres: PostgresServer) -> None:
    shop = filled(SHOP)
    query_set = QuerySet()
    query_set.dump_table("orders", "id > 2", order_by=["id %% 2 DESC", "id"], limit=3)
    dumped = dump_part(shop, select(query_set, only=()), postgres.programs)
    assert dumped.rows()["orders"] == 3
    for row in (b"3\t4\tdone\tn3\n", b"5\t1\tdone\tn5\n", b"7\t3\tdone\tn7\n"):
        assert row in dumped.archive
    assert dumped.part.filters[0] == "orders: id > … order by id %% … DESC, id limit 3"


def sampled(environment: Environment, **arguments: Any) -> list[str]:
    """Return the lines of the log that a sample selects."""
    query_set = QuerySet()
    query_set.dump_table("logs", **arguments)
    with open_part(environment, select(query_set, only=())) as (part, _):
        rows = part._cursor.execute("SELECT line FROM public.logs JOIN monarch_rows ON place = logs.ctid")
        return sorted(row["line"] for row in rows)


def test_samples(filled: Fill) -> None:
    shop = filled(SHOP)
    first = sampled(shop, sample=3, seed=1)
    assert len(first) == 3
    filled("UPDATE logs SET line = line")  # each row is elsewhere now
    assert sampled(shop, sample=3, seed=1) == first
    assert {tuple(sampled(shop, sample=3, seed=seed)) for seed in (2, -3, 1 << 70)} != {tuple(first)}
    assert {tuple(sampled(shop, sample=3)) for _ in range(9)} != {tuple(first)}
    assert len(sampled(shop, sample=0.5)) == 4
    assert len(sampled(shop, sample=1.0)) == len(sampled(shop, sample=99)) == 7
    some = sampled(shop, where="line < %s", values=["line 5"], sample=0.5, seed=7)
    assert len(some) == 2
    assert max(some) < "line 5"


def test_rows_are_those_of_the_snapshot_whatever_is_written_meanwhile(
    filled: Fill, postgres: PostgresServer, target: str
) -> None:
    shop = filled(SHOP)
    query_set = QuerySet()
    query_set.dump_table("orders", "state = 'open'")
    query_set.follow("orders.id", "items.order_id")
    query_set.dump_table("logs", "line > 'line 3'")
    with postgres.connect(shop.db_name) as other:
        before = {name: contents_of(other, name) for name in ("users", "orders", "items", "logs")}

        def write() -> None:
            # Rows are removed, and others take their places on the disk.
            other.execute("UPDATE logs SET line = 'changed'")
            other.execute("DELETE FROM items")
            other.execute("UPDATE orders SET note = 'changed', state = 'done'")
            for _ in range(3):
                other.execute("VACUUM logs, items, orders, users")
                other.execute("INSERT INTO items SELECT o, 3, 0 FROM generate_series(1, 40) o")
                other.execute("DELETE FROM items")
                other.execute("UPDATE users SET name = name || '!'")
            # What moves rows has to wait.
            other.execute("SET lock_timeout = '50ms'")
            for statement in ("VACUUM FULL orders", "CLUSTER users USING users_pkey", "TRUNCATE logs"):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute(statement)

        dumped = dump_part(shop, select(query_set, only=()), postgres.programs, meanwhile=write)
    restore(dumped.archive, postgres.uri(target), postgres.programs, "-1")
    with postgres.connect(target) as copy:
        assert contents_of(copy, "users") == before["users"][:2]
        assert contents_of(copy, "orders") == [row for row in before["orders"] if row[2] == "open"]
        open_ids = {row[0] for row in before["orders"] if row[2] == "open"}
        assert contents_of(copy, "items") == [row for row in before["items"] if row[0] in open_ids]
        assert contents_of(copy, "logs") == [row for row in before["logs"] if row[0] > "line 3"]


def test_names_without_a_schema_are_looked_up_in_public_too(filled: Fill) -> None:
    shop = filled("CREATE TABLE big AS SELECT generate_series(1, 3) AS id")
    filled(f"ALTER DATABASE {shop.db_name} SET search_path = ''")
    query_set = QuerySet()
    query_set.dump_table("big", "id < 3")
    assert rows_of(shop, select(query_set)) == {"big": 2}


def test_a_long_row_is_passed_on_between_short_ones() -> None:
    short, long = b"1\n", b"x" * (1 << 20) + b"\n"
    chunks = list(rows_as_block(4, 7, [short, long, short]))
    assert any(chunk is long for chunk in chunks)
    sizes = b"".join(
        b"\0" + len(one).to_bytes(4, "little") + one for one in (short, long, short + b"\\.\n\n\n")
    )
    assert b"".join(chunks) == b"\x01\0\x07\0\0\0" + sizes + bytes(5)
