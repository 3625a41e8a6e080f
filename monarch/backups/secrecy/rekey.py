"""Encrypt backups anew, for the present recipients, which also encrypts those that were not encrypted.

A file of a store is never changed, so a new archive is written beside the old one, under the same name of
the backup. The old one is deleted when the new one was read back and has its manifest. So at any moment at
least one good archive is there, and what a cut-off run has left is removed by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from monarch.backups.catalog import BackupCatalog
from monarch.backups.codecs import CODECS
from monarch.backups.manifest import Manifest
from monarch.backups.names import MANIFEST, PROTECTED, archive_name, generation_of
from monarch.backups.operations.in_store import describe, recording
from monarch.backups.reader import open_packed, verify
from monarch.backups.retention.protection import longest, protect, read_protections, unprotect
from monarch.backups.secrecy.age import decrypting, encrypting
from monarch.backups.secrecy.checked import CheckedStream, HashedUpload
from monarch.backups.secrecy.encryption import Sealing
from monarch.backups.secrecy.generations import are_one_backup
from monarch.backups.state import Backup, BackupState
from monarch.copies.transfer import Interruption, report_interruption
from monarch.databases import open_archive
from monarch.databases.history import Action, MigrationState, TouchedBackup
from monarch.errors import LockedError, MonarchError, StoreError, UsageError
from monarch.progress import Progress

_CHUNK = 1 << 18


class RekeyStep(Enum):
    """What `rekey_backup` does with one backup."""

    ENCRYPT = "encrypt"
    REKEY = "rekey"
    # It is encrypted for the present recipients, but what an earlier run has left is there.
    FINISH = "finish"
    NOTHING = "nothing"


@dataclass(frozen=True)
class PlannedRekey:
    """What is done with ``backup``, which is encrypted for ``recipients`` now.

    ``others`` are older archives of it, and remains of runs that were cut off: they are deleted at the end.
    """

    backup: Backup
    step: RekeyStep
    recipients: tuple[str, ...]
    others: tuple[Backup, ...]


@dataclass(frozen=True)
class RekeyedBackup:
    """A backup that was planned, with the name of its ``archive`` and its ``bytes`` now."""

    planned: PlannedRekey
    archive: str
    bytes: int
    seconds: float


def plan_rekey(catalog: BackupCatalog, names: Iterable[str]) -> tuple[PlannedRekey, ...]:
    """Return what `rekey` would do with the backups called ``names``. Writes nothing.

    Without names, these are all good backups.

    :raises UsageError: if the settings have no recipients, or there is no such good backup.
    :raises NoKey: if one is encrypted, and this machine has no keys.
    :raises LockedError: if another run may be at it.
    """
    if not catalog.encryption.recipients:
        raise UsageError(
            "There are no recipients to encrypt for.",
            "Set BACKUPS['encrypt'] in migrations/settings.py: {'recipients': ['age1…']}.",
        )
    catalog.encryption.sealing()
    if names := tuple(names):
        backups = [catalog.get(name) for name in names]
    else:
        backups = [one for one in catalog.list() if one.state is BackupState.GOOD]
    planned = [_plan(catalog, name) for name in dict.fromkeys(one.name for one in backups)]
    if any(one.step is RekeyStep.REKEY for one in planned):
        catalog.encryption.read_identities()
    return tuple(planned)


def _plan(catalog: BackupCatalog, name: str) -> PlannedRekey:
    backup = catalog.get(name)
    found = catalog.find_all(name)
    if busy := next((one for one in found if one.busy), None):
        raise LockedError(
            f"{busy.archive!r} is being written: another run may encrypt {name!r} anew.",
            f"Wait until it is complete. If it was cut off, remove it: monarch delete_backup {busy.archive}",
        )
    if backup.state is not BackupState.GOOD or (len(found) > 1 and not are_one_backup(found)):
        why = f": {backup.why}" if backup.why else ""
        raise UsageError(
            f"{name!r} is {backup.state.value}{why}. Only a good backup can be encrypted anew.",
            "Run `monarch list_backups` to see which are good.",
        )
    others = tuple(one for one in found if one.archive != backup.archive)
    present = catalog.manifest(backup).recipients
    if set(present) == set(catalog.encryption.recipients):
        step = RekeyStep.FINISH if others else RekeyStep.NOTHING
    else:
        step = RekeyStep.REKEY if present else RekeyStep.ENCRYPT
    return PlannedRekey(backup, step, present, others)


def rekey_all(
    root: Path,
    catalog: BackupCatalog,
    planned: Iterable[PlannedRekey],
    progress: Progress,
    report: Callable[[RekeyedBackup], None],
) -> tuple[RekeyedBackup, ...]:
    """Do what was planned, one backup after another; ``report`` is called with each result.

    The journal in the store records each, as done by the project at ``root``.

    :raises BrokenBackup: if the bytes of one have changed. It is as it was.
    :raises NoKey: if no key of this machine opens one. It is as it was.
    :raises StoreError: if the store fails. At least one good archive of each backup is left.
    :raises RunInterrupted: on Ctrl-C or a signal, saying which backup was not finished.
    """
    results = []
    for one in planned:
        command = f"rekey_backup {one.backup.name}"
        with (
            report_interruption(f"{one.backup.name!r} is as it was.") as interruption,
            recording(root, catalog.store, command, Action.REKEY, one.backup, progress) as record,
        ):
            old = [describe(catalog, archive) for archive in (one.backup, *one.others)]
            results.append(_rekey(catalog, one, interruption, progress))
            record.end(MigrationState.COMPLETED, backups=_describe(catalog, old, results[-1].archive))
        report(results[-1])
    return tuple(results)


def _describe(catalog: BackupCatalog, old: list[TouchedBackup], archive: str) -> list[TouchedBackup]:
    """Return the ``old`` archives of a backup, and its new ``archive``, for the journal."""
    gone = [replace(one, deleted=True) for one in old if one.archive != archive]
    new = catalog.find(archive)
    return [*gone, describe(catalog, new)] if new is not None else gone


def _rekey(
    catalog: BackupCatalog, planned: PlannedRekey, interruption: Interruption, progress: Progress
) -> RekeyedBackup:
    began = time.monotonic()
    backup, old = planned.backup, planned.others
    archive, size = backup.archive, backup.bytes
    if planned.step in (RekeyStep.ENCRYPT, RekeyStep.REKEY):
        manifest = _write(catalog, planned, progress)
        archive, size = manifest.archive, manifest.size
        old = (*planned.others, backup)
    elif planned.step is RekeyStep.FINISH:
        verify(catalog, backup, progress)
    interruption.complete(f"{backup.name!r} was encrypted anew. Run it again to remove the old archive")
    if old:
        _protect(catalog, old, archive)  # somebody may have protected the old one meanwhile
        _require_good(catalog, archive)
    for one in old:
        _delete(catalog, one, archive)
    return RekeyedBackup(planned, archive, size, time.monotonic() - began)


def _write(catalog: BackupCatalog, planned: PlannedRekey, progress: Progress) -> Manifest:
    """Write the new archive, read it back, and write its manifest. If that fails, nothing of it is left."""
    store, backup = catalog.store, planned.backup
    last = max(generation_of(one.archive) for one in (backup, *planned.others))
    file = archive_name(backup.name, backup.codec, last + 1)
    sealing = catalog.encryption.sealing(read_back=True)
    with store.create(file) as upload, _undone(catalog, file) as created:
        with open_packed(catalog, backup) as (manifest, packed):
            hashed = HashedUpload(upload)
            progress.phase("encrypting")
            progress.estimated(0, manifest.size)
            with encrypting(hashed, sealing.keys) as secret:
                while data := packed.read(_CHUNK):
                    secret.write(data)
                    progress.transferred(0, len(data))
                secret.close()
        # As for a backup: a listing in between shows one that is running.
        with store.create(file + MANIFEST) as note, _undone(catalog, file + MANIFEST):
            upload.finish()
            written = _manifest(catalog, manifest, file, hashed)
            _read_back(catalog, written, sealing, progress)
            created += _protect(catalog, (backup, *planned.others), file)
            note.write(written.to_bytes())
            note.finish()
        created.clear()
    return written


@contextmanager
def _undone(catalog: BackupCatalog, file: str) -> Iterator[list[str]]:
    """Delete ``file`` if the context fails after it was finished, and what the list has by then."""
    created = [file]
    try:
        yield created
    except BaseException:
        for one in reversed(created):
            with suppress(MonarchError):  # it was not finished: its upload is given up
                catalog.store.delete(one)
        raise


def _manifest(catalog: BackupCatalog, old: Manifest, file: str, hashed: HashedUpload) -> Manifest:
    """Return the manifest of the new archive: the old one, without what encrypted backups do not show."""
    return replace(
        old,
        archive=file,
        recipients=catalog.encryption.recipients,
        size=hashed.bytes,
        sha256=hashed.digest.hexdigest(),
        query_options=tuple(f"{option.partition('=')[0]}=?" for option in old.query_options),
        query_filters=(),
        digests=(),
    )


def _read_back(catalog: BackupCatalog, manifest: Manifest, sealing: Sealing, progress: Progress) -> None:
    """Read the new archive to its end: its bytes, its encryption, its compression and its contents."""
    with (
        catalog.store.open(manifest.archive) as stream,
        decrypting(CheckedStream(stream, manifest.size, manifest.sha256), sealing.identities) as packed,
    ):
        plain = CODECS[manifest.codec].decompress(packed)
        open_archive(manifest.kind, plain, manifest.collections).read_through(progress)


def _protect(catalog: BackupCatalog, old: tuple[Backup, ...], archive: str) -> list[str]:
    """Protect ``archive`` as ``old`` are, all of them; return the name of the file that was written."""
    names = (archive, *(one.archive for one in old))
    listed = [stored for name in names for stored in catalog.store.list(name + PROTECTED)]
    found = read_protections(catalog.store, listed, strict=True)
    mine = found.pop(archive, None)
    if not found or (mine is not None and longest([mine, *found.values()]) == mine):
        return []
    return [protect(catalog.store, archive, longest(found.values()))]


def _require_good(catalog: BackupCatalog, archive: str) -> None:
    """Check that the new ``archive`` is still there: only it may replace the old ones."""
    now = catalog.find(archive)
    if now is None or now.state is not BackupState.GOOD:
        raise StoreError(
            f"{archive!r} was deleted or changed by somebody else: the old archive stays.",
            "Run `monarch list_backups`, and then rekey_backup again.",
        )


def _delete(catalog: BackupCatalog, old: Backup, new: str) -> None:
    """Delete an archive that is not needed any more; its protection has gone over to the ``new`` one."""
    try:
        unprotect(catalog.store, old.archive)
        if (now := catalog.find(old.archive)) is not None:
            catalog.delete(now)
    except StoreError as error:
        raise StoreError(
            f"{old.archive!r} could not be deleted, and {new!r} is complete: {error.message}",
            f"Anybody with an old key can still read it. Run it again: monarch rekey_backup {old.name}",
        ) from error
