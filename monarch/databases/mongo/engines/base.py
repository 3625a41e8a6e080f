"""The contract of an engine: it moves documents from one database to another, byte for byte.

An engine moves documents and nothing else. Catalog, staging and swap are the same for all engines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.stream.batches import Piece
from monarch.databases.mongo.stream.snapshot import Snapshot
from monarch.databases.transfer import Engine
from monarch.errors import UsageError


@dataclass(frozen=True)
class Destination:
    """An existing, empty collection to which documents are written.

    ``ordered`` if their order must be kept, as in a capped collection.
    """

    collection: str
    ordered: bool = False


@dataclass(frozen=True)
class Rights:
    """The rights of this user: whether it may write documents that a validator refuses."""

    bypass_validation: bool = False


class Writer(ABC):
    """Writes documents. An error may be raised by any later call, at the latest by `finish`."""

    @abstractmethod
    def write(self, piece: Piece) -> None:
        """Write a batch of one of the destinations, or end that destination.

        :raises ServerError: if a document is refused, or the server cannot be reached.
        """

    @abstractmethod
    def finish(self) -> None:
        """Wait until everything is written.

        :raises ServerError: if anything could not be written.
        """


class MongoEngine(Engine):
    """An engine for MongoDB. It calls ``alive`` regularly while it waits; an exception ends the wait."""

    @abstractmethod
    def take_snapshot(self, source: DatabaseHandle, collections: tuple[Collection, ...]) -> Snapshot | None:
        """Take a snapshot; return None if this engine or the server cannot read ``collections`` from one."""

    @abstractmethod
    def read(
        self,
        source: DatabaseHandle,
        collections: tuple[Collection, ...],
        snapshot: Snapshot | None,
        alive: Callable[[], None],
    ) -> AbstractContextManager[Iterator[Piece]]:
        """Yield the documents of ``collections`` or of their queries, and exactly one `End` for each.

        They are read from ``snapshot``, a result of `take_snapshot`, where possible; the `End` records it.
        Batches of several collections may alternate; those of one keep the server's order. Leaving the
        context stops what still runs.

        :raises ServerError: in the iteration, if a collection cannot be read to its end.
        """

    @abstractmethod
    def write(
        self,
        target: DatabaseHandle,
        destinations: Mapping[str, Destination],
        rights: Rights,
        alive: Callable[[], None],
    ) -> AbstractContextManager[Writer]:
        """Open a writer to ``destinations``, whose keys are the names in the batches.

        Leaving the context without `Writer.finish` stops what still runs; written documents stay.
        """


def require_mongo_engine(engine: Engine) -> MongoEngine:
    """Return ``engine`` if it is an engine for MongoDB.

    :raises UsageError: if it is for another kind of database.
    """
    if not isinstance(engine, MongoEngine):
        raise UsageError(
            f"The engine {engine.name!r} does not work with MongoDB.", "Choose one with --engine."
        )
    return engine
