"""Partial copies and backups of PostgreSQL databases through the real commands."""

from __future__ import annotations

import gzip
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs.shell import CommandResult, Folder
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.server, pytest.mark.command]

SOURCE = """
    CREATE TABLE users (id serial PRIMARY KEY, name text, password text);
    CREATE TABLE orders (id integer PRIMARY KEY, user_id integer NOT NULL REFERENCES users, state text);
    CREATE TABLE items (order_id integer REFERENCES orders, number integer);
    CREATE TABLE countries (code text PRIMARY KEY);
    CREATE TABLE logs (line text);
    CREATE VIEW open_orders AS SELECT * FROM orders WHERE state = 'open';
    INSERT INTO users (name, password) SELECT 'user ' || g, 'hunter2' FROM generate_series(1, 9) g;
    INSERT INTO orders SELECT g, 1 + g % 9, CASE g % 4 WHEN 0 THEN 'open' ELSE 'done' END
        FROM generate_series(1, 20) g;
    INSERT INTO items SELECT o, n FROM generate_series(1, 20) o, generate_series(1, 3) n;
    INSERT INTO countries VALUES ('de'), ('ch');
    INSERT INTO logs SELECT 'line ' || g FROM generate_series(1, 7) g;
    SELECT lo_create(0);
"""
QUERY_SET = """
from monarch import QuerySet

class OpenOrdersQuerySet(QuerySet):

    state: str = 'open'

    def run(self):
        states = self.cursor().execute('SELECT DISTINCT state FROM orders WHERE state = %s', [self.state])
        self.dump_table('orders', 'state = ANY(%(states)s) AND id < 10', {'states': states})
        self.dump_table('orders', 'state = ANY(%s) AND id >= 10', [states])
        self.dump_table('users', 'false', columns=['id', 'name'])
        self.follow('orders.id', 'items.order_id')

    def exclude(self):
        return ['logs']
"""
MIGRATION = """
from monarch import PostgresBackedMigration

class MarkMigration(PostgresBackedMigration):

    def run(self):
        self.connection.execute("INSERT INTO logs VALUES ('migrated')")
"""


@dataclass(frozen=True)
class Shop:
    """A project whose ``production`` is filled, and whose ``dev`` has a table of its own."""

    folder: Folder
    server: PostgresServer
    source: str
    target: str

    def rows(self, query: str, database: str | None = None) -> list[Any]:
        text: Any = query
        with self.server.connect(database or self.target) as connection:
            return connection.execute(text).fetchall()

    def copy(self, *arguments: str) -> CommandResult:
        return self.folder.monarch("copy_db", "production:dev", "-q", "OpenOrdersQuerySet", *arguments)

    def is_the_part(self, database: str | None = None) -> None:
        """Check that a database is what the query set selects."""
        orders = self.rows("SELECT id FROM orders ORDER BY 1", database)
        assert [row[0] for row in orders] == [
            4,
            8,
            12,
            16,
            20,
        ]
        assert self.rows("SELECT count(*) FROM items", database) == [(15,)]
        assert self.rows("SELECT id, password FROM users ORDER BY 1", database) == [
            (3, None),
            (4, None),
            (5, None),
            (8, None),
            (9, None),
        ]
        assert self.rows("SELECT count(*) FROM countries", database) == [(2,)]
        assert self.rows("SELECT count(*) FROM logs", database) == [(0,)]
        assert self.rows("SELECT count(*) FROM open_orders", database) == [(5,)]
        assert self.rows("INSERT INTO users (name) VALUES ('new') RETURNING id", database) == [(10,)]


@pytest.fixture
def shop(tmp_path: Path, postgres: PostgresServer) -> Iterator[Shop]:
    folder = Folder(tmp_path)
    source, target = (f"t_{uuid.uuid4().hex}" for _ in range(2))
    for name in (source, target):
        postgres.create(name)
    with postgres.connect(source) as connection:
        connection.execute(SOURCE)
    with postgres.connect(target) as connection:
        connection.execute("CREATE TABLE old (id integer)")
    folder.settings(production={"uri": postgres.uri(source)}, dev={"uri": postgres.uri(target)})
    folder.write("querysets/open.py", QUERY_SET)
    yield Shop(folder, postgres, source, target)
    for name in (source, target):
        postgres.drop(name)


