"""Keys, partitions, inheritance, names and columns of every shape, in a part that pg_restore restores."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from monarch.databases.environment import Environment
from monarch.databases.selection import Selection
from monarch.querysets.queryset import QuerySet
from monarch.settings.environments import parse_environment
from tests.support.servers.postgres import PostgresServer, empty_database
from tests.support.servers.postgres_parts import (
    Fill,
    ResolvedPart,
    contents_of,
    dump_part,
    notes_of,
    restore,
    rows_of,
    select,
)

SHAPES = """
    CREATE SCHEMA "Other schema";
    CREATE TABLE "Other schema"."50% ""odd"" one" ("the %s" integer, "b.c" text, UNIQUE ("b.c", "the %s"));
    CREATE TABLE composite (
        id integer PRIMARY KEY, x text, y integer,
        FOREIGN KEY (y, x) REFERENCES "Other schema"."50% ""odd"" one" ("the %s", "b.c")
    );
    INSERT INTO "Other schema"."50% ""odd"" one" SELECT g, 'b' || g FROM generate_series(1, 5) g;
    INSERT INTO composite VALUES (1, 'b3', 3), (2, 'b9', NULL), (3, NULL, 7), (4, 'b4', 4);

    CREATE TABLE hens (id integer PRIMARY KEY, egg integer);
    CREATE TABLE eggs (id integer PRIMARY KEY, hen integer REFERENCES hens);
    INSERT INTO hens SELECT g, CASE WHEN g < 6 THEN 1 + g % 5 ELSE g END FROM generate_series(1, 9) g;
    INSERT INTO eggs SELECT g, g FROM generate_series(1, 9) g;
    ALTER TABLE hens ADD FOREIGN KEY (egg) REFERENCES eggs DEFERRABLE;

    CREATE TABLE days (day integer, n integer, PRIMARY KEY (day, n)) PARTITION BY RANGE (day);
    CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (10);
    CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM (10) TO (20) PARTITION BY LIST (n);
    CREATE TABLE days_2_odd PARTITION OF days_2 FOR VALUES IN (1, 3);
    CREATE TABLE days_2_rest (n integer NOT NULL, gone text, day integer NOT NULL);
    ALTER TABLE days_2_rest DROP COLUMN gone;
    ALTER TABLE days_2 ATTACH PARTITION days_2_rest DEFAULT;
    CREATE TABLE visits (id integer, day integer, n integer, FOREIGN KEY (day, n) REFERENCES days)
        PARTITION BY HASH (id);
    CREATE TABLE visits_0 PARTITION OF visits FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE visits_1 PARTITION OF visits FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO days SELECT d, n FROM generate_series(8, 12) d, generate_series(1, 4) n;
    INSERT INTO visits SELECT g, 8 + g % 5, 1 + g % 4 FROM generate_series(1, 40) g;

    CREATE TABLE animals (id integer PRIMARY KEY, name text);
    CREATE TABLE dogs (breed text) INHERITS (animals);
    CREATE TABLE vets (animal_id integer REFERENCES animals);
    INSERT INTO animals VALUES (1, 'a'), (2, 'b');
    INSERT INTO dogs VALUES (1, 'rex', 'pug'), (3, 'waldi', 'dachshund');
    INSERT INTO vets VALUES (1);

    CREATE TABLE heap (a integer, twice integer GENERATED ALWAYS AS (a * 2) STORED, b bytea, t timestamptz);
    INSERT INTO heap (a, b, t) SELECT 1, '\\x00ff', '2014-05-29 00:38+02' FROM generate_series(1, 3);
    CREATE TABLE bare ();
    INSERT INTO bare DEFAULT VALUES;
    CREATE VIEW seen AS SELECT * FROM heap;
    CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS rows FROM heap;
"""


@pytest.fixture(scope="module")
def shapes(postgres: PostgresServer) -> Iterator[Environment]:
    """A database that no test here changes."""
    with empty_database(postgres) as environment, postgres.connect(environment.db_name) as connection:
        connection.execute(SHAPES)
        yield environment


class Restoring:
    """Restores parts into a new database each, and reads what has arrived."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.made: list[str] = []

    def __call__(self, dumped: ResolvedPart, *options: str) -> psycopg.Connection[Any]:
        self.made.append(f"t_{uuid.uuid4().hex}")
        self.server.create(self.made[-1])
        restore(dumped.archive, self.server.uri(self.made[-1]), self.server.programs, *options)
        return self.server.connect(self.made[-1])


@pytest.fixture
def restoring(postgres: PostgresServer) -> Iterator[Restoring]:
    made = Restoring(postgres)
    yield made
    for name in made.made:
        postgres.drop(name)


def dumped_of(
    environment: Environment, restoring: Restoring, *queries: tuple[Any, ...], **more: Any
) -> ResolvedPart:
    query_set = QuerySet()
    for query in queries:
        query_set.dump_table(*query, **more)
    return dump_part(environment, select(query_set, only=()), restoring.server.programs)


