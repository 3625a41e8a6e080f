"""What an engine promises: to move documents out of one database and into another, byte for byte.

An engine moves documents and nothing else. Which collections there are, their options and indexes,
where they are kept meanwhile and how they get their names, is the same for all of them.
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
    """Where the documents of one collection go: an empty collection that is there already.

    ``ordered`` if they must arrive in the order in which they come, as in a capped collection.
    """

    collection: str
    ordered: bool = False


@dataclass(frozen=True)
class Rights:
    """What the server allows this user: to write documents that a validator refuses."""

    bypass_validation: bool = False


class Writer(ABC):
    """Takes documents. What is wrong may show at any later call, at `finish` at the latest."""

    @abstractmethod
    def write(self, piece: Piece) -> None:
        """Write a batch, whose collection is one of the destinations' keys; or hear that it was the last.

        :raises ServerError: if a document is refused, or the server is gone.
        """

    @abstractmethod
    def finish(self) -> None:
        """Wait until everything is written.

        :raises ServerError: if anything was not.
        """


class MongoEngine(Engine):
    """An engine for MongoDB. ``alive`` is called now and then where one waits; what it raises, ends that."""

    @abstractmethod
    def take_snapshot(self, source: DatabaseHandle, collections: tuple[Collection, ...]) -> Snapshot | None:
        """Return a snapshot of now, None if this engine or the server cannot read ``collections`` so."""

    @abstractmethod
    def read(
        self,
        source: DatabaseHandle,
        collections: tuple[Collection, ...],
        snapshot: Snapshot | None,
        alive: Callable[[], None],
    ) -> AbstractContextManager[Iterator[Piece]]:
        """All documents of ``collections``, or those of their queries, and then exactly one `End` of each.

        From ``snapshot``, a result of `take_snapshot`, where that is possible: the `End` says
        so. Batches of several collections may alternate; those of one come in the order in which the server
        gives them. The context's end stops what still runs.

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
        """A writer into ``destinations``, by the names that the batches have.

        The context's end without `Writer.finish` stops what still runs; what has been written stays.
        """


def require_mongo_engine(engine: Engine) -> MongoEngine:
    """``engine`` as one that moves documents of MongoDB.

    :raises UsageError: if it is one of another kind of database.
    """
    if not isinstance(engine, MongoEngine):
        raise UsageError(
            f"The engine {engine.name!r} does not work with MongoDB.", "Choose one with --engine."
        )
    return engine
