"""Opening a backup, which is checked against its manifest while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial

from monarch.backups.catalog import BackupCatalog
from monarch.backups.codecs import CODECS
from monarch.backups.foreign.opening import UnpackedFiles, open_folders, open_foreign
from monarch.backups.manifest import Manifest
from monarch.backups.names import LEGACY
from monarch.backups.retention.readers import marked_as_read
from monarch.backups.secrecy.checked import CheckedStream
from monarch.backups.state import Backup, BackupState
from monarch.backups.zip_v01 import SeveralFolders, ZippedFiles
from monarch.databases import LEGACY_KIND, open_archive, open_files
from monarch.databases.foreign import ForeignSource, as_argument
from monarch.databases.transfer import ArchiveSource, CopiedCollection
from monarch.errors import DamagedError, LockedError, MonarchError, StoreError, UsageError
from monarch.progress import SILENT, Progress
from monarch.stores.base import NotStored
from monarch.system.streams import Stream

# A hint verifies the backup that it suggests up to this many bytes, which takes seconds.
_QUICK_TO_READ = 500_000_000
_CHUNK = 1 << 18


class BrokenBackup(DamagedError):
    """A backup that cannot be trusted. Its hint suggests another one, searched when it is read."""

    def __init__(self, message: str, hint: str | Callable[[], str] | None = None) -> None:
        super().__init__(message)
        self._hint = hint

    @property
    def hint(self) -> str | None:
        """Which backup to use instead."""
        if callable(self._hint):
            self._hint = self._hint()
        return self._hint

    @hint.setter
    def hint(self, hint: str | None) -> None:
        self._hint = hint


class NoManifest(BrokenBackup):
    """A backup that lacks its manifest, and whose archive is intact."""


@contextmanager
def open_backup(catalog: BackupCatalog, backup: Backup) -> Iterator[ArchiveSource]:
    """Open the archive of ``backup`` for as long as the context lasts.

    Reading it to its end checks it against its manifest: its SHA-256, its size and, in the archive, the
    checksum and the counts of each collection.

    :raises BrokenBackup: if it is not complete, or while it is read, if its bytes have changed.
    :raises LockedError: if it is being written.
    :raises UsageError: if it is foreign, and not an archive of one database, or it has no manifest and holds
        nothing that monarch restores.
    """
    require_restorable(catalog, backup)
    with (
        reading(catalog, backup),
        _reporting_damage(catalog, backup),
        _opened(catalog, backup) as archive,
    ):
        source = archive.restorable() if isinstance(archive, ForeignSource) else archive
        if backup.state is not BackupState.GOOD and not source.summaries:
            # Only a manifest shows that a database was empty. Restoring this would empty the target.
            raise UsageError(
                f"{backup.archive!r} holds no collection that monarch restores: there is nothing to restore.",
                f"Run `monarch verify_backup {as_argument(backup.archive)}` to see what it holds.",
            )
        yield source


def reading(catalog: BackupCatalog, backup: Backup) -> AbstractContextManager[None]:
    """Mark ``backup`` as being read, if it is one that may be pruned, for as long as the context lasts.

    What this module reads is marked anyway. This is for who reads it several times.
    """
    if backup.state is not BackupState.GOOD:
        return nullcontext()
    return marked_as_read(catalog.store, backup.archive)


@contextmanager
def _reporting_damage(catalog: BackupCatalog, backup: Backup) -> Iterator[None]:
    try:
        yield
    except DamagedError as error:
        why = f"{error.message} {backup.perhaps_unfinished}" if backup.perhaps_unfinished else error.message
        raise BrokenBackup(
            f"Backup {backup.name!r} is broken: {why}", partial(_another, catalog, backup)
        ) from error


def require_restorable(catalog: BackupCatalog, backup: Backup) -> None:
    """Check that ``backup`` is complete, as far as its listing tells.

    :raises BrokenBackup: if it is not, with why, and which one to use instead.
    :raises StoreError: if the store does not let it be read.
    :raises LockedError: if it is being written, or may be.
    """
    _require_readable(backup)
    if not backup.restorable:
        raise BrokenBackup(_state_of(backup), partial(_another, catalog, backup))


def _require_readable(backup: Backup) -> None:
    if backup.busy:
        message = f"Backup {backup.name!r} is not complete yet: {backup.why}."
        raise LockedError(message, "Wait until it is complete.")
    if backup.refusal is not None:
        message = f"Backup {backup.name!r} cannot be read: {backup.refusal.message}"
        raise StoreError(message, backup.refusal.hint)


def _state_of(backup: Backup) -> str:
    why = f": {backup.why}" if backup.why else ""
    return f"Backup {backup.name!r} is {backup.state.value}{why}."


@contextmanager
def _opened(catalog: BackupCatalog, backup: Backup) -> Iterator[ArchiveSource | ForeignSource]:
    try:
        if backup.state in (BackupState.FOREIGN, BackupState.INCOMPLETE):
            kind = backup.kind or LEGACY_KIND
            with open_foreign(catalog.store, backup.archive, backup.bytes, kind) as found:
                yield found
            return
        if backup.codec == LEGACY:
            yield _open_zip(catalog, backup)
            return
        manifest = catalog.manifest(backup)
        if manifest.taken_at != backup.taken_at:
            raise DamagedError("Another backup has replaced it in the meantime.")
        with catalog.store.open(backup.archive) as stream, _decrypted(catalog, stream, manifest) as plain:
            yield _open_archive(plain, manifest)
    except NotStored:
        raise DamagedError("It has just been deleted.") from None


@contextmanager
def open_packed(catalog: BackupCatalog, backup: Backup) -> Iterator[tuple[Manifest, Stream]]:
    """Open the compressed archive of ``backup``, which is good, without encryption; with its manifest.

    Reading it to its end checks it, as far as that is possible without decompressing it.

    :raises BrokenBackup: now or while it is read, if its bytes have changed.
    :raises NoKey: if it is encrypted, and no key of this machine opens it.
    """
    require_restorable(catalog, backup)
    with reading(catalog, backup), _reporting_damage(catalog, backup):
        try:
            manifest = catalog.manifest(backup)
            with (
                catalog.store.open(backup.archive) as stream,
                _decrypted(catalog, stream, manifest) as packed,
            ):
                yield manifest, packed
        except NotStored:
            raise DamagedError("It has just been deleted.") from None


def _open_zip(catalog: BackupCatalog, backup: Backup) -> ArchiveSource | ForeignSource:
    try:
        files = ZippedFiles(catalog.store, backup.archive, backup.bytes)
        return open_files(LEGACY_KIND, UnpackedFiles(files))
    except SeveralFolders as found:
        return open_folders(found.folders, backup.archive, LEGACY_KIND)


def _decrypted(catalog: BackupCatalog, stream: Stream, manifest: Manifest) -> AbstractContextManager[Stream]:
    """Return ``stream`` without encryption. At its end, the bytes in the store are checked."""
    stored = CheckedStream(stream, manifest.size, manifest.sha256)
    if not manifest.recipients:
        return nullcontext(stored)
    return catalog.encryption.decrypted(stored, manifest.recipients)


def _open_archive(stream: Stream, manifest: Manifest) -> ArchiveSource:
    codec = CODECS.get(manifest.codec)
    if codec is None:
        raise DamagedError(f"It is compressed with {manifest.codec!r}, which this monarch does not know.")
    return open_archive(manifest.kind, codec.decompress(stream), manifest.collections)


def _another(catalog: BackupCatalog, backup: Backup) -> str:
    """Return a hint which backup to use instead of ``backup``: a good one of the same environment."""
    if backup.environment is None:  # another environment's backup would be the wrong one
        return "Its environment is unknown. Run `monarch list_backups` to see which other backups there are."
    try:
        return _find_another(catalog, backup)
    except MonarchError:  # the other backups cannot be read either
        return "Run `monarch list_backups` to see which others there are."


def _find_another(catalog: BackupCatalog, backup: Backup) -> str:
    now = datetime.now(UTC)
    for other in reversed(catalog.list()):
        if other.state is not BackupState.GOOD or other.archive == backup.archive or other.is_ahead(now):
            continue
        if _origin(other) != _origin(backup):
            continue
        name = other.archive if other.name == backup.name else other.name
        taken = f"{name!r} of {other.environment}, taken {other.taken_at:%Y-%m-%d %H:%M} UTC"
        if other.bytes > _QUICK_TO_READ:
            return f"The newest other backup that seems good is {taken}. Check it with verify_backup."
        if _is_whole(catalog, other):
            return f"The newest other good backup is {taken}."
    return (
        f"There is no other good backup of {backup.environment}. "
        "Run `monarch list_backups` to see what is there."
    )


def _origin(backup: Backup) -> tuple[object, ...]:
    """What two backups have in common if one can be restored instead of the other."""
    return backup.kind, backup.environment, backup.database, backup.query_set, backup.masked


def _is_whole(catalog: BackupCatalog, backup: Backup) -> bool:
    """Whether ``backup`` is as it was written. It is read to its end."""
    try:
        verify(catalog, backup)
    except MonarchError:
        return False
    return True


def verify(
    catalog: BackupCatalog, backup: Backup, progress: Progress = SILENT
) -> tuple[CopiedCollection, ...]:
    """Check ``backup`` as `verify_contents` does, but without a key: of an encrypted one only its bytes.

    What it holds is then what its manifest says.
    """
    if not backup.encrypted:
        return verify_contents(catalog, backup, progress)
    if backup.state is BackupState.INCOMPLETE:
        raise NoManifest(
            f"{_state_of(backup)} It is encrypted: nothing but its key tells whether it is whole.",
            partial(_another, catalog, backup),
        )
    require_restorable(catalog, backup)
    with reading(catalog, backup), _reporting_damage(catalog, backup):
        return _verify_bytes(catalog, backup, progress)


def _verify_bytes(catalog: BackupCatalog, backup: Backup, progress: Progress) -> tuple[CopiedCollection, ...]:
    try:
        manifest = catalog.manifest(backup)
        progress.phase("verifying")
        progress.estimated(0, manifest.size)
        with catalog.store.open(backup.archive) as stream:
            stored = CheckedStream(stream, manifest.size, manifest.sha256)
            while data := stored.read(_CHUNK):
                progress.transferred(0, len(data))
    except NotStored:
        raise DamagedError("It has just been deleted.") from None
    return tuple(CopiedCollection(**vars(one), seconds=0.0) for one in manifest.collections)


def verify_contents(
    catalog: BackupCatalog, backup: Backup, progress: Progress = SILENT
) -> tuple[CopiedCollection, ...]:
    """Read all of ``backup``, decrypted if it is encrypted, and return its collections.

    Of a foreign archive, nothing tells whether it is complete.

    :raises NoManifest: if it lacks its manifest and is intact.
    :raises BrokenBackup: if anything in it has changed since it was written.
    :raises StoreError: if it cannot be read now.
    :raises LockedError: if it is being written.
    :raises Uncheckable: if it is foreign, in a format that monarch does not read.
    :raises NoKey: if it is encrypted, and no key of this machine opens it.
    """
    if backup.encrypted and backup.state is BackupState.INCOMPLETE:
        return verify(catalog, backup, progress)
    if backup.encrypted:
        for place in catalog.encryption.read_identities().exposed:
            progress.message(f"other users of this machine can read the private key in {place}: chmod 600 it")
    if backup.state is not BackupState.INCOMPLETE:
        require_restorable(catalog, backup)
    _require_readable(backup)
    with (
        reading(catalog, backup),
        _reporting_damage(catalog, backup),
        _opened(catalog, backup) as archive,
    ):
        collections = archive.read_through(progress)
    if backup.state is BackupState.INCOMPLETE:
        documents = sum(one.documents for one in collections)
        message = f"{_state_of(backup)} Its archive is intact, with {documents:,} documents."
        raise NoManifest(message, partial(_another, catalog, backup))
    return collections
