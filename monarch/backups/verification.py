"""Verifying backups one after the other, and finding the one to restore."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from monarch.backups.catalog import BackupCatalog
from monarch.backups.reader import BrokenBackup, require_restorable, verify
from monarch.backups.state import Backup
from monarch.databases.environment import Environment
from monarch.databases.transfer import CopiedCollection
from monarch.errors import StoreError, UsageError
from monarch.progress import Progress


@dataclass(frozen=True)
class VerifiedBackup:
    """The result of verifying ``backup``: ``good``, or ``why`` not.

    ``good`` is None if the backup could not be read, which says nothing about its contents. ``collections``
    are those in it, if it is good. ``seconds`` is how long reading it took.
    """

    backup: Backup
    good: bool | None
    why: str | None
    collections: tuple[CopiedCollection, ...]
    seconds: float


def verify_all(
    catalog: BackupCatalog,
    backups: Iterable[Backup],
    progress: Progress,
    report: Callable[[VerifiedBackup], None],
) -> tuple[VerifiedBackup, ...]:
    """Read ``backups`` to their end; ``report`` is called with each result as soon as it is known.

    :raises LockedError: if one of them is being written.
    """
    results = []
    for backup in backups:
        results.append(_verify(catalog, backup, progress))
        report(results[-1])
    return tuple(results)


def _verify(catalog: BackupCatalog, backup: Backup, progress: Progress) -> VerifiedBackup:
    began = time.monotonic()
    good: bool | None = True
    why = None
    collections: tuple[CopiedCollection, ...] = ()
    try:
        collections = verify(catalog, backup, progress)
    except BrokenBackup as error:
        good, why = False, error.message
    except StoreError as error:
        good, why = None, error.message
    return VerifiedBackup(backup, good, why, collections, time.monotonic() - began)


def find_restorable(catalog: BackupCatalog, name: str, environments: tuple[Environment, ...]) -> Backup:
    """Return the backup called ``name``, or else the newest good one of the environment of that name.

    :raises BrokenBackup: if the listing already shows that it is not whole.
    :raises UsageError: if there is none.
    """
    backup = catalog.find(name)
    database = next((one.db_name for one in environments if one.name == name), None)
    if backup is None and database is not None:
        backup = catalog.newest(name, database)
        if backup is None:
            raise UsageError(
                f"There is no good backup of {name!r} ({database}) in {catalog.store.place}.",
                f"Run `monarch backup {name}`, or use the name of a backup "
                "(a backup of a subset is found by its own name only).",
            )
    backup = backup or catalog.get(name, [environment.name for environment in environments])
    require_restorable(catalog, backup)
    return backup
