"""Record what commands have done: in the journal of the database, or else in the store.

Nothing here fails: what was done is done. What cannot be recorded is reported.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from monarch.backups.operations.lines import write_lines
from monarch.backups.state import Backup
from monarch.databases.base import Contents, Database
from monarch.databases.history import Action, Operation
from monarch.databases.lease import Holder
from monarch.errors import MonarchError
from monarch.progress import Progress
from monarch.settings.load import Settings
from monarch.stores import open_store
from monarch.stores.base import Store
from monarch.system.ci import find_origin

# Names of deleted backups that one entry holds.
_MOST_NAMED = 100


def record_backup(database: Database, store: Store, operation: Operation, progress: Progress) -> None:
    """Record in the journal of ``database``, or else beside the backup, that it was taken."""
    try:
        if database.record(operation):
            return
    except MonarchError:
        pass  # its user may only read, for example
    _write(store, operation.backup, (operation,), progress)


def record_adoption(store: Store, operation: Operation, progress: Progress) -> None:
    """Record beside the backup that it was taken over: its database was not touched, and may not exist."""
    _write(store, operation.backup, (operation,), progress)


def record_unlock(
    root: Path,
    settings: Settings,
    database: Database,
    environment: str,
    holder: Holder,
    progress: Progress,
) -> None:
    """Record that the lease was taken away from ``holder``."""
    command = f"unlock {environment}: {holder.purpose}"
    operation = Operation(command, Action.UNLOCK, environment, find_origin(root), time.monotonic())
    try:
        if database.record(operation):
            return
    except MonarchError:
        pass
    _record_in_settings(root, settings, operation, progress)


def record_drop(
    root: Path, settings: Settings, environment: str, dropped: Contents, began: float, progress: Progress
) -> None:
    """Record in the store that the database of ``environment`` was ``dropped``, with its journal.

    A project without a store of backups keeps no record of it.
    """
    operation = Operation(
        f"drop_db {environment}",
        Action.DROP,
        environment,
        find_origin(root),
        began,
        documents=dropped.documents,
    )
    _record_in_settings(root, settings, operation, progress)


def record_pruned(
    root: Path, store: Store, deleted: Sequence[Backup], began: float, progress: Progress
) -> None:
    """Record in the store that the backups ``deleted`` were deleted by ``prune_backups``.

    :param began: when that began, by `time.monotonic`.
    """
    by_environment: dict[str, list[Backup]] = {}
    for backup in deleted:
        if backup.environment is not None:
            by_environment.setdefault(backup.environment, []).append(backup)
    origin = find_origin(root)
    operations = [
        Operation(
            f"prune_backups {environment}",
            Action.PRUNE,
            environment,
            origin,
            began,
            backup=_names(backups),
            bytes=sum(backup.bytes for backup in backups),
        )
        for environment, backups in by_environment.items()
    ]
    if operations:
        _write(store, None, operations, progress)


def _names(backups: Sequence[Backup]) -> str:
    more = len(backups) - _MOST_NAMED
    names = ", ".join(backup.name for backup in backups[:_MOST_NAMED])
    return f"{names} and {more} more" if more > 0 else names


def _record_in_settings(root: Path, settings: Settings, operation: Operation, progress: Progress) -> None:
    """Write ``operation`` into the store of ``settings``, if they have one."""
    if settings.backups is None:
        return
    try:
        store = open_store(settings.store, root)
        store.prepare()
    except MonarchError as error:
        progress.message(f"{operation.command} could not be recorded: {error.message}")
        return
    _write(store, None, (operation,), progress)


def _write(store: Store, beside: str | None, operations: Sequence[Operation], progress: Progress) -> None:
    try:
        write_lines(store, beside, operations)
    except MonarchError as error:
        progress.message(f"{operations[0].command} could not be recorded: {error.message}")