def test_the_whole_database_is_a_part_of_itself(shapes: Environment, restoring: Restoring) -> None:
    dumped = dump_part(shapes, Selection(), restoring.server.programs)
    with restoring(dumped) as copy, restoring.server.connect(shapes.db_name) as original:
        for table in dumped.part.tables:
            assert contents_of(copy, table.title) == contents_of(original, table.title)
        assert contents_of(copy, "kept") == [(3,)]


def test_composite_keys_to_another_schema_with_odd_names(shapes: Environment, restoring: Restoring) -> None:
    dumped = dumped_of(shapes, restoring, ("composite", "id < 4"))
    assert dumped.rows() == {"composite": 3, '"Other schema"."50% ""odd"" one"': 1}
    with restoring(dumped, "-1") as copy:
        assert contents_of(copy, '"Other schema"."50% ""odd"" one"') == [(3, "b3")]


@pytest.mark.parametrize("name", ['"Other schema"."50% ""odd"" one"', 'Other schema.50% "odd" one'])
def test_odd_names_are_written_as_in_sql_or_as_they_are(shapes: Environment, name: str) -> None:
    query_set = QuerySet()
    query_set.dump_table(name, '"b.c" = %s AND "50%% ""odd"" one"."the %%s" < 9', ["b2"])
    assert rows_of(shapes, select(query_set, only=())) == {'"Other schema"."50% ""odd"" one"': 1}
    query_set = QuerySet()
    query_set.dump_table("composite", "id = 4")
    query_set.follow("composite.x", f'{name}."b.c"' if name.startswith('"') else f"{name}.b")
    if name.startswith('"'):
        found = rows_of(shapes, select(query_set, only=()))
        assert found == {"composite": 1, '"Other schema"."50% ""odd"" one"': 1}


def test_several_columns_are_followed_together(shapes: Environment) -> None:
    query_set = QuerySet()
    query_set.dump_table("days", "day = 9 AND n < 3")
    query_set.follow('days.(day, "n")', "visits.(day, n)")
    assert rows_of(shapes, select(query_set, only=())) == {"days_1": 2, "visits_0": 2, "visits_1": 2}
    query_set = QuerySet()
    query_set.dump_table("days", "day = 9 AND n < 3")
    (note,) = notes_of(shapes, select(query_set, only=("visits",)))
    assert "use self.follow('days.(day, n)', 'visits.(day, n)')" in note


def test_cycles_end(shapes: Environment, restoring: Restoring) -> None:
    dumped = dumped_of(shapes, restoring, ("hens", "id = 2"))
    # Hen 2 is of egg 3, which is of hen 3, and so on: five of each.
    assert dumped.rows() == {"eggs": 5, "hens": 5}
    restoring(dumped, "-1").close()
    dumped = dumped_of(shapes, restoring, ("eggs", "id = 9"))
    assert dumped.rows() == {"eggs": 1, "hens": 1}


def test_partitions_on_both_sides(shapes: Environment, restoring: Restoring) -> None:
    dumped = dumped_of(shapes, restoring, ("visits", "id IN (1, 2, 5)"))
    # (9, 2), (10, 3) and (8, 2)
    assert dumped.rows() == {"days_1": 2, "days_2_odd": 1, "visits_0": 2, "visits_1": 1}
    with restoring(dumped, "-1") as copy:
        assert contents_of(copy, "days") == [(10, 3), (8, 2), (9, 2)]
        assert [row[0] for row in contents_of(copy, "visits")] == [1, 2, 5]


def test_a_partition_is_a_table_of_its_own(shapes: Environment) -> None:
    query_set = QuerySet()
    query_set.dump_table("days_2", "n = 2")
    assert rows_of(shapes, select(query_set, only=())) == {"days_2_rest": 3}
    selection = Selection(only=("days",), exclude=("days_1",))
    assert rows_of(shapes, selection) == {"days_2_odd": 6, "days_2_rest": 6}
    query_set.dump_table("days", "n = 1")
    found = rows_of(shapes, select(query_set, only=()))
    assert found == {"days_1": 2, "days_2_odd": 3, "days_2_rest": 3}


def test_a_table_stands_for_those_that_inherit_from_it(shapes: Environment, restoring: Restoring) -> None:
    dumped = dumped_of(shapes, restoring, ("animals", "id IN (1, 3)"))
    assert dumped.rows() == {"animals": 1, "dogs": 2}
    with restoring(dumped, "-1") as copy:
        assert contents_of(copy, "dogs") == [(1, "rex", "pug"), (3, "waldi", "dachshund")]
    # A foreign key refers to the rows of the table itself.
    assert dumped_of(shapes, restoring, ("vets",)).rows() == {"animals": 1, "vets": 1}


