"""The archives of one backup: while `rekey_backup` runs, and if it was cut off, there are several."""

from __future__ import annotations

from collections.abc import Iterable

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


def group_archives(backups: Iterable[Backup]) -> tuple[tuple[Backup, ...], ...]:
    """Return ``backups`` with the archives of one backup together, the last generation at the end."""
    by_name: dict[tuple[str, str], list[Backup]] = {}
    for backup in backups:
        by_name.setdefault((backup.name, backup.codec), []).append(backup)
    groups: list[tuple[Backup, ...]] = []
    for same in by_name.values():
        found = tuple(sorted(same, key=lambda backup: generation_of(backup.archive)))
        groups += [found] if len(found) > 1 and are_one_backup(found) else [(one,) for one in found]
    return tuple(groups)
