"""The base class of all migrations. A kind of database has its own, derived from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from monarch.databases.environment import Environment


class ResumableScans(ABC):
    """The scans of one attempt at a migration, which a later attempt can continue."""

    @abstractmethod
    def scan(
        self, collection: str, filter: Mapping[str, Any], batch: int, line: str
    ) -> Iterator[Sequence[Any]]:
        """Scan the documents of ``collection`` that match ``filter``, ``batch`` documents at a time.

        ``line`` is the line of code that asks for it, by which a later attempt recognizes the scan.

        :raises UsageError: if ``batch`` is not positive, or the collection cannot be scanned.
        """


class Migration:
    """One step of a database from one state to the next. Subclasses define `run`.

    ``environment`` is the environment that it runs on. With ``transaction = True`` it runs in a transaction:
    all of it happens, or nothing. With ``repeatable = True`` it runs again, after the others, whenever its
    file has changed.
    """

    transaction: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False
    # The kind of database that it needs; None if it runs on any.
    database_kind: ClassVar[str | None] = None
    environment: Environment
    _scans: ResumableScans

    @property
    def migration_key(self) -> str:
        """Its name in the history: that of its file, without ``.py``."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def migration_name(self) -> str:
        """The name that ``generate`` was given: the key without date and ``_migration``."""
        return self.migration_key.lstrip("_").partition("_")[2].removesuffix("_migration")

    def run(self) -> None:
        """Change the database. An exception records the migration as failed and stops the run."""
        raise NotImplementedError

    def rollback(self) -> None:
        """Undo what `run` did, for ``monarch rollback``. Optional."""
        raise NotImplementedError
