"""One way to transfer: a source of documents, transforms, and a sink.

``copy_db`` transfers a database into a database, ``restore`` a backup into a database, ``backup`` a database
into a store. What they have in common is here: their steps, their result, and what Ctrl-C reports.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from monarch.databases.history import Action, Operation
from monarch.databases.selection import EVERYTHING, Choice
from monarch.databases.transfer import (
    CopiedCollection,
    Engine,
    Source,
    TransferDatabase,
)
from monarch.databases.transform import Transform
from monarch.errors import RunInterrupted, UsageError
from monarch.handouts.policy import Passage
from monarch.progress import Progress


@dataclass(frozen=True)
class TransferResult:
    """What a transfer has written. ``seconds`` is its whole duration, verification and swap included."""

    engine: str
    versions: tuple[str, ...]
    collections: tuple[CopiedCollection, ...]
    seconds: float
    # What was left out on request: collections, and indexes as COLLECTION.INDEX.
    excluded: tuple[str, ...] = ()
    # What has another name in the target than in the source: that of the source, and the new one.
    renamed: tuple[tuple[str, str], ...] = ()
    # What people should know of the source, as in `Source.notes`.
    notes: tuple[str, ...] = ()
    # How the contents of a private environment have passed.
    passage: Passage = Passage.OPEN
    # Whether later transfers will have the same masks.
    lasting_masks: bool = False


class Interruption:
    """What an interrupted transfer reports, its ``outcome``: ``untouched`` until `complete` is called."""

    def __init__(self, untouched: str) -> None:
        self.outcome = f"Interrupted. {untouched}"

    def complete(self, outcome: str) -> None:
        """From now on an interruption reports that ``outcome`` had happened before it."""
        self.outcome = f"Interrupted, but by then {outcome}."


@contextmanager
def report_interruption(untouched: str) -> Iterator[Interruption]:
    """Turn Ctrl-C and signals into a `RunInterrupted` that says what has become of the target.

    An interruption in the middle of a change is reported by the sink itself, which knows the state it left.
    """
    interruption = Interruption(untouched)
    try:
        yield interruption
    except KeyboardInterrupt as error:
        raise RunInterrupted(interruption.outcome) from error


class TransferSink(ABC):
    """Where a transfer goes."""

    @abstractmethod
    def receive(
        self,
        open_source: Callable[[], AbstractContextManager[Source]],
        engine: Engine,
        interruption: Interruption,
        progress: Progress,
    ) -> tuple[CopiedCollection, ...]:
        """Open the source, write all of it, and call `Interruption.complete` once that is done.

        If anything fails before, what was there is as it was.
        """


@dataclass(frozen=True)
class Transfer:
    """A transfer by ``engine``, which has begun at ``began`` by the clock of `time.monotonic`.

    ``transforms`` are applied in order to all documents between reading and writing. ``notes`` are those
    of the source, ``passage`` and ``lasting_masks`` say how it was masked, all for the result.
    """

    open_source: Callable[[], AbstractContextManager[Source]]
    sink: TransferSink
    engine: Engine
    interruption: Interruption
    began: float
    transforms: tuple[Transform, ...] = ()
    choice: Choice = EVERYTHING
    notes: tuple[str, ...] = ()
    passage: Passage = Passage.OPEN
    lasting_masks: bool = False

    def run(self, progress: Progress) -> TransferResult:
        """Do it. Raises what the source and the sink raise."""
        opening = self._open_changed if self.transforms or self.choice else self.open_source
        collections = self.sink.receive(opening, self.engine, self.interruption, progress)
        seconds = round(time.monotonic() - self.began, 3)
        return TransferResult(
            self.engine.name,
            self.engine.versions,
            collections,
            seconds,
            self.choice.excluded,
            self.choice.rename,
            self.notes,
            self.passage,
            self.lasting_masks,
        )

    @contextmanager
    def _open_changed(self) -> Iterator[Source]:
        with self.open_source() as source:
            yield source.chosen(self.choice).transformed(self.transforms)


@dataclass(frozen=True)
class DatabaseSink(TransferSink):
    """The database ``target`` of the environment ``name``, whose contents are replaced.

    ``purpose`` is the command, for other runs that find the lease held. ``completed`` is what an
    interruption reports once the contents are replaced. ``source_name`` is the source's name, for people;
    ``source_database`` must not be the target, if the source is a database. The ``operation`` is
    recorded in the journal of the target.
    """

    target: TransferDatabase
    name: str
    purpose: str
    completed: str
    source_name: str
    source_database: TransferDatabase | None = None
    in_place: bool = False
    keep_others: bool = False
    operation: Operation | None = None

    def receive(
        self,
        open_source: Callable[[], AbstractContextManager[Source]],
        engine: Engine,
        interruption: Interruption,
        progress: Progress,
    ) -> tuple[CopiedCollection, ...]:
        purpose = self.purpose + (" --in-place" if self.in_place else "")
        purpose += " --into-existing" if self.keep_others else ""
        with self.target.lease(purpose) as lease:
            # The lease identifies the database, whatever proxies and names are between us and the server.
            if self.source_database is not None and self.source_database.sees(lease):
                raise same_database(self.source_name, self.name)
            # What is missing of a target that is not whole, only a copy of everything brings back.
            recovered = self.target.recover(lease, refilling=not self.keep_others)
            if recovered is not None:
                progress.recovered(recovered)
            operation = self.operation
            if operation is not None:
                in_place = " --in-place" if self.in_place else ""
                raw = " --raw" if operation.action is Action.RAW else ""
                operation = replace(operation, command=operation.command + in_place + raw)
            with open_source() as source:
                collections = self.target.replace(
                    source,
                    engine,
                    lease,
                    purpose,
                    in_place=self.in_place,
                    keep_others=self.keep_others,
                    operation=operation,
                    progress=progress,
                )
                interruption.complete(self.completed)
        return collections


def same_database(source: str, target: str) -> UsageError:
    """Return the error for two environments that are one database."""
    return UsageError(
        f"{source!r} and {target!r} are the same database.",
        "Nothing was changed. Check their 'host' and 'db_name' in migrations/settings.py.",
    )
