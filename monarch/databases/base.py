"""The seam between the domain and a kind of database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from monarch.databases.history import HistoryReader, HistoryWriter, ScanPosition
from monarch.databases.lease import Holder, Lease
from monarch.databases.selection import Selection
from monarch.progress import Progress
from monarch.system.ci import UNKNOWN_ORIGIN, Origin
from monarch.system.streams import Sink, Stream


@dataclass(frozen=True)
class Contents:
    """How much a database holds: collections, and documents as the server estimates them."""

    collections: int
    documents: int


@dataclass(frozen=True)
class CollectionSummary:
    """One collection of a database, as the server counts it; ``bytes`` are those of its documents.

    ``kind`` is "collection", "view" or "timeseries". Of a time series, buckets are counted.
    """

    name: str
    kind: str
    documents: int
    bytes: int
    indexes: int


@dataclass(frozen=True)
class CopiedCollection(CollectionSummary):
    """One collection as it was copied, and how long it took from its first document to its last index."""

    seconds: float


class Engine(ABC):
    """A way to move documents. ``name`` is what people choose it by."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def versions(self) -> tuple[str, ...]:
        """The programs it uses with their versions, for people."""


class Source(ABC):
    """What one database holds, to be read once."""

    @property
    @abstractmethod
    def held(self) -> tuple[CollectionSummary, ...]:
        """The collections that it holds, in order of their names."""


class LiveSource(Source):
    """What a database holds that is open."""

    @property
    @abstractmethod
    def server(self) -> str:
        """The server with its version, for people."""

    @property
    @abstractmethod
    def filters(self) -> tuple[str, ...]:
        """By which filters it was selected, in words without their values; none if it is whole."""

    @property
    @abstractmethod
    def one_moment(self) -> bool:
        """Whether all that has been read of it is as it was at one moment."""

    @abstractmethod
    def write_archive(self, sink: Sink, progress: Progress) -> tuple[CopiedCollection, ...]:
        """Write all of it into ``sink``, as an archive; what that was.

        :raises ServerError: if it cannot be read to its end, or was another thing at the end.
        """


class ArchiveSource(Source):
    """What an archive holds."""

    @abstractmethod
    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        """Read all of it; what that was.

        :raises DamagedError: if anything of it is not as it should be.
        """


class FileSet(ABC):
    """Files by name, in no folder, of which nothing is known but that they belong together."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Their names, and how many bytes each has."""

    @abstractmethod
    def open(self, name: str) -> AbstractContextManager[Stream]:
        """Read one of them.

        :raises DamagedError: in reading, if it is not as it was written.
        """


class Transaction(ABC):
    """A transaction that has begun. It is undone unless it is committed, see `OpenAttempt.complete`."""

    @property
    @abstractmethod
    def handles(self) -> Mapping[str, object]:
        """What a migration finds on ``self`` in it, besides what it finds always."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it can still be committed."""


class MigrationClient(ABC):
    """A connection of a migration's own: what it does to it does not disturb monarch's."""

    @property
    @abstractmethod
    def handles(self) -> Mapping[str, object]:
        """What a migration finds on ``self``, by attribute."""

    @property
    @abstractmethod
    def written(self) -> int:
        """How many documents were inserted, changed or removed through it, as the server counts them."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction, while the context lasts."""

    @abstractmethod
    def require_collection(self, name: str) -> bool:
        """Whether there is a collection of that name.

        :raises UsageError: if it is something that has no order of its own, as a view is.
        """

    @abstractmethod
    def count(self, collection: str, filter: Mapping[str, Any]) -> int:
        """How many documents a walk will find, about."""

    @abstractmethod
    def batches(
        self,
        collection: str,
        filter: Mapping[str, Any],
        size: int,
        start: ScanPosition | None,
        transaction: Transaction | None,
    ) -> Iterator[tuple[Sequence[Any], ScanPosition]]:
        """The documents behind ``start`` by their ``_id``, ``size`` at once, and where each lot ends."""


