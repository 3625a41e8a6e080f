"""Copying one database into another: what is asked first, and what is never done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from monarch.copies.subset import SubsetRequest
from monarch.databases import open_database, require_transfers
from monarch.databases.base import CollectionSummary, CopiedCollection, Database, Engine, Source
from monarch.databases.environment import Environment
from monarch.databases.history import IncompleteDatabase
from monarch.databases.selection import Selection
from monarch.errors import MonarchError, RunInterrupted, UsageError
from monarch.progress import SILENT, Progress


@dataclass(frozen=True)
class CopyPlan:
    """What a copy would bring and what would go from the target, which changes nothing.

    ``unfinished`` tells in words of an earlier copy into the target that was cut off.
    """

    engine: str
    versions: tuple[str, ...]
    comes: tuple[CollectionSummary, ...]
    goes: tuple[CollectionSummary, ...]
    unfinished: str | None = None


@dataclass(frozen=True)
class CopyResult:
    """What a copy has brought. ``seconds`` are of all of it, the swap included."""

    engine: str
    versions: tuple[str, ...]
    collections: tuple[CopiedCollection, ...]
    seconds: float


@dataclass(frozen=True)
class Copy:
    """A copy of ``source``, or a ``selection`` of it, into ``target``; people call them by ``names``."""

    source: Database
    target: Database
    names: tuple[str, str]
    engine: Engine
    allow_empty: bool = False
    selection: Selection | None = None

    def plan(self) -> CopyPlan:
        """What `run` would do. Writes nothing.

        :raises UsageError: if both are the same database.
        :raises MonarchError: if the source holds nothing, or is not whole.
        """
        comes = self._checked().held
        goes = self.target.dump(self.engine).held
        unfinished = None
        try:
            self.target.require_whole()
        except IncompleteDatabase as error:
            unfinished = error.message
        return CopyPlan(self.engine.name, self.engine.versions, comes, goes, unfinished)

    def run(self, *, in_place: bool = False, progress: Progress = SILENT) -> CopyResult:
        """Let ``target`` hold what ``source`` holds, and nothing else.

        :raises LockedError: if another run holds the target.
        :raises UsageError: if both are the same database.
        :raises MonarchError: if the source holds nothing, or is not whole.
        :raises ServerError: if it does not come to its end; until the swap the target is as it was.
        """
        began = time.monotonic()
        done: list[tuple[CopiedCollection, ...]] = []
        try:
            self._replace(done, in_place, progress)
        except KeyboardInterrupt as error:
            # Not while it was built or swapped, of which the error would have told.
            raise interrupted(self.names[1], done=bool(done)) from error
        return CopyResult(self.engine.name, self.engine.versions, done[0], round(time.monotonic() - began, 3))

    def _replace(self, done: list[tuple[CopiedCollection, ...]], in_place: bool, progress: Progress) -> None:
        """Do it; what has been swapped in stands in ``done``, whatever comes after."""
        dump = self._checked()
        purpose = f"copy_db {self.names[0]}:{self.names[1]}" + (" --in-place" if in_place else "")
        with self.target.lease(purpose) as lease:
            # Told by the lease itself, whatever proxies and names stand between us and the servers.
            if self.source.sees(lease):
                raise self._same()
            mended = self.target.mend(lease, emptied_is_fine=True)
            if mended is not None:
                progress.mended(mended)
            copied = self.target.replace(
                dump, self.engine, lease, purpose, in_place=in_place, progress=progress
            )
            done.append(copied)

    def _checked(self) -> Source:
        if self.source.is_same_as(self.target):
            raise self._same()
        self.source.require_whole()
        dump = self.source.dump(self.engine, self.selection)
        if not dump.held and not self.allow_empty:
            raise MonarchError(
                f"{self.names[0]!r} holds no collections: there is nothing to copy.",
                "Is its 'db_name' right? To make the target as empty as that, say --allow-empty.",
            )
        return dump

    def _same(self) -> UsageError:
        return UsageError(
            f"{self.names[0]!r} and {self.names[1]!r} are the same database.",
            "Nothing was changed. Look at their 'host' and 'db_name' in migrations/settings.py.",
        )


def interrupted(target: str, *, done: bool) -> RunInterrupted:
    """What to tell somebody who has interrupted a copy before it began to change ``target``, or after it."""
    if done:
        return RunInterrupted(f"Interrupted, but by then the copy into {target!r} was complete.")
    return RunInterrupted(f"Interrupted. {target!r} is as it was.")


def require_two(source: str, target: str) -> None:
    """Check that the names of two environments differ.

    :raises UsageError: if they do not.
    """
    if source == target:
        raise UsageError(f"{source!r} is both the source and the target.", "Name two environments.")


@dataclass(frozen=True)
class CopyRequest:
    """A copy between two environments of the project at ``root``, before anything is connected."""

    root: Path
    source: Environment
    target: Environment
    engine: str
    allow_empty: bool
    subset: SubsetRequest

    def plan(self, progress: Progress) -> CopyPlan:
        """See `Copy.plan`."""
        with self._open(progress) as copy:
            return copy.plan()

    def run(self, *, in_place: bool, progress: Progress) -> CopyResult:
        """See `Copy.run`."""
        result: CopyResult | None = None
        try:
            with self._open(progress) as copy:
                result = copy.run(in_place=in_place, progress=progress)
        except KeyboardInterrupt as error:  # while connecting or disconnecting
            raise interrupted(self.target.name, done=result is not None) from error
        return result

    @contextmanager
    def _open(self, progress: Progress) -> Iterator[Copy]:
        require_transfers(*((end.kind, repr(end.name)) for end in (self.source, self.target)))
        with (
            open_database(self.source, self.root, progress) as source,
            open_database(self.target, self.root, progress) as target,
        ):
            engine = target.choose_engine(self.subset.engine(self.engine, self.source))
            evaluated = self.subset.evaluate(self.root, self.source, source, progress)
            selection = evaluated.selection if evaluated else None
            names = self.source.name, self.target.name
            yield Copy(source, target, names, engine, self.allow_empty, selection)
