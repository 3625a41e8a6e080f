"""A small kind of database with migrations and no transfers, as an example for new kinds: an SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monarch.databases.base import Database
from monarch.databases.environment import Entry, Environment, check_keys, find_missing, read_text
from monarch.databases.kinds import DatabaseKind
from monarch.progress import Progress


class ToyKind(DatabaseKind):
    name = "toy"
    title = "Toy"
    schemes = ("toy",)
    migration_base = "tests.support.databases.toy.migration.ToyMigration"

    def parse(self, name: str, entry: Entry) -> Environment:
        check_keys(entry, ("uri", "box"))
        box = read_text(entry, "box") or "toys"
        return Environment(name, self.name, box, server=f"the box {box}", missing=find_missing(entry))

    def describe_error(self, error: BaseException) -> str | None:
        return None

    @contextmanager
    def open(self, environment: Environment, root: Path, progress: Progress) -> Iterator[Database]:
        from tests.support.databases.toy.connection import connect
        from tests.support.databases.toy.database import ToyDatabase

        path = root / f"{environment.db_name}.sqlite3"
        with connect(path) as connection:
            yield ToyDatabase(environment, path, connection)


KIND = ToyKind()
