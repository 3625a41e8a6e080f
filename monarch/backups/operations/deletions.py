"""Deleting backups, with a record of what was deleted: its name, when it was taken, its SHA-256."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from monarch.backups.catalog import BackupCatalog
from monarch.backups.operations.in_store import StoreRecord, begin_record, describe
from monarch.backups.retention.deletion import refuse_protected, refuse_rekeyed
from monarch.backups.state import Backup
from monarch.databases.history import Action, MigrationState, TouchedBackup
from monarch.errors import MonarchError, RunInterrupted
from monarch.progress import Progress


class RecordedDeletions(AbstractContextManager["RecordedDeletions"]):
    """Records the deletion of ``going`` in the context, in one entry for each of their environments.

    ``command`` returns what a person has called, for the entry of an environment.
    """

    def __init__(
        self,
        root: Path,
        catalog: BackupCatalog,
        going: Sequence[Backup],
        action: Action,
        command: Callable[[str | None], str],
        progress: Progress,
    ) -> None:
        self._catalog = catalog
        self._groups: dict[str | None, list[Backup]] = {}
        for backup in going:
            self._groups.setdefault(backup.environment, []).append(backup)
        self._records: dict[str | None, StoreRecord] = {
            environment: begin_record(root, catalog.store, command(environment), action, backups, progress)
            for environment, backups in self._groups.items()
        }
        self._done: dict[str | None, list[TouchedBackup]] = {name: [] for name in self._groups}

    @contextmanager
    def deleting(self, backup: Backup) -> Iterator[None]:
        """Record that ``backup`` is deleted in the context or, if that fails, why it is not."""
        item, why = describe(self._catalog, backup), "interrupted"
        try:
            yield
            item = replace(item, deleted=True)
        except MonarchError as error:
            why = error.message
            raise
        finally:
            if not item.deleted:
                item = replace(item, why=why)
            self._done[backup.environment].append(item)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for environment, record in self._records.items():
            done = self._done[environment]
            if error is None or (len(done) == len(self._groups[environment]) and done[-1].deleted):
                record.end(MigrationState.COMPLETED, backups=done)
            elif not done:
                record.discard()
            elif isinstance(error, MonarchError) and not isinstance(error, RunInterrupted):
                record.end(MigrationState.FAILED, error.message, done)
            else:
                record.end(MigrationState.INTERRUPTED, backups=done)


def delete_all(
    root: Path,
    catalog: BackupCatalog,
    backups: Iterable[str | Backup],
    report: Callable[[Backup], None],
    progress: Progress,
) -> tuple[Backup, ...]:
    """Delete ``backups`` one after another; ``report`` is called after each.

    All names are looked up before the first is deleted. The name of a backup means all of its archives.

    :raises LockedError: if one is protected, or `rekey_backup` writes another archive of it.
    :raises UsageError: if there is no backup of one of the names, or it is a foreign archive whose file
        has another name.
    """
    selected: list[Backup] = []
    for one in backups:
        if isinstance(one, str):
            selected += _find_archives(catalog, one, whole_name=True)
        else:
            refuse_rekeyed((one,))
            selected.append(one)
    with RecordedDeletions(root, catalog, selected, Action.DELETE, _delete_backup, progress) as recorded:
        for backup in selected:
            with recorded.deleting(backup):
                catalog.delete(backup)
            report(backup)
    return tuple(selected)


def find_deletable(catalog: BackupCatalog, names: Iterable[str], *, whole_name: bool) -> tuple[Backup, ...]:
    """Return the backups called ``names``, each with all of its archives, as they are now.

    :param whole_name: whether a foreign archive has to be named by the whole name of its file.
    :raises LockedError: if one is protected, or `rekey_backup` writes another archive of it.
    :raises UsageError: if there is no backup of one of the names.
    """
    selected: list[Backup] = []
    for name in dict.fromkeys(names):
        found = _find_archives(catalog, name, whole_name=whole_name)
        for backup in found:
            refuse_protected(backup)
        selected += [backup for backup in found if backup not in selected]
    return tuple(selected)


def _find_archives(catalog: BackupCatalog, name: str, *, whole_name: bool) -> tuple[Backup, ...]:
    found = catalog.archives(catalog.named(name) if whole_name else catalog.get(name), name)
    refuse_rekeyed(found)
    return found


def _delete_backup(environment: str | None) -> str:
    return f"delete_backup of {environment}" if environment else "delete_backup"
