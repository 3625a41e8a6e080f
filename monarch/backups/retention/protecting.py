"""Protect a backup, also one that `rekey_backup` works on: that has several archives."""

from __future__ import annotations

from monarch.backups.catalog import BackupCatalog
from monarch.backups.retention.protection import Protection, protect, unprotect
from monarch.backups.state import Backup, BackupState


def protect_backup(catalog: BackupCatalog, name: str, protection: Protection) -> Backup:
    """Protect the backup called ``name``: all of its good archives. Return it.

    :raises UsageError: if there is none, or it is foreign.
    """
    done: set[str] = set()
    while True:
        backup = catalog.get(name)
        found = [one for one in catalog.archives(backup, name) if one.state is BackupState.GOOD] or [backup]
        present = {one.archive for one in found}
        # `rekey_backup` may have replaced the archive before it could see that the old one was protected.
        if present <= done:
            break
        for archive in sorted(present - done):
            protect(catalog.store, archive, protection)
        done |= present
    for archive in done - present:
        unprotect(catalog.store, archive)
    return backup


def unprotect_backup(catalog: BackupCatalog, name: str) -> tuple[Backup, bool]:
    """Let the backup called ``name`` be deleted again; return it, and whether it was protected.

    :raises UsageError: if there is none.
    """
    backup = catalog.get(name)
    archives = catalog.archives(backup, name)
    for one in archives:
        unprotect(catalog.store, one.archive)
    return backup, any(one.protection is not None for one in archives)
