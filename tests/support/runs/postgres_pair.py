"""A project with two PostgreSQL databases: ``production`` is the source of transfers, ``dev`` the target."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from monarch import Project
from monarch.databases.postgres.schema import create_schema
from monarch.progress import Progress
from tests.support.runs.shell import Folder
from tests.support.servers.postgres import PostgresServer


class Messages(Progress):
    """Records what a transfer tells people while it runs."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)

    def recovered(self, what: str) -> None:
        self.texts.append(what)


@dataclass
class End:
    """A database called ``name`` on ``server``."""

    server: PostgresServer
    name: str

    def connect(self) -> psycopg.Connection[Any]:
        return self.server.connect(self.name)

    def run(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def dump(self, *options: str, programs: Path | None = None) -> list[str]:
        """Return the lines of what pg_dump writes of it, except publications and monarch's own schema."""
        command: list[str | Path] = [(programs or self.server.programs) / "pg_dump", *options]
        command += ["--exclude-schema=monarch_history", "--no-publications", "--no-subscriptions"]
        run = subprocess.run(
            [*command, "--dbname", self.server.uri(self.name)], check=True, capture_output=True
        )
        # 18 writes a random word for psql.
        return re.sub(r"(?m)^(\\(un)?restrict |-- Dumped).*$", "", run.stdout.decode()).split("\n")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query.encode()).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]


@dataclass
class PostgresPair:
    """Both ends, and the project in ``folder`` that has them as its environments."""

    folder: Folder
    source: End
    target: End
    messages: Messages = field(default_factory=Messages)

    def project(self) -> Project:
        return Project(self.folder.path)

    def copy(self, *, in_place: bool = False) -> list[str]:
        """Copy in this process; return the messages."""
        return self._heard(
            lambda: self.project().copy(
                "production", "dev", allow_empty=True, in_place=in_place, progress=self.messages
            )
        )

    def back_up(self) -> Path:
        """Take a backup in this process; return its archive."""
        self.project().backup("production", name="taken", allow_empty=True)
        return max((self.folder.path / "backups").rglob("taken*.zst"), key=lambda path: path.stat().st_mtime)

    def restore(self, archive: Path, *, in_place: bool = False) -> list[str]:
        """Restore a backup in this process; return the messages."""
        name = archive.name
        return self._heard(
            lambda: self.project().restore(name, "dev", in_place=in_place, progress=self.messages)
        )

    def _heard(self, work: Any) -> list[str]:
        self.messages = Messages()
        work()
        return self.messages.texts

    def give_history(self) -> None:
        """Give the target a history of its own, so that it is seen whether it changes."""
        with self.target.connect() as connection:
            create_schema(connection.cursor(row_factory=dict_row))
            connection.execute("INSERT INTO monarch_history.history VALUES ('kept', 'Completed', now())")

    def leftovers(self) -> list[str]:
        """Return the databases on the server of the target that transfers into it have left."""
        begin = self.target.name[:30]
        with self.target.server.connect() as connection:
            found = connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (f"{begin}_monarch",)
            )
            return [row[0] for row in found.fetchall()]


def create_again(end: End, encoding: str) -> None:
    """Replace the database of ``end`` by an empty one with this ``encoding``."""
    end.server.drop(end.name)
    with end.server.connect() as connection:
        create = f"CREATE DATABASE \"{end.name}\" TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
        connection.execute(create.encode())


@contextmanager
def make_pair(path: Path, source: PostgresServer, target: PostgresServer) -> Iterator[PostgresPair]:
    """Make the project in ``path``, and both databases for as long as the context lasts."""
    ends = End(source, f"s_{uuid.uuid4().hex}"), End(target, f"t_{uuid.uuid4().hex}")
    pair = PostgresPair(Folder(path), *ends)
    for end in ends:
        end.server.create(end.name)
    pair.folder.settings(production={"uri": source.uri(ends[0].name)}, dev={"uri": target.uri(ends[1].name)})
    pair.folder.keep_backups()
    pair.target.run("CREATE TABLE old_things (id int PRIMARY KEY)", "INSERT INTO old_things VALUES (1), (2)")
    yield pair
    for end in ends:
        end.server.drop(end.name)
