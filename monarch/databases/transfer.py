"""What transfers (copies, backups and restores) need of a kind of database.

This part of the contract is optional: a kind without transfers implements `monarch.databases.base` only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from monarch.databases.base import Database
from monarch.databases.history import Operation
from monarch.databases.lease import Lease
from monarch.databases.transform import MaskingTransform, Transform
from monarch.errors import UsageError
from monarch.progress import Progress
from monarch.system.streams import Sink, Stream

if TYPE_CHECKING:
    from monarch.databases.sampling import CollectionSample
    from monarch.databases.selection import Choice, Selection
    from monarch.privacy.leaks.check import Leak
    from monarch.privacy.project_masks import ProjectMasks


@dataclass(frozen=True)
class CollectionSummary:
    """One collection of a database, as the server counts it.

    ``kind`` is "collection", "view", "timeseries" or "table". ``bytes`` is the size of its documents.
    For a time series, ``documents`` counts buckets.
    """

    name: str
    kind: str
    documents: int
    bytes: int
    indexes: int


@dataclass(frozen=True)
class CopiedCollection(CollectionSummary):
    """One collection as it was transferred; ``seconds`` is from its first document to its last index."""

    seconds: float


@dataclass(frozen=True)
class CollectionDigest:
    """Hashes of a collection, with which a restored one is compared.

    Each is the name of its scheme, a colon and the hash; two of different schemes cannot be compared.
    ``contents`` is that of its documents or rows; None if they have none that a restored collection would
    have too. ``definition`` is that of its options or columns, ``indexes`` those of its indexes by name.
    """

    name: str
    contents: str | None
    definition: str | None
    indexes: Mapping[str, str]


@dataclass(frozen=True)
class InspectedCollection:
    """A collection that was read to its end: its exact counts, and its hashes.

    Unless it ``is_exact`` it may hold more or less than its backup: a capped collection may have dropped its
    oldest documents, and the journal of monarch grows. ``unpacked`` is the number of documents in a time
    series, whose summary counts its buckets.
    """

    summary: CollectionSummary
    digest: CollectionDigest
    is_exact: bool = True
    unpacked: int | None = None


class Engine(ABC):
    """A way to move documents. People choose it by its ``name``."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def versions(self) -> tuple[str, ...]:
        """The programs that it uses, with their versions, for people."""


class Source(ABC):
    """The contents of one database, which can be read once.

    ``kind`` and ``title`` are those of its `Database`.
    """

    kind: ClassVar[str]
    title: ClassVar[str]

    @property
    @abstractmethod
    def summaries(self) -> tuple[CollectionSummary, ...]:
        """Its collections, sorted by name. The names are its own, also of those that are renamed."""

    @abstractmethod
    def transformed(self, transforms: tuple[Transform, ...]) -> Self:
        """Return the same contents with all documents passed through ``transforms``, in their order."""

    @abstractmethod
    def chosen(self, choice: Choice) -> Self:
        """Return what ``choice`` takes of these contents.

        :raises UsageError: if it names what is not there, or takes what cannot be without the rest.
        """

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of it: a sentence for each loss, and for what a query set did not find."""
        return ()


class LiveSource(Source):
    """The contents of an open database."""

    @property
    @abstractmethod
    def server(self) -> str:
        """The server with its version, for people."""

    @property
    @abstractmethod
    def filters(self) -> tuple[str, ...]:
        """The filters that selected it, for people and without values; empty if it is the whole database."""

    @property
    @abstractmethod
    def one_snapshot(self) -> bool:
        """Whether all of it was read from one snapshot."""

    def documents(self, number: int) -> Iterator[tuple[str, str]]:
        """Yield the first ``number`` documents of each collection as they would arrive, after all transforms.

        :return: for each the name of its collection, and its text for people.
        :raises UsageError: if this kind of database cannot show them.
        """
        raise UsageError(f"Documents of a {self.title} database cannot be shown.", "Leave out --show.")

    def comparing_contents(self) -> Self:
        """Return the same contents, whose copies are compared with them by a hash of each collection too.

        :raises UsageError: if this kind of database has no such hashes.
        """
        raise UsageError(
            f"Contents of a {self.title} database cannot be compared by hashes.",
            "Leave out --compare-contents.",
        )

    def check_archive(self, open_written: Callable[[], AbstractContextManager[ArchiveSource]]) -> None:
        """Let the transforms check the archive that `write_archive` has written, before it counts.

        Raises what they do.
        """
        return

    @property
    def digests(self) -> tuple[CollectionDigest, ...]:
        """The hashes of what `write_archive` has written; empty without, or if this kind has none."""
        return ()

    @abstractmethod
    def write_archive(
        self, sink: Sink, progress: Progress, *, hashes: bool = True
    ) -> tuple[CopiedCollection, ...]:
        """Write all of it into ``sink`` as an archive, and return what was written.

        :param hashes: whether to make `digests`, which takes time.
        :raises ServerError: if it cannot be read to its end, or was replaced in the meantime.
        """


class ArchiveSource(Source):
    """The contents of an archive."""

    @abstractmethod
    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        """Read all of it, and return its collections.

        :raises DamagedError: if anything in it is not as it was written.
        """


class FileSet(ABC):
    """Files that belong together, by name and without folders."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Return their names, each with its size in bytes."""

    @abstractmethod
    def open(self, name: str) -> AbstractContextManager[Stream]:
        """Read one of them.

        :raises DamagedError: while reading, if it is not as it was written.
        """


