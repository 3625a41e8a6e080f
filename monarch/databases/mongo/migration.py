"""The base class of migrations of MongoDB databases."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monarch.databases.migration import Migration

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.client_session import ClientSession
    from pymongo.database import Database


class MongoBackedMigration(Migration):
    """A migration of a MongoDB database.

    ``database`` and ``client`` are pymongo's, connected to the environment. ``session`` is that of the
    transaction, to pass to each operation; None without one. ``uri`` is the whole connection string, password
    included, for an ODM.
    """

    database_kind = "mongo"
    client: MongoClient[dict[str, Any]]
    database: Database[dict[str, Any]]
    session: ClientSession | None
    uri: str

    def each(
        self, collection: str, filter: Mapping[str, Any] | None = None, *, batch: int = 1000
    ) -> Iterator[dict[str, Any]]:
        """Scan the documents of ``collection`` that match ``filter``, in the order of their ``_id``.

        They are read ``batch`` documents at a time, and after each batch the position is recorded. If the run
        is cut off, the next attempt continues there, as long as the file of the migration is the same; it may
        see the documents of one batch again. So finish with each document before you take the next one.
        Nothing is recorded in a transaction, nor for a scan within another one.
        """
        batches = self._scans.scan(collection, filter or {}, batch, _line_of_the_caller())
        return (document for documents in batches for document in documents)

    def batches(
        self, collection: str, filter: Mapping[str, Any] | None = None, *, batch: int = 1000
    ) -> Iterator[Sequence[dict[str, Any]]]:
        """Scan the same documents as `each`, ``batch`` at a time: to write them in bulk."""
        return self._scans.scan(collection, filter or {}, batch, _line_of_the_caller())


def _line_of_the_caller() -> str:
    frame = sys._getframe(2)
    return f"{Path(frame.f_code.co_filename).name} {frame.f_lineno}"
