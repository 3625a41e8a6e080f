"""Deleting the two files of a backup: afterwards it is gone, or as it was."""

from __future__ import annotations

from monarch.backups.listing.read import LARGEST_MANIFEST
from monarch.backups.names import MANIFEST
from monarch.backups.retention.deletion import remove
from monarch.databases.foreign import as_argument
from monarch.errors import StoreError
from monarch.stores.base import DeletionDenied, Store


def remove_both(store: Store, archive: str) -> bool:
    """Delete the manifest of ``archive``, then that; return whether there was any of them.

    In this order, because an archive without a manifest is not taken for a backup. If the archive cannot be
    deleted then, its manifest is written again.

    :raises StoreError: naming the archive, if it was not deleted.
    """
    store.require_deletable(archive)
    manifest = archive + MANIFEST
    text = next((file.text for file in store.read_small([manifest], LARGEST_MANIFEST)), None)
    try:
        had_manifest = remove(store.delete, manifest)
        return remove(store.delete, archive) or had_manifest
    except StoreError as error:
        try:
            left = {one.name for one in store.list(archive)}
            if archive in left and manifest not in left:
                _write(store, manifest, text)
        except StoreError:
            raise StoreError(
                f"{archive!r} may be deleted in part: {error.message}",
                f"Fix the cause, then delete the rest: monarch delete_backup {as_argument(archive)}",
            ) from error
        if not left & {archive, manifest}:
            return True  # they were deleted, and the answer was lost
        if isinstance(error, DeletionDenied):
            raise
        raise StoreError(f"{archive!r} was not deleted: {error.message}", error.hint) from error


def _write(store: Store, file: str, text: bytes | StoreError | None) -> None:
    """Write ``file`` again; its ``text`` was read before, None if there was none."""
    if isinstance(text, StoreError):
        raise text
    if text is not None:
        with store.create(file) as upload:
            upload.write(text)
            upload.finish()