def test_a_part_is_copied(shop: Shop) -> None:
    shop.folder.write("migrations/_201405290038_mark_migration.py", MIGRATION)
    assert shop.folder.monarch("migrate", "production", "--yes").code == 0
    before = shop.rows("SELECT count(*) FROM orders", shop.source)
    planned = shop.copy("--plan")
    assert planned.code == 0, planned.err
    assert "large object" in planned.output
    assert shop.rows("SELECT count(*) FROM old") == [(0,)]
    done = shop.copy("--yes")
    assert done.code == 0, done.err
    assert "hunter2" not in done.output
    shop.is_the_part()
    assert shop.rows("SELECT to_regclass('old')") == [(None,)]
    assert shop.rows("SELECT count(*) FROM orders", shop.source) == before
    assert shop.folder.monarch("check", "dev").code == 0  # the history is always part of it
    assert shop.rows("SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


def test_the_plan_counts_the_rows_of_each_table(shop: Shop) -> None:
    planned = shop.copy("--plan", "--json")
    assert planned.code == 0, planned.err
    comes = {one["name"]: one["documents"] for one in planned.json["copied"]}
    assert comes == {"countries": 2, "items": 15, "logs": 0, "open_orders": 0, "orders": 5, "users": 5}


def test_an_option_selects_other_rows(shop: Shop) -> None:
    done = shop.copy("--yes", "-o", "state=none")
    assert done.code == 0, done.err
    assert shop.rows("SELECT count(*) FROM orders") == [(0,)]
    assert shop.rows("SELECT count(*) FROM countries") == [(2,)]


def test_a_part_is_backed_up_and_restored(shop: Shop, tmp_path: Path) -> None:
    backups = shop.folder.keep_backups()
    made = shop.folder.monarch("backup", "production", "-q", "OpenOrdersQuerySet", "--codec", "gz", "--json")
    assert made.code == 0, made.err
    name = made.json["archive"]
    shown = shop.folder.monarch("show_backup", name)
    assert shown.code == 0, shown.err
    for words in (
        "OpenOrdersQuerySet",
        "items: follow('orders.id', 'items.order_id')",
        "orders: state = ANY(",
    ):
        assert words in shown.out
    assert shop.folder.monarch("verify_backup", name).code == 0
    done = shop.folder.monarch("restore", f"{name}:dev", "--yes")
    assert done.code == 0, done.err
    shop.is_the_part()
    # And by hand.
    (archive,) = (path for path in backups.iterdir() if path.name == name)
    by_hand = f"t_{uuid.uuid4().hex}"
    shop.server.create(by_hand)
    file = tmp_path / "by_hand"
    file.write_bytes(gzip.decompress(archive.read_bytes()))
    restoring: list[str | Path] = [shop.server.programs / "pg_restore", "-e", "-j2", file]
    subprocess.run([*restoring, "-d", shop.server.uri(by_hand)], check=True)
    shop.is_the_part(by_hand)
    shop.server.drop(by_hand)


def test_rows_that_lack_columns_cannot_be_compared_by_hashes(shop: Shop) -> None:
    done = shop.copy("--yes", "--compare-contents")
    assert done.code == 2
    assert "Rows of users lack columns, so that they cannot be compared by hashes." in done.err
    assert shop.rows("SELECT count(*) FROM old") == [(0,)]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("self.dump_table('order')", 2, "Did you mean 'orders'?"),
        (
            "self.dump_table('orders', 'stat = 1')",
            1,
            'rejected the query of orders: column "stat" does not exist',
        ),
        ("self.dump_collection('orders')", 2, "Use self.dump_table('orders', 'state = %s', ['open'])"),
        ("self.connection.execute('SELECT password::integer FROM users')", 1, "invalid input syntax"),
    ],
)
def test_what_is_refused_changes_nothing(shop: Shop, line: str, code: int, words: str) -> None:
    begin = "from monarch import QuerySet\nclass OpenOrdersQuerySet(QuerySet):\n    def run(self):\n"
    shop.folder.write("querysets/open.py", f"{begin}        {line}\n")
    for done in (shop.copy("--yes"), shop.copy("--plan")):
        assert done.code == code
        assert words in done.err
        assert "Traceback" not in done.err
        assert "hunter2" not in done.output
    assert shop.rows("SELECT count(*) FROM old") == [(0,)]


def test_a_query_set_that_leaves_a_transaction_open_disturbs_nothing(shop: Shop) -> None:
    lines = (
        "self.connection.autocommit = False",
        "self.connection.execute(\"SET search_path = ''; SET statement_timeout = 1\")",
        "self.dump_table('orders', 'id = 4')",
        "self.follow('orders.id', 'items.order_id')",
    )
    body = "".join(f"        {line}\n" for line in lines)
    begin = "from monarch import QuerySet\nclass OpenOrdersQuerySet(QuerySet):\n    def run(self):\n"
    shop.folder.write("querysets/open.py", begin + body)
    done = shop.copy("--yes", "--compare-contents")
    assert done.code == 0, done.err
    assert shop.rows("SELECT count(*) FROM items") == [(3,)]


def test_a_part_is_written_in_place_by_a_user_who_may_not_create_databases(shop: Shop) -> None:
    role = f"r_{uuid.uuid4().hex}"
    with shop.server.connect(shop.target) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'r'")
        connection.execute(f'ALTER DATABASE "{shop.target}" OWNER TO {role}')
        connection.execute(f"ALTER TABLE old OWNER TO {role}")
    uri = f"postgresql://{role}:r@localhost:{shop.server.port}/{shop.target}"
    shop.folder.settings(production={"uri": shop.server.uri(shop.source)}, dev={"uri": uri})
    done = shop.copy("--yes")
    assert done.code == 0, done.err
    shop.is_the_part()
    with shop.server.connect() as connection:
        connection.execute(f'ALTER DATABASE "{shop.target}" OWNER TO CURRENT_USER')
    with shop.server.connect(shop.target) as connection:
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--only", "users"], "--only"),
        (["--exclude", "users", "--without-indexes"], "--exclude, --without-indexes"),
    ],
)
def test_tables_are_not_chosen_by_name(options: list[str], named: str, shop: Shop) -> None:
    shop.folder.keep_backups()
    assert shop.folder.monarch("backup", "production").code == 0
    message = f"cannot choose tables or indexes of a PostgreSQL database by {named}."
    for command, hint in (("copy_db", "Use a query set"), ("restore", "pg_dump --table")):
        result = shop.folder.monarch(command, "production:dev", "--yes", *options)
        assert result.code == 2, result.err
        assert message in result.err
        assert hint in result.err
    assert shop.rows("SELECT count(*) FROM old") == [(0,)]
    assert shop.rows("SELECT to_regclass('users')") == [(None,)]
