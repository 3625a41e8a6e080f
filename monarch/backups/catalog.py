"""The catalog of the backups in a store: listing, finding and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from monarch.backups.foreign.recognition import find_foreign
from monarch.backups.listing.cache import ListingCache
from monarch.backups.listing.read import LARGEST_MANIFEST, read_backups
from monarch.backups.listing.summary import read_manifest
from monarch.backups.manifest import Manifest
from monarch.backups.names import (
    MANIFEST,
    READING,
    generation_of,
    no_such_backup,
    split_archive_name,
    split_note_name,
)
from monarch.backups.retention.deletion import another, gone, refuse_protected, remove, require_same
from monarch.backups.retention.readers import is_reader_alive
from monarch.backups.retention.removal import remove_both
from monarch.backups.secrecy.encryption import NOT_ENCRYPTED, Encryption
from monarch.backups.secrecy.generations import group_archives, newest_generation
from monarch.backups.state import Backup, BackupState
from monarch.errors import DamagedError, LockedError, MonarchError, UsageError
from monarch.stores.base import Store

# How far the clocks of a store and of a machine may differ.
_TOLERANCE = timedelta(seconds=2)


def _plain(name: str) -> str:
    """Return ``name`` without what completion of file names in a shell adds: folders and endings."""
    name = name.rpartition("/")[2]
    archive = name.removesuffix(".part").removesuffix(MANIFEST)
    return archive if split_archive_name(archive) else name


class BackupCatalog:
    """The backups in ``store``. New ones are encrypted, and encrypted ones read, by ``encryption``."""

    def __init__(self, store: Store, encryption: Encryption = NOT_ENCRYPTED) -> None:
        self.store = store
        self.encryption = encryption

    def list(self, *, cached: bool = False, remember: bool = True) -> tuple[Backup, ...]:
        """Return all backups, the oldest first. Other files in the store are left out.

        :param cached: whether manifests that this machine has read before, and that the store lists
            unchanged, are not read again. For showing and planning; what restores or deletes reads them.
        :param remember: whether those that were read are remembered on this machine.
        """
        where = self.store.identity if cached else None
        found = read_backups(self.store, "", ListingCache(where, keeps=remember) if where else None)
        return tuple(sorted(found, key=_order))

    def find(self, name: str) -> Backup | None:
        """Return the backup called ``name``, or with a file of that name; None if there is none.

        :raises UsageError: if several match, with different endings.
        """
        name = _plain(name)
        found = newest_generation(self.find_all(name))
        if len(found) > 1:
            files = " and ".join(repr(backup.archive) for backup in found)
            raise UsageError(f"{name!r} may be {files}.", "Use the name with its ending.")
        return found[0] if found else None

    def find_all(self, name: str) -> tuple[Backup, ...]:
        """Return the backups called ``name``, or with a file of that name.

        There are several if `rekey_backup` runs, or was cut off.
        """
        candidates = sorted(read_backups(self.store, _plain(name)), key=lambda backup: backup.archive)
        return tuple(backup for backup in candidates if _plain(name) in (backup.name, backup.archive))

    def archives(self, backup: Backup, name: str) -> tuple[Backup, ...]:
        """Return the archives of ``backup``, the newest last; only this one if ``name`` is that of its file.

        There are several if `rekey_backup` runs, or was cut off.
        """
        if _plain(name) != backup.name:
            return (backup,)
        groups = group_archives(self.find_all(backup.name))
        return next((group for group in groups if backup in group), (backup,))

    def get(self, name: str, environments: Sequence[str] = ()) -> Backup:
        """Return the backup called ``name``, as `find` does.

        :param environments: names that are valid instead, to suggest one of them.
        :raises UsageError: if there is none, naming the nearest.
        """
        backup = self.find(name)
        if backup is not None:
            return backup
        raise no_such_backup(name, self.store.place, self.names(), environments)

    def named(self, name: str) -> Backup:
        """Return the backup called ``name``; for a foreign archive, this has to be the name of its file.

        :raises UsageError: if there is none, or it is a foreign archive whose file has another name.
        """
        backup = self.get(name)
        if backup.state is BackupState.FOREIGN and name.rpartition("/")[2] != backup.archive:
            raise UsageError(
                f"{name!r} may be the file {backup.archive!r}, which is no backup of monarch: {backup.why}.",
                "It was not deleted. To delete it without a question, use the whole name of the file.",
            )
        return backup

    def names(self) -> tuple[str, ...]:
        """Return the names that backups may have, without reading any manifest.

        Those of foreign archives are left out: they are never proposed.
        """
        files = {stored.name for stored in self.store.list() if not stored.unfinished}
        archives = {file for file in files if split_archive_name(file)}
        alone = [archive for archive in archives if archive + MANIFEST not in files]
        archives -= {name for name, _ in find_foreign(self.store, alone)}
        return tuple(sorted({parted[0] for archive in archives if (parted := split_archive_name(archive))}))

    def newest(self, environment: str, database: str) -> Backup | None:
        """Return the newest good backup of ``database`` of ``environment``; None if there is none.

        Backups of subsets do not count: restoring one would remove the rest. Masked ones hold invented data.

        :raises MonarchError: if a backup that cannot be read may be newer, or one has a time in the future.
        """
        backups = self.list()
        good = [
            backup
            for backup in backups
            if backup.state is BackupState.GOOD
            and (backup.environment, backup.database, backup.query_set) == (environment, database, None)
            and not backup.masked
        ]
        now = datetime.now(UTC)
        past = [backup for backup in good if not backup.is_ahead(now)]
        newest = past[-1] if past else None
        for backup in reversed(backups):
            if backup.state is BackupState.UNREADABLE and (newest is None or _may_be_newer(backup, newest)):
                instead = (
                    f", or use the name of the newest good backup of {environment}: {newest.name!r}"
                    if newest
                    else ""
                )
                raise MonarchError(
                    f"{backup.name!r} may be the newest backup of {environment!r}: {backup.why}.",
                    f"Fix that{instead}.",
                )
        if good and good[-1].is_ahead(now):
            raise _from_the_future(good[-1], newest)
        return newest

    def manifest(self, backup: Backup) -> Manifest:
        """Return the manifest of ``backup``.

        :raises DamagedError: if it is not as it was written, or there is none.
        """
        for file in self.store.read_small([backup.archive + MANIFEST], LARGEST_MANIFEST):
            return read_manifest(file.text)
        raise DamagedError("It has no manifest.")

    def delete(self, backup: Backup) -> None:
        """Delete ``backup``, its manifest first: an archive without one is not taken for a backup.

        What the journal in the store says of it stays.

        :raises LockedError: if it is being written, or protected.
        :raises StoreError: if the store refuses, or does not answer; it is then as it was, or the message
            says what is left.
        :raises MonarchError: if its name belongs to another backup by now.
        """
        found = self.find(backup.archive)
        refuse_protected(found)
        require_same(backup, found)
        if backup.state in (
            BackupState.BEGUN,
            BackupState.RUNNING,
            BackupState.UNFINISHED,
            BackupState.INCOMPLETE,
        ):
            found_any = self._discard(backup)
        elif backup.state is BackupState.FOREIGN:
            found_any = remove(self.store.delete, backup.archive)
        else:
            found_any = remove_both(self.store, backup.archive)
        if not found_any:
            raise gone(backup)
        for stored in self.store.list(backup.archive):
            note = split_note_name(stored.name)
            if note is not None and note[0] == backup.archive:
                with suppress(LockedError):  # somebody writes it right now, for what is gone
                    remove(self.store.delete, stored.name)

    def being_read(self, prefix: str = "") -> frozenset[str]:
        """Return the archives of the backups that are being read, as far as their readers could say so.

        :param prefix: only those whose names begin with this.
        """
        marks = [(split_note_name(stored.name), stored) for stored in self.store.list(prefix)]
        return frozenset(
            note[0] for note, stored in marks if note and note[1] == READING and is_reader_alive(stored)
        )

    def _discard(self, backup: Backup) -> bool:
        """Remove the unfinished files of ``backup``; return whether there were any.

        :raises MonarchError: if its writer has finished it in the meantime.
        """
        removed = [remove(self.store.discard, backup.archive + end) for end in (MANIFEST, "")]
        # From here on its writer cannot finish it.
        now = self.find(backup.archive)
        if now is not None:
            if now.state is not BackupState.INCOMPLETE:
                raise another(now)
            removed.append(remove(self.store.delete, backup.archive))
        return any(removed)


def _order(backup: Backup) -> tuple[datetime, str, int, str]:
    """By time; the archives of one backup from the oldest to the newest."""
    return backup.taken_at, backup.name, generation_of(backup.archive), backup.archive


def _from_the_future(backup: Backup, newest: Backup | None) -> MonarchError:
    other = f" The newest of the others is {newest.name!r}." if newest else ""
    return MonarchError(
        f"{backup.name!r} may not be the newest backup of {backup.environment!r}: its time is in the future, "
        f"{backup.taken_at:%Y-%m-%d %H:%M} UTC.",
        f"Check the clock of this machine, then use the name of the backup that you need.{other}",
    )


def _may_be_newer(backup: Backup, than: Backup) -> bool:
    """Whether ``backup``, whose only time is that of the store's clock, may have been taken after ``than``.

    The clocks of the store and of the machine that took ``than`` may differ.
    """
    return backup.modified >= than.modified - _TOLERANCE or backup.taken_at > than.taken_at
