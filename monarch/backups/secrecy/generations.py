"""The archives of one backup: while `rekey_backup` runs, and if it was cut off, there are several."""

from __future__ import annotations

from monarch.backups.names import generation_of
from monarch.backups.state import Backup, BackupState


def are_one_backup(found: tuple[Backup, ...]) -> bool:
    """Whether ``found``, which have one name, are one backup under several keys.

    No other command gives two archives one name and one codec. Those without a manifest are remains of it.
    """
    good = [backup for backup in found if backup.state is BackupState.GOOD]
    origins = {(one.taken_at, one.kind, one.environment, one.database, one.documents) for one in good}
    codecs = {backup.codec for backup in found}
    return len(codecs) == len(origins) == 1 and any(backup.encrypted for backup in found)


def newest_generation(found: tuple[Backup, ...]) -> tuple[Backup, ...]:
    """Return the last good one of ``found`` if they are one backup; otherwise all."""
    if len(found) < 2 or not are_one_backup(found):
        return found
    good = [backup for backup in found if backup.state is BackupState.GOOD]
    return (max(good, key=lambda backup: generation_of(backup.archive)),)
