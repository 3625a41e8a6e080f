"""What a migration is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

    from monarch.databases.environment import Environment
    from monarch.migrations.collection_scan import CollectionScans


class Migration:
    """One step of a database from one state to the next. Subclasses write `run`.

    ``environment`` is the environment that it runs on. With ``transaction = True`` it runs in one, and
    either all of it happens or nothing. With ``repeatable = True`` it runs again whenever its file has
    changed, after the others.
    """

    transaction: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False
    environment: Environment
    _scans: CollectionScans

    def run(self) -> None:
        """Change the database. An exception records the migration as failed and stops the run."""
        raise NotImplementedError

    def rollback(self) -> None:
        """Undo what `run` has done, for ``monarch rollback``. Need not be there."""
        raise NotImplementedError


class MongoBackedMigration(Migration):
    """A migration of a MongoDB database.

    ``database`` and ``client`` are pymongo's, connected to the environment. ``session`` is that of the
    transaction, to be handed to each operation; None without one. ``uri`` is the whole connection string,
    password included, for whoever wants to connect an ODM of their own.
    """

    client: MongoClient[dict[str, Any]]
    database: Database[dict[str, Any]]
    session: ClientSession | None
    uri: str

    def each(
        self, collection: str, filter: Mapping[str, Any] | None = None, *, batch: int = 1000
    ) -> Iterator[dict[str, Any]]:
        """The documents of ``collection`` that ``filter`` finds, in the order of their ``_id``.

        They are read ``batch`` at once. After each so many it is remembered how far it came: a run that
        was cut off goes on there, as long as the file of the migration is the same, and may see the
        documents of one batch a second time. So be done with each document before you take the next one.
        Nothing is remembered in a transaction, nor of a walk within another one.
        """
        lots = self._scans.scan(collection, filter or {}, batch, _line_of_the_caller())
        return (document for documents in lots for document in documents)

    def batches(
        self, collection: str, filter: Mapping[str, Any] | None = None, *, batch: int = 1000
    ) -> Iterator[Sequence[dict[str, Any]]]:
        """The same documents, ``batch`` at once: for whoever writes so many at once."""
        return self._scans.scan(collection, filter or {}, batch, _line_of_the_caller())


def _line_of_the_caller() -> str:
    frame = sys._getframe(2)
    return f"{Path(frame.f_code.co_filename).name} {frame.f_lineno}"
