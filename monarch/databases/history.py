"""The history of the migrations on a database: its terms, and the contracts to read and to write it.

Each kind of database stores it in its own way.
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from monarch.errors import MonarchError
from monarch.system.ci import Origin


class MigrationState(Enum):
    """The state of a migration: those that monarch 0.1 stored, and one more.

    `INTERRUPTED` is never stored as a state: it is shown for a migration that a dead run left in Processing,
    or that a person or a signal ended.
    """

    NEW = "New"
    PROCESSING = "Processing"
    FAILED = "Failed"
    COMPLETED = "Completed"
    INTERRUPTED = "Interrupted"


UNFINISHED = (MigrationState.PROCESSING, MigrationState.FAILED, MigrationState.INTERRUPTED)


class Action(Enum):
    """What was attempted. `RETRY` runs an unfinished migration again."""

    RUN = "run"
    RETRY = "retry"
    ROLLBACK = "rollback"
    MARK = "mark"
    ACCEPT = "accept"
    # No attempt at a migration: unmasked contents of a private environment have arrived.
    RAW = "raw copy"
    BACKUP = "backup"
    RESTORE = "restore"
    COPY = "copy"
    DROP = "drop"
    UNLOCK = "unlock"
    PRUNE = "prune"
    DELETE = "delete"
    PROTECT = "protect"
    UNPROTECT = "unprotect"
    REKEY = "rekey"
    DRILL = "drill"


# What commands other than those for migrations do to an environment.
OPERATIONS = (
    *(Action.BACKUP, Action.RESTORE, Action.COPY, Action.DROP, Action.UNLOCK, Action.PRUNE),
    *(Action.DELETE, Action.PROTECT, Action.UNPROTECT, Action.REKEY, Action.DRILL),
)
# Entries of the journal that are no attempts.
NO_ATTEMPTS = (Action.MARK, Action.ACCEPT, Action.RAW, *OPERATIONS)


@dataclass(frozen=True)
class ScanPosition:
    """How far a scan of a collection came.

    ``after`` identifies the last document that it has passed, and ``until`` the last that there was when it
    began, a list with one element; both are opaque to the domain. Without ``until`` it has no end but that of
    the collection. ``documents`` counts those that it has passed.
    """

    after: object
    documents: int
    until: Sequence[object] = ()


# By the label of the scan.
Positions: TypeAlias = Mapping[str, ScanPosition]


@dataclass(frozen=True)
class Attempt:
    """The last attempt at a migration that did not complete.

    ``who`` describes the process that made it; ``alive`` if that may still run. ``outcome`` is Failed or
    Interrupted, or None if the attempt has not ended; ``error`` is why it failed. ``backup`` was taken before
    it. ``checksum`` is that of its file. ``positions`` are the positions of its scans.
    """

    who: str
    alive: bool = False
    outcome: MigrationState | None = None
    error: str | None = None
    action: Action = Action.RUN
    backup: str | None = None
    checksum: str | None = None
    positions: Positions = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """The record of one migration. Its ``key`` is the name of its file without ``.py``.

    ``attempt`` is set if it did not finish and the journal has the attempt. For a repeatable migration
    ``repeats`` is the checksum of the file that ran last. ``settled`` is
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
    """Why an attempt did not complete; ``interrupted`` if a person or a signal ended it."""

    error: str
    traceback: str
    interrupted: bool = False


@dataclass(frozen=True)
class AttemptStart:
    """An attempt as it begins. ``backup`` was taken before it; its scans continue at ``positions``.

    ``repeatable`` is whether the migration is; None if it never was, False if it no longer is.
    """

    key: str
    action: Action
    checksum: str
    origin: Origin
    repeatable: bool | None = None
    backup: str | None = None
    positions: Positions = field(default_factory=dict)


@dataclass(frozen=True)
class AttemptStats:
    """How many seconds an attempt took, how many documents it wrote by the server, and what it printed."""

    seconds: float
    documents: int
    echoed: str


@dataclass(frozen=True)
class TouchedBackup:
    """A backup that an operation was about, and whether its ``archive`` was ``deleted``; ``why`` it was not.

    ``taken_at`` is in ISO 8601. ``sha256`` is that of the archive, by its manifest; None if it has none.
    """

    name: str
    archive: str
    taken_at: str
    bytes: int
    sha256: str | None
    deleted: bool
    why: str | None = None


