"""A kind of database that has migrations and no transfers; its settings have one key of their own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from monarch.databases.base import Database
from monarch.databases.environment import Entry, Environment, check_keys, find_missing, read_text
from monarch.databases.kinds import DatabaseKind
from monarch.errors import ServerError
from monarch.progress import Progress


class ToyKind(DatabaseKind):
    name = "toy"
    title = "Toy"
    schemes = ("toy",)

    def parse(self, name: str, entry: Entry) -> Environment:
        check_keys(entry, ("uri", "box"))
        box = read_text(entry, "box") or "toys"
        return Environment(name, self.name, box, server=f"the box {box}", missing=find_missing(entry))

    def open(
        self, environment: Environment, root: Path, progress: Progress
    ) -> AbstractContextManager[Database]:
        raise ServerError(f"The box of {environment.name!r} is shut.", "Open it.")


KIND = ToyKind()
