"""A PostgreSQL database for benchmarks: a server, its contents, and a project with its environments."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg import sql

from benchmarks.sample import CITIES, VOCABULARY
from tests.support.servers.postgres import PostgresServer, run_postgres

# As people have them: no setting that only a benchmark would have, but for the memory of a small server.
_SETTINGS = ("fsync=on", "shared_buffers=128MB", "max_wal_size=4GB")
_TABLES = (
    """
    CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, age int,
        city text, joined timestamptz NOT NULL)
    """,
    """
    INSERT INTO people (name, email, age, city, joined)
    SELECT initcap(a || ' ' || b), a || '.' || b || number || '@example.com', 18 + number %% 72, c,
        '2014-05-29'::timestamptz + number * interval '137 s'
    FROM (SELECT number, w[1 + (random() * 4999)::int] AS a, w[1 + (random() * 4999)::int] AS b,
            w[1 + (random() * 299)::int] AS c
          FROM generate_series(1, 620000) number, (SELECT %s::text[] AS w) v) found
    """,
    "CREATE INDEX ON people (city, age)",
    "CREATE INDEX ON people (joined)",
    """
    CREATE TABLE orders (id bigserial PRIMARY KEY, person int NOT NULL REFERENCES people, product int,
        price numeric(8, 2), pieces int, at timestamptz, note text)
    """,
    """
    INSERT INTO orders (person, product, price, pieces, at, note)
    SELECT 1 + (random() * 619999)::int, (random() * 20000)::int, random() * 500, 1 + number %% 8,
        '2014-05-29'::timestamptz + random() * 100000000 * interval '1 s',
        w[1 + (random() * 4999)::int] || ' ' || w[1 + (random() * 4999)::int] || ' ' || w[1 + number %% 5000]
    FROM generate_series(1, 720000) number, (SELECT %s::text[] AS w) v
    """,
    "CREATE INDEX ON orders (person)",
    "CREATE INDEX ON orders (product, at DESC)",
    """
    CREATE TABLE visits (at timestamptz, path text, origin text, ms double precision, status smallint)
    """,
    """
    INSERT INTO visits SELECT '2014-05-29'::timestamptz + number * interval '1 s',
        '/' || w[1 + (random() * 4999)::int] || '/' || w[1 + (random() * 4999)::int],
        to_hex((random() * 9e15)::bigint), random() * 1000, 200
    FROM generate_series(1, 900000) number, (SELECT %s::text[] AS w) v
    """,
    "CREATE INDEX ON visits (at)",
    "VACUUM ANALYZE",
)


@contextmanager
def run_server() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server with ordinary settings."""
    with run_postgres(*_SETTINGS) as server:
        yield server


def fill(server: PostgresServer, database: str) -> None:
    """Create and fill ``database``, always the same."""
    server.create(database)
    with server.connect(database) as connection:
        connection.execute("SELECT setseed(0.5)")
        words = CITIES + VOCABULARY[len(CITIES) :]
        for statement in _TABLES:
            values = [words] if "%s" in statement else None
            connection.execute(sql.SQL(statement), values)


def make_project(folder: Path, server: PostgresServer, names: Sequence[str], **settings: Any) -> Path:
    """A project whose environments are called as their databases are, by ``names``; with more settings."""
    environments = {name: {"uri": server.uri(name)} for name in names}
    (folder / "migrations").mkdir(parents=True)
    lines = [f"{name} = {value!r}\n" for name, value in {"ENVIRONMENTS": environments, **settings}.items()]
    (folder / "migrations" / "settings.py").write_text("".join(lines))
    return folder


def see_equal(server: PostgresServer, source: str, target: str) -> None:
    """Compare ``target`` with ``source`` by a quick check; end the benchmark if they differ."""
    wanted, found = (shape(server, database) for database in (source, target))
    if wanted != found:
        sys.exit(f"The copy has {found} instead of {wanted}.")


def shape(server: PostgresServer, database: str) -> list[tuple[Any, ...]]:
    """Return the indexes of each table, and how many rows they have together."""
    with server.connect(database) as connection:
        found = connection.execute(
            "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
        ).fetchall()
        rows = connection.execute(
            "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM orders), "
            "(SELECT count(*) FROM visits)"
        ).fetchall()
    return [*found, *rows]


def flush(server: PostgresServer) -> None:
    """Flush the writes of the command before, so that the next one does not wait for them."""
    with server.connect() as connection:
        connection.execute("CHECKPOINT")


def describe(server: PostgresServer, database: str) -> str:
    """Return what is in ``database``, in words."""
    with server.connect(database) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        indexes = len(shape(server, database)) - 1
    return f"a database of {row[0] / 1e6:.0f} MB, 2,240,000 rows in 3 tables with {indexes} indexes"


def server_version(server: PostgresServer) -> str:
    """Return the version of the server."""
    with server.connect() as connection:
        return str(connection.info.parameter_status("server_version"))
