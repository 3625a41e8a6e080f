"""A foreign archive in the store of the backups, to take it over from there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from monarch.backups.catalog import BackupCatalog
from monarch.backups.foreign.opening import PackedFolder, Uncheckable, open_foreign
from monarch.backups.foreign.paths import ForeignPath
from monarch.backups.state import Backup, BackupState
from monarch.databases.foreign import ForeignSource
from monarch.errors import DamagedError, UsageError


@dataclass(frozen=True)
class StoredForeign:
    """The foreign archive ``backup`` of the store of ``catalog``; used as a `ForeignPath` is."""

    catalog: BackupCatalog
    backup: Backup

    is_stream = False

    @property
    def shown(self) -> str:
        """What it is called in messages."""
        return self.backup.archive

    def written_at(self) -> datetime:
        """Return when it was written to, at the latest now."""
        return min(datetime.now(UTC), self.backup.taken_at)

    @contextmanager
    def open(self) -> Iterator[ForeignSource]:
        """Open it for as long as the context lasts. Raises what `open_foreign` does."""
        backup = self.backup
        assert backup.kind is not None
        with open_foreign(self.catalog.store, backup.archive, backup.bytes, backup.kind) as source:
            yield source


@contextmanager
def opened_origin(
    path: str, kind: str, catalog: BackupCatalog
) -> Iterator[tuple[ForeignPath | StoredForeign, ForeignSource]]:
    """Open what is at ``path`` or, if nothing is there, the foreign archive of that name in the store.

    Errors of its contents, in the context too, say which file they are about, and that nothing was kept.

    :raises UsageError: if that name is a backup of monarch.
    """
    origin = _find(path, kind, catalog)
    try:
        with origin.open() as opened:
            yield origin, opened
    except PackedFolder:
        raise Uncheckable(
            f"{origin.shown!r} is a tar: monarch does not take over what is in it.",
            "Unpack it, and name the folder: monarch adopt_backup FOLDER",
        ) from None
    except DamagedError as error:
        raise DamagedError(
            f"{origin.shown!r} cannot be taken over: {error.message} Nothing was kept.",
            error.hint or "Dump it again, or take another one.",
        ) from error


def _find(path: str, kind: str, catalog: BackupCatalog) -> ForeignPath | StoredForeign:
    found = ForeignPath(path, kind)
    backup = None if found.exists() else catalog.find(path)
    if backup is None:
        return found
    if backup.state is not BackupState.FOREIGN:
        raise UsageError(
            f"{path!r} is a backup of monarch already ({backup.state.value}).",
            "Run `monarch list_backups` to see which archives are foreign.",
        )
    return StoredForeign(catalog, backup)