def test_rows_without_a_key(shapes: Environment, restoring: Restoring) -> None:
    dumped = dumped_of(shapes, restoring, ("heap",), limit=2)
    assert dumped.rows() == {"heap": 2}
    with restoring(dumped, "-1") as copy, restoring.server.connect(shapes.db_name) as original:
        assert contents_of(copy, "heap") == contents_of(original, "heap")[:2]
    assert len(dumped_of(shapes, restoring, ("heap",), sample=2, seed=1).rows()) == 1
    assert dumped_of(shapes, restoring, ("bare", "true"), sample=1, seed=1).rows() == {"bare": 1}


def test_columns_that_are_left_out_get_their_default(filled: Fill, restoring: Restoring) -> None:
    shop = filled("""
        CREATE TABLE users (id integer PRIMARY KEY, email text);
        CREATE TABLE orders (
            id integer PRIMARY KEY, state text NOT NULL DEFAULT 'it''s new', note text, "Odd %" integer,
            user_id integer REFERENCES users
        );
        INSERT INTO users VALUES (1, 'a@b');
        INSERT INTO orders VALUES (1, 'open', 'secret', 5, 1), (2, 'done', 'secret', 6, NULL);
    """)
    dumped = dumped_of(shop, restoring, ("orders",), columns=["ID", "Odd %"])
    assert dumped.rows() == {"orders": 2}
    assert b"secret" not in dumped.archive
    with restoring(dumped, "-1") as copy:
        assert contents_of(copy, "orders") == [(1, "it's new", None, 5, None), (2, "it's new", None, 6, None)]
    dumped = dumped_of(shop, restoring, ("orders", "id = 1"), columns=["id", "user_id"])
    assert dumped.rows() == {"orders": 1, "users": 1}


def test_a_key_of_another_type_and_collation(filled: Fill, restoring: Restoring) -> None:
    shop = filled("""
        CREATE COLLATION other FROM "C";
        CREATE TABLE codes (code text COLLATE other PRIMARY KEY, number numeric UNIQUE);
        CREATE TABLE uses (
            id integer, code varchar(9) COLLATE "POSIX" REFERENCES codes,
            number bigint REFERENCES codes (number)
        );
        INSERT INTO codes VALUES ('a', 1.00), ('b', 2), ('c', 3);
        INSERT INTO uses VALUES (1, 'a', 2), (2, NULL, NULL);
    """)
    dumped = dumped_of(shop, restoring, ("uses",))
    assert dumped.rows() == {"codes": 2, "uses": 2}
    restoring(dumped, "-1").close()


def test_foreign_keys_of_a_period_need_every_row_that_overlaps(filled: Fill, restoring: Restoring) -> None:
    shop = filled("""
        CREATE TABLE rooms (
            id int4range, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS)
        );
        CREATE TABLE stays (
            room int4range, valid daterange,
            FOREIGN KEY (room, PERIOD valid) REFERENCES rooms (id, PERIOD valid)
        );
        INSERT INTO rooms VALUES ('[1,2)', '[2020-01-01,2020-06-01)'), ('[1,2)', '[2020-06-01,2021-01-01)'),
                                 ('[1,2)', '[2021-01-01,2022-01-01)'), ('[2,3)', '[2020-01-01,2022-01-01)');
        INSERT INTO stays VALUES ('[1,2)', '[2020-05-01,2020-07-01)');
    """)
    dumped = dumped_of(shop, restoring, ("stays", "true"))
    assert dumped.rows() == {"rooms": 2, "stays": 1}
    restoring(dumped, "-1").close()


def test_a_long_chain_is_followed_to_its_end(filled: Fill) -> None:
    shop = filled("""
        CREATE TABLE links (id integer PRIMARY KEY, previous integer REFERENCES links);
        INSERT INTO links SELECT g, nullif(g - 1, 0) FROM generate_series(1, 500) g;
    """)
    query_set = QuerySet()
    query_set.dump_table("links", "id = 500")
    assert rows_of(shop, select(query_set)) == {"links": 500}


def test_another_encoding_and_other_settings(postgres: PostgresServer, restoring: Restoring) -> None:
    name = f"t_{uuid.uuid4().hex}"
    with postgres.connect() as connection:
        create = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
        connection.execute(sql.SQL(create).format(sql.Identifier(name)))
        for setting in ("datestyle = 'SQL, DMY'", "intervalstyle = sql_standard", "extra_float_digits = -9"):
            connection.execute(f'ALTER DATABASE "{name}" SET {setting}')
    restoring.made.append(name)
    statements = """
        CREATE TABLE "grün" (id integer, "ä" text, day date, long interval, f float8);
        INSERT INTO "grün" VALUES (1, 'ö', '2014-05-29', '1 day -2 hours', 0.1::float8 + 0.2);
    """
    with postgres.connect(name) as connection:
        connection.execute(statements)
    environment = parse_environment("billing", {"uri": postgres.uri(name)})
    dumped = dumped_of(environment, restoring, ('"grün"', '"ä" = %s', ["ö"]))
    assert "1\tö\t2014-05-29\t1 day -02:00:00\t0.30000000000000004\n".encode("latin-1") in dumped.archive
    with restoring(dumped, "-1") as copy:
        assert contents_of(copy, '"grün"')[0][1] == "ö"
