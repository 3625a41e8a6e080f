"""Records in the store: of what is done to backups, which is no matter of a database.

Each is begun before, and completed afterwards: whatever is killed when, something says who was at it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from monarch.backups.catalog import BackupCatalog
from monarch.backups.operations.lines import OpenLine, write_lines
from monarch.backups.state import Backup
from monarch.databases.history import Action, MigrationState, Operation, TouchedBackup
from monarch.errors import MonarchError, RunInterrupted, UsageError
from monarch.progress import Progress
from monarch.stores.base import Store
from monarch.system.ci import find_origin

# Names that ``backup`` of an entry has, and backups that one entry describes: its file is small.
_MOST_NAMED = 100
_MOST_DESCRIBED = 250
_LONGEST_ERROR = 500


class StoreRecord:
    """The record of ``operation`` in ``store``. If it cannot be written, that is reported once it is done."""

    def __init__(self, store: Store, operation: Operation, progress: Progress) -> None:
        self._store = store
        self._operation = operation
        self._progress = progress
        self._line: OpenLine | None = None
        self._unwritten: MonarchError | None = None
        try:
            self._line = OpenLine(store, operation)
        except MonarchError as error:
            self._unwritten = error

    def end(
        self, outcome: MigrationState, error: str | None = None, backups: Sequence[TouchedBackup] = ()
    ) -> None:
        """Write how it has ended, and what became of ``backups``. Later calls do nothing."""
        line, self._line = self._line, None
        unwritten, self._unwritten = self._unwritten, None
        if line is None:
            # What failed because nothing can be written has one error, the command's. A drill only reads.
            done = outcome is MigrationState.COMPLETED or self._operation.action is Action.DRILL
            done = done or any(one.deleted for one in backups)
            if unwritten is not None and done:
                self._report(unwritten)
            return
        error = error and error[:_LONGEST_ERROR]
        operation = replace(self._operation, outcome=outcome, error=error)
        (first, *others) = _in_parts(operation, backups)
        try:
            for one in others:
                write_lines(self._store, None, (one,))
            line.end(first)
        except MonarchError as failed:
            self._report(failed)

    def discard(self) -> None:
        """Record nothing: nothing was done."""
        if self._line is not None:
            self._line.discard()
        self._line = None

    def _report(self, error: MonarchError) -> None:
        self._progress.message(f"{self._operation.command} could not be recorded: {error.message}")


def begin_record(
    root: Path, store: Store, command: str, action: Action, backups: Sequence[Backup], progress: Progress
) -> StoreRecord:
    """Record that ``command`` of the project at ``root`` begins with ``backups`` of one environment."""
    operation = Operation(
        command,
        action,
        backups[0].environment,
        find_origin(root),
        time.monotonic(),
        backup=_names([one.name for one in backups]),
        outcome=None,
    )
    return StoreRecord(store, operation, progress)


@contextmanager
def recording(
    root: Path, store: Store, command: str, action: Action, backup: Backup, progress: Progress
) -> Iterator[StoreRecord]:
    """Record in ``store`` that ``command`` does something to ``backup`` in the context, and how that ends.

    A `UsageError` means that nothing was done.
    """
    record = begin_record(root, store, command, action, (backup,), progress)
    try:
        yield record
    except (KeyboardInterrupt, RunInterrupted):
        record.end(MigrationState.INTERRUPTED)
        raise
    except UsageError:
        record.discard()
        raise
    except MonarchError as error:
        record.end(MigrationState.FAILED, error.message)
        raise
    record.end(MigrationState.COMPLETED)


def describe(catalog: BackupCatalog, backup: Backup) -> TouchedBackup:
    """Return what a record says of ``backup``, as if nothing were done to it."""
    sha256 = None
    if backup.has_manifest:
        with suppress(MonarchError):  # nothing tells it any more
            sha256 = catalog.manifest(backup).sha256
    return TouchedBackup(
        backup.name, backup.archive, backup.taken_at.isoformat(), backup.bytes, sha256, deleted=False
    )


def _in_parts(operation: Operation, backups: Sequence[TouchedBackup]) -> Iterator[Operation]:
    """Yield ``operation`` with ``backups``: several ones with a part of them each, if there are many."""
    if not backups:
        yield operation
    for first in range(0, len(backups), _MOST_DESCRIBED):
        part = tuple(backups[first : first + _MOST_DESCRIBED])
        deleted = [one for one in part if one.deleted]
        one = replace(operation, backups=part, id=uuid.uuid4().hex if first else operation.id)
        if operation.action in (Action.DELETE, Action.PRUNE):
            one = replace(
                one,
                backup=_names([backup.name for backup in deleted]),
                bytes=sum(backup.bytes for backup in deleted),
            )
        yield one


def _names(names: Sequence[str]) -> str | None:
    more = len(names) - _MOST_NAMED
    text = ", ".join(names[:_MOST_NAMED])
    return (f"{text} and {more} more" if more > 0 else text) or None