def measured(operation: Operation, written: tuple[CopiedCollection, ...]) -> Operation:
    """Return ``operation`` with how much it has ``written``."""
    documents, size = sum(one.documents for one in written), sum(one.bytes for one in written)
    return replace(operation, documents=documents, bytes=size)


class TransferDatabase(Database):
    """An open database that can be copied, backed up and restored into."""

    # The names of collections that `replace` adds to in place of dropping them.
    lasting: frozenset[str] = frozenset()

    @abstractmethod
    def choose_engine(self, name: str) -> Engine:
        """Return the engine called ``name``; for ``auto``, the best one that works on this machine.

        :raises UsageError: if it does not work on this machine, with a hint how to change that.
        """

    @abstractmethod
    def read(self, engine: Engine, selection: Selection | None = None) -> LiveSource:
        """Return its contents, or the part that ``selection`` selects, to be read by ``engine``.

        This reads the catalog and what is needed to resolve the selection. Documents are read when the source
        is used.

        :raises UsageError: if ``selection`` names what does not exist.
        :raises MonarchError: if one of its queries is invalid.
        """

    @abstractmethod
    def replace(
        self,
        source: Source,
        engine: Engine,
        lease: Lease,
        purpose: str,
        *,
        in_place: bool = False,
        keep_others: bool = False,
        operation: Operation | None = None,
        progress: Progress,
    ) -> tuple[CopiedCollection, ...]:
        """Replace its contents by those of ``source``, written by ``engine``.

        The new collections are built beside the old ones, compared with what was read, and swapped in;
        until the swap nothing changes. `recover` finishes a swap that was cut off. With ``in_place`` the
        old collections are dropped first, which needs less room and cannot be undone. The ``operation``
        arrives in the journal with the contents, never without them, with the numbers of what was written.
        What the journal has of this environment is kept. With ``keep_others`` only those of the old
        collections are replaced that have the name of a new one, and ``source`` has no history.

        :raises UsageError: if ``source`` is of another kind, or this kind cannot keep others.
        :raises ServerError: if a document is refused, or the copy differs from its source.
        """

    def open_masking(self, rules: ProjectMasks) -> AbstractContextManager[MaskingTransform]:
        """Mask documents of this kind of database by ``rules``, for as long as the context lasts.

        :raises UsageError: if this kind has no masks.
        """
        raise UsageError(
            f"Contents of a {self.title} database cannot be masked yet.",
            "Nothing was changed. Copy between private environments, or as they are: --raw.",
        )

    def find_leaks(self, copy: TransferDatabase, rules: ProjectMasks, progress: Progress) -> tuple[Leak, ...]:
        """Return where ``copy``, of the same kind, holds values that ``rules`` mask in this one.

        Writes nothing.

        :raises MaskingError: if its documents cannot be masked by ``rules``.
        :raises UsageError: if this kind has no masks.
        """
        raise UsageError(f"Contents of a {self.title} database cannot be masked yet.")

    def require_replaceable(self, comes: tuple[CollectionSummary, ...]) -> None:
        """Check that `replace` can write ``comes`` into it without losing more than the old contents.

        Writes nothing. `replace` checks it too.

        :raises UsageError: if it cannot, saying what to use instead.
        """

    def missing_rights(self, source: Source) -> str | None:
        """Return why this user may not replace it by ``source``, naming the role; None if nothing forbids it.

        Writes nothing, so it says only what the server reports. `replace` tries it.
        """
        return None

    @abstractmethod
    def recover(self, lease: Lease, *, refilling: bool = False) -> str | None:
        """Finish or undo what a transfer into it left behind when it was cut off.

        :param refilling: whether the database is about to be replaced, so that one that is empty or
            partly swapped is no error.
        :return: what was found and done, in words; None if there was nothing.
        :raises MonarchError: if only another transfer can make the database whole.
        """

    @abstractmethod
    def require_whole(self) -> None:
        """Check that no transfer into it was cut off. Writes nothing.

        :raises IncompleteDatabase: if one was, with a hint how to finish it.
        """

    @abstractmethod
    def fingerprint(self) -> Mapping[str, object]:
        """Return for each collection a value that changes whenever anything in the collection changes.

        monarch's own collections and the history are left out.
        """

    def ordered_engine(self) -> Engine:
        """Return the engine that writes documents in the order of an archive, as `inspect` needs it."""
        return self.choose_engine("auto")

    def inspect(self, progress: Progress) -> tuple[InspectedCollection, ...]:
        """Read all of it, and return its collections with their hashes.

        They equal those of the archive that it was restored from by `ordered_engine`. Nobody may write to it
        in the meantime.

        :raises UsageError: if this kind of database has no hashes.
        """
        raise UsageError(f"Contents of a {self.title} database cannot be compared with a backup.")

    def sample(self, size: int) -> Iterator[CollectionSample]:
        """Yield each collection with some of its documents: the first, the last and random ones.

        Views, the history and monarch's own collections are left out. The documents of a time series are
        those that were written. Time and memory are bounded: of large documents it reads fewer. Writes
        nothing.

        :param size: the number of documents of each collection. Smaller collections are read whole.
        :raises UsageError: if this kind of database has no samples.
        """
        raise UsageError(
            f"monarch reads no samples of {self.title} databases.", "Masks are for databases of other kinds."
        )


def as_transfer_database(database: Database) -> TransferDatabase:
    """Return ``database`` as one that can be transferred.

    :raises UsageError: if its kind has no transfers.
    """
    if not isinstance(database, TransferDatabase):
        raise UsageError(
            f"Cannot copy, back up or restore a {database.title} database.", f"Use {database.title}'s tools."
        )
    return database
