"""A project whose environment is a PostgreSQL database, for tests of the command line."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.support.runs.shell import Folder
from tests.support.servers.postgres import PostgresServer


@dataclass
class Billing:
    """A project with one environment, ``dev``, whose database has three dogs."""

    folder: Folder
    postgres: PostgresServer
    db_name: str

    def migration(self, name: str, body: str, top: str = "", stamp: str = "201405290038") -> str:
        key = f"_{stamp}_{name}_migration"
        class_name = "".join(part.capitalize() for part in name.split("_"))
        lines = "".join(f"        {line}\n" for line in dedent(body).strip().splitlines())
        attributes = "".join(f"    {line}\n" for line in top.splitlines())
        self.folder.write(
            f"migrations/{key}.py",
            "from monarch import PostgresBackedMigration\n\n\n"
            f"class {class_name}Migration(PostgresBackedMigration):\n{attributes}\n"
            f"    def run(self):\n{lines}",
        )
        return key

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.postgres.connect(self.db_name) as connection:
            return connection.execute(query).fetchall()

    def states(self) -> dict[str, str]:
        return dict(self.rows("SELECT key, state FROM monarch_history.history"))


@contextmanager
def make_billing(path: Path, postgres: PostgresServer) -> Iterator[Billing]:
    """Make the project in ``path``, and its database on ``postgres`` for as long as the context lasts."""
    made = Billing(Folder(path), postgres, f"t_{uuid.uuid4().hex}")
    postgres.create(made.db_name)
    made.folder.settings(dev={"uri": postgres.uri(made.db_name)})
    with postgres.connect(made.db_name) as connection:
        connection.execute("CREATE TABLE dogs (id bigint PRIMARY KEY, name text, weight int)")
        connection.execute("INSERT INTO dogs VALUES (1, 'Waldi', 9), (2, 'Rex', 30), (3, 'Bella', 12)")
    yield made
    postgres.drop(made.db_name)