class Database(ABC):
    """One open database. Every method raises `ServerError` where the server fails or refuses."""

    # What `monarch.databases.KINDS` calls it.
    kind: ClassVar[str]

    @property
    @abstractmethod
    def history(self) -> HistoryReader:
        """What this database remembers of its migrations."""

    @abstractmethod
    def handles(self) -> dict[str, object]:
        """What a migration finds on ``self``, by attribute."""

    @abstractmethod
    def contents(self) -> Contents:
        """How much is in it, monarch's own collections left out. Writes nothing."""

    @abstractmethod
    def drop(self) -> None:
        """Remove the database and all that is in it, its history included."""

    @abstractmethod
    def is_same_as(self, other: Database) -> bool:
        """Whether both are one database of one server, however its host is spelled. Writes nothing."""

    @abstractmethod
    def recorder(self, lease: Lease) -> HistoryWriter:
        """Writes its history, as long as ``lease`` is held."""

    @abstractmethod
    def work(self) -> AbstractContextManager[MigrationClient]:
        """What a migration works with, while the context lasts."""

    @abstractmethod
    def can_transact(self) -> bool:
        """Whether its server has transactions."""

    @abstractmethod
    def fingerprint(self) -> Mapping[str, object]:
        """Something that is another for every collection, by its name, as soon as anything in it is.

        Monarch's own and the histories are left out.
        """

    @abstractmethod
    def lease(self, purpose: str, origin: Origin = UNKNOWN_ORIGIN) -> AbstractContextManager[Lease]:
        """Be the only one to change it while the context lasts.

        ``purpose`` tells others what for, ``origin`` from where.

        :raises LeaseHeld: naming who is.
        """

    @abstractmethod
    def holder(self) -> Holder | None:
        """Whoever holds the lease now. Writes nothing."""

    @abstractmethod
    def unlock(self, holder: Holder) -> bool:
        """Take the lease away from ``holder``, whose run stops as soon as it notices; False if it is gone."""

    @abstractmethod
    def sees(self, lease: Lease) -> bool:
        """Whether ``lease`` is of this database."""

    @abstractmethod
    def mend(self, lease: Lease, *, emptied_is_fine: bool = False) -> str | None:
        """Finish or undo what a run that was cut off has left; what that was, in words, or None.

        :raises MonarchError: if the database was emptied for a copy in place that did not end, unless
            that is fine because it is about to be filled.
        """

    @abstractmethod
    def require_whole(self) -> None:
        """Write nothing, and see that nothing is to be mended.

        :raises MonarchError: if something is, saying how.
        """

    @abstractmethod
    def choose_engine(self, wanted: str) -> Engine:
        """The engine called ``wanted``; of ``auto`` the best that works on this machine.

        :raises UsageError: if it does not work here, with how to make it.
        """

    @abstractmethod
    def dump(self, engine: Engine, selection: Selection | None = None) -> LiveSource:
        """What it holds now, or the part of that in ``selection``, as ``engine`` reads it.

        Nothing but the catalog is read before it is used, and what is needed to find out what is selected.

        :raises UsageError: if ``selection`` names what is not there.
        :raises MonarchError: if a query of it cannot be understood.
        """

    @abstractmethod
    def replace(
        self,
        dump: Source,
        engine: Engine,
        lease: Lease,
        purpose: str,
        *,
        in_place: bool = False,
        progress: Progress,
    ) -> tuple[CopiedCollection, ...]:
        """Let it hold what ``dump`` holds, and nothing else, written by ``engine``.

        The new collections are built beside the old ones, compared with what came, and swapped in;
        until the swap, everything is as it was. A swap that is cut off is finished by `mend`. With
        ``in_place`` the old ones are dropped first, which needs less room and has no way back.

        :raises ServerError: if a document is refused, or something has not arrived as it was.
        """
