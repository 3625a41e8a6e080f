"""What a database remembers of the migrations that ran on it: the words, and the contract.

Shared by the domain, which decides by it, and by the databases, which keep it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from monarch.errors import MonarchError
from monarch.system.ci import Origin


class MigrationState(Enum):
    """The states of the original, as it wrote them into ``mongo_migration_history``, and one more.

    `INTERRUPTED` is never written there: it is what a migration is called that was left in Processing by
    a run that is gone, or that a person or a signal has ended.
    """

    NEW = "New"
    PROCESSING = "Processing"
    FAILED = "Failed"
    COMPLETED = "Completed"
    INTERRUPTED = "Interrupted"


UNFINISHED = (MigrationState.PROCESSING, MigrationState.FAILED, MigrationState.INTERRUPTED)


class Action(Enum):
    """What was attempted. `RETRY` is a run of what had not finished before."""

    RUN = "run"
    RETRY = "retry"
    ROLLBACK = "rollback"
    MARK = "mark"
    ACCEPT = "accept"


@dataclass(frozen=True)
class ScanPosition:
    """How far a walk through a collection has come: up to the document whose ``_id`` is ``after``.

    What that is only the database knows. ``documents`` are those that lie behind it.
    """

    after: object
    documents: int


# By the label of the walk.
Places: TypeAlias = Mapping[str, ScanPosition]


@dataclass(frozen=True)
class Attempt:
    """The last attempt at a migration that has not ended well.

    ``who`` made it, for people; ``alive`` if that process is on this machine and still there.
    ``outcome`` is Completed, Failed or Interrupted, or None if it has not ended; ``error`` is how it
    ended, if that was not well. ``backup`` was taken before it. ``checksum`` is that of its file.
    """

    who: str
    alive: bool = False
    outcome: MigrationState | None = None
    error: str | None = None
    action: Action = Action.RUN
    backup: str | None = None
    checksum: str | None = None
    places: Places = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """What is known of one migration: its ``key`` is the name of its file without ``.py``.

    ``attempt`` is known of those that have not finished, if monarch itself ran them; of one that is to run
    again whenever its file changes, ``repeats`` is the checksum of the file that ran last. ``settled`` is
    False if a run was killed before it could write this state, see `HistoryWriter.settle`.
    """

    key: str
    state: MigrationState
    processed_at: datetime | None = None
    attempt: Attempt | None = None
    repeats: str | None = None
    settled: bool = True


@dataclass(frozen=True)
class Failure:
    """How an attempt ended that did not complete; ``interrupted`` by a person or a signal."""

    error: str
    traceback: str
    interrupted: bool = False


@dataclass(frozen=True)
class AttemptStart:
    """An attempt as it begins. ``backup`` was taken before it; ``places`` are where its walks go on.

    ``repeatable`` is False of one that was until now, and None of one that never was.
    """

    key: str
    action: Action
    checksum: str
    origin: Origin
    repeatable: bool | None = None
    backup: str | None = None
    places: Places = field(default_factory=dict)


@dataclass(frozen=True)
class AttemptStats:
    """What an attempt took: seconds, the documents it has written as the server counts, what it echoed."""

    seconds: float
    documents: int
    echoed: str


@dataclass(frozen=True)
class JournalEntry:
    """One entry of the journal: an attempt, or what somebody has said of a migration.

    ``outcome`` is Processing while it runs. Times are the server's, in UTC.
    """

    key: str
    action: Action
    outcome: MigrationState
    started_at: datetime | None
    finished_at: datetime | None = None
    seconds: float | None = None
    documents: int | None = None
    host: str | None = None
    user: str | None = None
    pid: int | None = None
    monarch: str | None = None
    commit: str | None = None
    job: str | None = None
    link: str | None = None
    checksum: str | None = None
    backup: str | None = None
    error: str | None = None
    traceback: str | None = None
    echoed: str | None = None


class IncompleteDatabase(MonarchError):
    """A copy into the database was cut off: its history may be the old one or the new one, or gone."""


class HistoryReader(ABC):
    """The history kept by one database. Nothing here writes.

    Every method raises `ServerError` where the server cannot be reached or refuses.
    """

    @abstractmethod
    def read(self) -> Mapping[str, Record]:
        """Every record by its key, in one command.

        :raises NotWhole: while a copy into the database is not finished.
        """

    @abstractmethod
    def checksums(self) -> Mapping[str, str | None]:
        """Of every migration that monarch has run or marked, the checksum its file had then, or when
        somebody last accepted another; None where it was accepted that the file is gone. One command.
        """

    @abstractmethod
    def entries(self, key: str | None = None, *, last: int | None = None) -> tuple[JournalEntry, ...]:
        """The journal, the oldest entry first: all of it, that of one ``key``, only the ``last`` so many."""


class OpenAttempt(ABC):
    """An attempt that has begun. Each method raises `LockedError`, having changed nothing, if the run that
    began it does not hold the lease any more.
    """

    @abstractmethod
    def complete(self, effort: AttemptStats, transaction: object = None) -> None:
        """Record that it is done. Saying so twice does no harm.

        With ``transaction``, one of the database's own that is open, that is committed together with it.

        :raises NotCommitted: if it was not.
        """

    @abstractmethod
    def fail(self, failure: Failure, effort: AttemptStats) -> None:
        """Record that it did not complete, and why."""

    @abstractmethod
    def remember(self, label: str, place: ScanPosition | None) -> None:
        """Keep how far a walk has come, for an attempt after this one; None: forget it."""


class HistoryWriter(ABC):
    """Writes the history, for one holder of the lease of the database.

    Every write happens only if that holder still has the lease then, which the server decides. Each method
    raises `LockedError` otherwise, and has changed nothing.
    """

    @abstractmethod
    def check(self) -> None:
        """See that it still has the lease. Costs nothing as long as that was renewed a moment ago."""

    @abstractmethod
    def settle(self) -> None:
        """Finish the records of runs that were killed; later calls do nothing.

        Attempts that were cut off are closed as interrupted and their transactions ended. A state that was
        not written any more is written. `begin` and `mark` do this first.
        """

    @abstractmethod
    def begin(self, begun: AttemptStart, transaction: object = None) -> OpenAttempt:
        """Record that an attempt begins, in ``transaction`` if it runs in one."""

    @abstractmethod
    def mark(
        self,
        key: str,
        state: MigrationState,
        checksum: str | None,
        origin: Origin,
        repeatable: bool | None = None,
    ) -> None:
        """Record that ``key`` is Completed or New because somebody says so."""

    @abstractmethod
    def accept(self, key: str, checksum: str | None, origin: Origin, repeatable: bool | None = None) -> None:
        """Record that the file of ``key`` is meant to be as it is now; None: to be gone."""
