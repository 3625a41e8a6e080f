"""A project whose migrations write down what they have done and undone, on either kind of database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from tests.support.runs.billing import Billing
from tests.support.runs.shell import CommandResult, Folder


class Undoable(ABC):
    """Migrations with a ``rollback``, on the environment ``dev``."""

    folder: Folder

    @abstractmethod
    def log(self, what: str) -> str:
        """Return a line of a migration that writes ``what`` down."""

    @abstractmethod
    def lines(self) -> list[str]:
        """Return what was written down, in order."""

    @abstractmethod
    def states(self) -> dict[str, str]:
        """The states in the history, by key."""

    @abstractmethod
    def _write(self, name: str, stamp: str, top: str, body: str) -> str: ...

    def migration(
        self, name: str, stamp: str | None = None, *, top: str = "", undo: str = "", can: bool = True
    ) -> str:
        """Write a migration, after the others; without ``can`` it has no ``rollback``. Return its key."""
        number = len(list((self.folder.path / "migrations").glob("_*_migration.py")))
        key = self._write(name, stamp or f"20140529{number:04}", top, self.log(f"+{name}"))
        if can:
            path = self.folder.path / "migrations" / f"{key}.py"
            lines = "".join(f"        {line}\n" for line in (undo or "pass", self.log(f"-{name}")))
            path.write_text(f"{path.read_text()}\n    def rollback(self):\n{lines}")
        return key

    def undone(self) -> list[str]:
        """The names of the migrations that were rolled back, in order."""
        return [line[1:] for line in self.lines() if line.startswith("-")]

    def run(self, *arguments: str) -> CommandResult:
        """Run a command that must succeed."""
        result = self.folder.invoke(*arguments)
        assert result.code == 0, result.output
        return result

    def completed(self) -> list[str]:
        """The keys of those that are Completed, in order."""
        return sorted(key for key, state in self.states().items() if state == "Completed")


@dataclass
class UndoableInMongo(Undoable):
    folder: Folder

    def log(self, what: str) -> str:
        return f"self.database.log.insert_one({{'what': {what!r}}})"

    def lines(self) -> list[str]:
        return [row["what"] for row in self.folder.database.log.find(sort=[("$natural", 1)])]

    def states(self) -> dict[str, str]:
        return self.folder.states()

    def _write(self, name: str, stamp: str, top: str, body: str) -> str:
        key = self.folder.migration(name, body, stamp)
        path = self.folder.path / "migrations" / f"{key}.py"
        path.write_text(path.read_text().replace("    def run", f"    {top}\n\n    def run"))
        return key


@dataclass
class UndoableInPostgres(Undoable):
    billing: Billing

    @property
    def folder(self) -> Folder:  # type: ignore[override]
        return self.billing.folder

    def log(self, what: str) -> str:
        return (
            "self.connection.execute('CREATE TABLE IF NOT EXISTS log (id serial, what text)'); "
            f'self.connection.execute("INSERT INTO log (what) VALUES ({what!r})")'
        )

    def lines(self) -> list[str]:
        return [what for (what,) in self.billing.rows("SELECT what FROM log ORDER BY id")]

    def states(self) -> dict[str, str]:
        return self.billing.states()

    def _write(self, name: str, stamp: str, top: str, body: str) -> str:
        return self.billing.migration(name, body, top, stamp)