@dataclass(frozen=True)
class JournalEntry:
    """One entry of the journal: an attempt, a mark, an accepted edit, or an operation.

    ``outcome`` is Processing while it runs. Times are the server's, in UTC. ``environment`` is the one that
    it was done on; None if an older monarch wrote it, or a deleted backup did not say whose it was.
    ``run`` is the id of its run: all that one `migrate` has run has the same, and nothing else has it.
    ``replaced`` if the contents that it was done on are gone: those of a copy or a restore have replaced
    them. ``backups`` are those in the store that it was about.
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
    environment: str | None = None
    query_set: str | None = None
    query_options: tuple[str, ...] = ()
    bytes: int | None = None
    replaced: bool = False
    backups: tuple[TouchedBackup, ...] = ()
    run: str | None = None


@dataclass(frozen=True)
class Operation:
    """What a command other than those for migrations has done, for the journal of its ``environment``.

    ``command`` is what a person calls, without values. ``environment`` is None if a backup does not say whose
    it is. ``began`` is when it began, by `time.monotonic`. ``query_options`` are those of a backup's
    manifest. ``outcome`` is None as long as it is not known; ``id`` stays the same then. ``backups`` are
    those in the store that it was about.
    """

    command: str
    action: Action
    environment: str | None
    origin: Origin
    began: float
    backup: str | None = None
    query_set: str | None = None
    query_options: tuple[str, ...] = ()
    documents: int | None = None
    bytes: int | None = None
    outcome: MigrationState | None = MigrationState.COMPLETED
    error: str | None = None
    backups: tuple[TouchedBackup, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def fields(self) -> dict[str, Any]:
        """Return what the journal stores of it as of now, without its times and who did it."""
        found = {
            "key": self.command,
            "action": self.action.value,
            "outcome": self.outcome and self.outcome.value,
            "environment": self.environment,
            "seconds": self.outcome and round(time.monotonic() - self.began, 3),
            "backup": self.backup,
            "query_set": self.query_set,
            "query_options": list(self.query_options) or None,
            "documents": self.documents,
            "bytes": self.bytes,
            "error": self.error,
            "backups": [vars(one) for one in self.backups] or None,
        }
        return {name: value for name, value in found.items() if value is not None}


class IncompleteDatabase(MonarchError):
    """A copy into the database was cut off: its history may be the old one, the new one, or missing."""


class HistoryReader(ABC):
    """Reads the history of one database. It writes nothing.

    Every method raises `ServerError` if the server cannot be reached or refuses.
    """

    @abstractmethod
    def read(self) -> Mapping[str, Record]:
        """Return every record by its key, in one command; in two if a run seems to be cut off.

        :raises IncompleteDatabase: while a copy into the database is not finished.
        """

    @abstractmethod
    def checksums(self) -> Mapping[str, str | None]:
        """Return the latest checksum of the file of every migration that ran, was marked or accepted.

        It takes one command. The checksum is None if a person accepted that the file is gone.
        """

    @abstractmethod
    def entries(
        self, key: str | None = None, *, last: int | None = None, everything: bool = False
    ) -> tuple[JournalEntry, ...]:
        """Return the journal, the oldest entry first: all, those of one ``key``, or only the ``last`` N.

        Without ``everything``, `OPERATIONS` and what is `JournalEntry.replaced` are left out, as far as the
        kind of database tells the latter apart for migrations.
        """


class OpenAttempt(ABC):
    """An attempt that has begun.

    Each method raises `LockedError` and changes nothing if its run no longer holds the lease.
    """

    @abstractmethod
    def complete(self, stats: AttemptStats, transaction: object = None) -> None:
        """Record that it is done. Calling this again does no harm.

        :param transaction: an open transaction of the database, which is committed with the record.
        :raises NotCommitted: if the transaction was not committed.
        """

    @abstractmethod
    def fail(self, failure: Failure, stats: AttemptStats) -> None:
        """Record that it did not complete, and why. The transaction that it began in may still be open."""

    @abstractmethod
    def remember(self, label: str, position: ScanPosition | None) -> None:
        """Store the position of the scan ``label`` for a later attempt; None removes it."""


class HistoryWriter(ABC):
    """Writes the history, for one holder of the lease of the database.

    The server accepts a write only if that holder still has the lease. Otherwise each method raises
    `LockedError` and changes nothing.
    """

    @abstractmethod
    def check(self) -> None:
        """Check that it still has the lease. Asks the server only if that was not renewed a moment ago."""

    @abstractmethod
    def settle(self) -> None:
        """Finish the records of runs that were killed; later calls do nothing.

        It closes open attempts as interrupted, ends their transactions, and writes the states that those runs
        no longer wrote. `begin` and `mark` do this first.
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
        """Record that a person marked ``key`` as Completed or New."""

    @abstractmethod
    def accept(self, key: str, checksum: str | None, origin: Origin, repeatable: bool | None = None) -> None:
        """Record that the file of ``key`` was edited on purpose; with None as ``checksum``, deleted."""
