"""What migrations need of a kind of database; `monarch.databases.transfer` is what transfers need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from monarch.databases.history import HistoryReader, HistoryWriter, Operation, ScanPosition
from monarch.databases.lease import Holder, Lease
from monarch.errors import UsageError
from monarch.system.ci import UNKNOWN_ORIGIN, Origin

if TYPE_CHECKING:
    from monarch.databases.health.observation import Observation
    from monarch.databases.migration import Migration
    from monarch.databases.transfer import CollectionSummary
    from monarch.system.subprocesses import ForegroundProgram


@dataclass(frozen=True)
class Contents:
    """How much a database holds: collections, and documents as the server estimates them."""

    collections: int
    documents: int


@dataclass(frozen=True)
class Holdings:
    """What a database holds: the number of its collections, their documents and their bytes.

    Views do not count. The documents of time series are not among ``documents``; their ``buckets`` are
    counted instead. ``bytes`` is None if the kind of database does not tell. ``collections`` are those that
    were counted, views too, sorted by name; ``uncounted`` are the names of others, for which there was no
    time or no right, so that the numbers are the least there is.
    """

    number: int
    documents: int
    bytes: int | None = None
    buckets: int = 0
    collections: tuple[CollectionSummary, ...] = ()
    uncounted: tuple[str, ...] = ()

    @classmethod
    def of(cls, collections: tuple[CollectionSummary, ...], uncounted: tuple[str, ...] = ()) -> Holdings:
        """Return what ``collections`` hold together."""
        counted = [one for one in collections if one.kind != "view"]
        series = [one for one in counted if one.kind == "timeseries"]
        return cls(
            len(counted) + len(uncounted),
            sum(one.documents for one in counted if one.kind != "timeseries"),
            sum(one.bytes for one in counted),
            sum(one.documents for one in series),
            collections,
            uncounted,
        )

    def without(self, names: frozenset[str]) -> Holdings:
        """Return the same without the collections called ``names``."""
        return Holdings.of(
            tuple(one for one in self.collections if one.name not in names),
            tuple(one for one in self.uncounted if one not in names),
        )


@dataclass(frozen=True)
class Shell:
    """What a person at a prompt needs: the kind's own ``program``, None if it is not on this machine.

    ``program_name`` is how that program is called. ``names`` are the variables of a Python prompt instead,
    and ``example`` is a line to type there.
    """

    program_name: str
    program: ForegroundProgram | None
    names: Mapping[str, object]
    example: str


class Transaction(ABC):
    """An open transaction. It is undone unless `OpenAttempt.complete` commits it."""

    @property
    @abstractmethod
    def handles(self) -> Mapping[str, object]:
        """What a migration additionally finds on ``self`` in the transaction, by attribute."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it can still be committed."""

    @property
    def was_ended(self) -> bool:
        """Whether the migration has ended it itself, so that what it did may be committed. Never fails.

        For a transaction that monarch has not ended yet.
        """
        return not self.is_open


class MigrationClient(ABC):
    """The migrations' own connection: nothing they do to it disturbs monarch's."""

    @property
    @abstractmethod
    def handles(self) -> Mapping[str, object]:
        """What a migration finds on ``self``, by attribute."""

    @property
    @abstractmethod
    def written(self) -> int:
        """The number of documents inserted, changed or removed through it, as the server counts them."""

    def reset(self) -> None:
        """Forget what the migration before has set on the connection. Called before each migration."""
        return

    def prepare(self, migration: Migration, transaction: Transaction | None) -> None:
        """Set on the connection what ``migration`` demands, which is about to run.

        :raises UsageError: if it cannot run without a transaction here.
        """
        return

    @property
    def is_settled(self) -> bool:
        """Whether all that was written through it, outside of a transaction of monarch, is committed."""
        return True

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a transaction for as long as the context lasts."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether a transaction that failed with ``error`` was undone and may succeed the next time."""
        return False

    @property
    def written_elsewhere(self) -> frozenset[str]:
        """The names of other databases that were written to through it, as far as that is known."""
        return frozenset()

    def describe_error(self, error: BaseException) -> str | None:
        """Return what the server says of ``error`` in one line, without values of documents.

        :return: None if the text of the error says it.
        """
        return None

    def describe_leftovers(self) -> str | None:
        """Return what a migration without a transaction may have left unusable, and what to do with it.

        Never fails.

        :return: None if there is nothing.
        """
        return None

    @abstractmethod
    def require_collection(self, name: str) -> bool:
        """Return whether there is a collection of that name.

        :raises UsageError: if it cannot be scanned; a view, for example, has no order of its own.
        """

    @abstractmethod
    def count(self, collection: str, filter: Mapping[str, Any]) -> int:
        """Return about how many documents a scan will find."""

    @abstractmethod
    def batches(
        self,
        collection: str,
        filter: Mapping[str, Any],
        size: int,
        start: ScanPosition | None,
        transaction: Transaction | None,
    ) -> Iterator[tuple[Sequence[Any], ScanPosition]]:
        """Yield the documents after ``start`` in the order of their ids, and the position after each batch.

        :param size: the number of documents in a batch.
        :param start: None for the beginning of the collection.
        """


