"""Record what commands have done: in the journal of the database, or else in the store.

Nothing here fails: what was done is done. What cannot be recorded is reported.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from monarch.backups.operations.lines import OpenLine, write_lines
from monarch.databases.base import Contents, Database
from monarch.databases.history import Action, MigrationState, Operation
from monarch.databases.lease import Holder
from monarch.errors import MonarchError
from monarch.progress import Progress
from monarch.settings.load import Settings
from monarch.stores import open_store
from monarch.stores.base import Store
from monarch.system.ci import find_origin

# What the purposes of leases begin with whose runs bring another journal.
_REPLACING = ("copy_db ", "restore ")


def record_backup(database: Database, store: Store, operation: Operation, progress: Progress) -> None:
    """Record in the journal of ``database``, or else beside the backup, that it was taken.

    It is beside the backup while another run is about to replace the database with its journal.
    """
    if _is_being_replaced(database) or not _has_recorded(database, operation):
        _write(store, operation.backup, (operation,), progress)


def record_adoption(store: Store, operation: Operation, progress: Progress) -> None:
    """Record beside the backup that it was taken over: its database was not touched, and may not exist."""
    _write(store, operation.backup, (operation,), progress)


def unlock(
    root: Path,
    settings: Settings,
    database: Database,
    environment: str,
    holder: Holder,
    progress: Progress,
) -> bool:
    """Take the lease of ``database`` away from ``holder``, and record it.

    The record is begun before. It has no outcome if this is killed.

    :return: whether it still had the lease.
    """
    command = f"unlock {environment}: {holder.purpose}"
    operation = Operation(
        command, Action.UNLOCK, environment, find_origin(root), time.monotonic(), outcome=None
    )
    with _Recording(root, settings, operation, progress, database) as recording:
        unlocked = database.unlock(holder)
        if not unlocked:
            recording.discard()
        return unlocked


@contextmanager
def recording_drop(
    root: Path, settings: Settings, environment: str, dropped: Contents, progress: Progress
) -> Iterator[None]:
    """Record in the store that the database of ``environment`` is dropped in the context, with its journal.

    The record is begun before. It has no outcome if this is killed. A project without a store of backups
    keeps no record. ``dropped`` is what the database holds.
    """
    operation = Operation(
        f"drop_db {environment}",
        Action.DROP,
        environment,
        find_origin(root),
        time.monotonic(),
        documents=dropped.documents,
        outcome=None,
    )
    with _Recording(root, settings, operation, progress):
        yield


class _Recording(AbstractContextManager["_Recording"]):
    """Records ``operation``, which is done in the context: before it, and how it has ended.

    It is recorded in the journal of ``database`` if there is one, or else in the store of ``settings``.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        operation: Operation,
        progress: Progress,
        database: Database | None = None,
    ) -> None:
        self._operation = operation
        self._progress = progress
        self._database = database if database is not None and _has_recorded(database, operation) else None
        self._line = None if self._database else self._open_line(root, settings)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end(MigrationState.COMPLETED)
        elif isinstance(error, MonarchError):
            self._end(MigrationState.FAILED)

    def discard(self) -> None:
        """Record nothing: nothing was done."""
        database, line = self._database, self._line
        self._database = self._line = None
        if database is not None:
            with suppress(MonarchError):
                database.forget(self._operation)
        if line is not None:
            line.discard()

    def _end(self, outcome: MigrationState) -> None:
        operation = replace(self._operation, outcome=outcome)
        try:
            if self._database is not None:
                self._database.record(operation)
            if self._line is not None:
                self._line.end(operation)
        except MonarchError as error:
            self._report(error)

    def _open_line(self, root: Path, settings: Settings) -> OpenLine | None:
        if settings.backups is None:
            return None
        try:
            store = open_store(settings.store, root)
            store.prepare()
            return OpenLine(store, self._operation)
        except MonarchError as error:
            self._report(error)
            return None

    def _report(self, error: MonarchError) -> None:
        self._progress.message(f"{self._operation.command} could not be recorded: {error.message}")


def _is_being_replaced(database: Database) -> bool:
    try:
        holder = database.holder()
    except MonarchError:  # its user may not read that
        return False
    return holder is not None and holder.purpose.startswith(_REPLACING)


def _has_recorded(database: Database, operation: Operation) -> bool:
    try:
        return database.record(operation)
    except MonarchError:
        return False  # its user may only read, for example


def _write(store: Store, beside: str | None, operations: Sequence[Operation], progress: Progress) -> None:
    try:
        write_lines(store, beside, operations)
    except MonarchError as error:
        progress.message(f"{operations[0].command} could not be recorded: {error.message}")
