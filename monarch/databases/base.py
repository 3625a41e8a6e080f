"""What migrations need of a kind of database; `monarch.databases.transfer` is what transfers need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from monarch.databases.history import HistoryReader, HistoryWriter, ScanPosition
from monarch.databases.lease import Holder, Lease
from monarch.system.ci import UNKNOWN_ORIGIN, Origin


@dataclass(frozen=True)
class Contents:
    """How much a database holds: collections, and documents as the server estimates them."""

    collections: int
    documents: int


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

    # Its name in `monarch.databases.KINDS`, and its name for people.
    kind: ClassVar[str]
    title: ClassVar[str]

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