class Database(ABC):
    """One open database. Every method raises `ServerError` if the server fails or refuses."""

    # Its name in `monarch.databases.KINDS`, and its name for people.
    kind: ClassVar[str]
    title: ClassVar[str]

    @property
    @abstractmethod
    def history(self) -> HistoryReader:
        """The history of the migrations on this database."""

    def reading(self) -> AbstractContextManager[None]:
        """Let the server refuse writes of monarch in the context, if this kind of database can."""
        return nullcontext()

    @abstractmethod
    def handles(self) -> dict[str, object]:
        """Return what a migration finds on ``self``, by attribute."""

    def shell(self, arguments: Sequence[str] = ()) -> Shell:
        """Return how a person works on it by hand.

        :param arguments: further ones of the kind's own program.
        :raises UsageError: if this kind has no shell.
        """
        raise UsageError(f"monarch has no shell for a {self.title} database.", "Use its own program.")

    @abstractmethod
    def contents(self) -> Contents:
        """Count what is in it, without monarch's own collections. Writes nothing."""

    def holdings(self, seconds: float) -> Holdings:
        """List what is in it, in about ``seconds``: what there was no time to count is named. Writes nothing.

        Views are listed too. By default only the totals are known.
        """
        contents = self.contents()
        return Holdings(contents.collections, contents.documents)

    def others(self) -> tuple[str, ...]:
        """Return the names of the other databases on its server that hold something and this user may see.

        Writes nothing, and never fails.
        """
        return ()

    def examine(self, is_far: bool, seconds: float) -> Iterator[Observation]:
        """Yield what is found of its server and itself, in about ``seconds``. Never fails.

        Nothing is written. The first observation is called "server": if it is a problem, no other follows.

        :param is_far: whether the server is on another machine.
        """
        return iter(())

    def hurried(self, seconds: float) -> AbstractContextManager[None]:
        """Let what is asked in the context fail after ``seconds``, if this kind can do that."""
        return nullcontext()

    @abstractmethod
    def drop(self, check: Callable[[], None] = lambda: None) -> None:
        """Remove the database with all of its contents and its history, its lease too.

        :param check: called right before; if it raises, nothing more is removed.
        """

    @abstractmethod
    def is_same_as(self, other: Database) -> bool:
        """Return whether both are the same database of the same server. Writes nothing.

        One server may have several host names.
        """

    @abstractmethod
    def recorder(self, lease: Lease) -> HistoryWriter:
        """Return a writer of its history, which works as long as ``lease`` is held."""

    @abstractmethod
    def work(self) -> AbstractContextManager[MigrationClient]:
        """Open a connection for migrations, for as long as the context lasts."""

    @abstractmethod
    def require_transactions(self) -> None:
        """Check that its server has transactions.

        :raises NoTransactions: if it has none, with why and what to do.
        """

    @abstractmethod
    def lease(self, purpose: str, origin: Origin = UNKNOWN_ORIGIN) -> AbstractContextManager[Lease]:
        """Hold the lease of this database for as long as the context lasts.

        :param purpose: what the run does, shown to others.
        :param origin: where the run comes from, shown to others.
        :raises LeaseHeld: if another run holds it, naming that run.
        """

    @abstractmethod
    def holder(self) -> Holder | None:
        """Return the holder of the lease, None if there is none. Writes nothing."""

    @abstractmethod
    def unlock(self, holder: Holder) -> bool:
        """Take the lease away from ``holder``, whose run then stops; return False if it no longer held it."""

    @abstractmethod
    def sees(self, lease: Lease) -> bool:
        """Return whether ``lease`` is the lease of this database."""

    @abstractmethod
    def record(self, operation: Operation) -> bool:
        """Write ``operation`` into the journal, without a lease; return False if it has no journal.

        It has one once monarch has written to it. What was recorded of the same operation is replaced.
        """

    @abstractmethod
    def forget(self, operation: Operation) -> None:
        """Remove what was recorded of ``operation``: it was not done."""
