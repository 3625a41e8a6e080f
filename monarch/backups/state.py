"""What a backup in a listing is good for, judged by its files and its manifest."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from monarch.backups.foreign.recognition import describe
from monarch.backups.listing.summary import ManifestSummary
from monarch.backups.manifest import NewerFormat
from monarch.backups.names import LEGACY, MANIFEST, generation_of, split_archive_name
from monarch.backups.retention.protection import Protection
from monarch.databases.several import SEPARATOR
from monarch.errors import MonarchError, StoreError
from monarch.stores.base import StoredFile

# How far the clocks of the machines that take backups may differ, before a time counts as one to come.
_AHEAD = timedelta(minutes=5)
# In minutes. An upload that was written to within this time may still be running, if the store cannot tell.
_RECENT = 15


class BackupState(Enum):
    """The state of a backup. Only good, legacy and foreign backups can be restored."""

    GOOD = "good"
    LEGACY = "legacy"
    FOREIGN = "foreign"
    RUNNING = "running"
    BEGUN = "begun"
    UNFINISHED = "unfinished"
    INCOMPLETE = "incomplete"
    BROKEN = "broken"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as a listing shows it. Without a readable manifest, the fields that it would give are None.

    ``buckets`` are those of time series, whose documents are not counted.
    ``bytes`` is the size of the file ``archive`` in the store, and ``modified`` is when that was last written
    by the store's clock. ``why`` is what is wrong with the backup, if anything. ``refusal`` is the error of
    the store, if the manifest cannot be read. ``protection`` is None if it never was protected.
    It is ``empty`` if it holds nothing but monarch's own records.
    ``query_options`` are those of the manifest: with ``?`` as values if it is masked or encrypted.
    """

    name: str
    archive: str
    codec: str
    state: BackupState
    bytes: int
    modified: datetime
    taken_at: datetime
    kind: str | None = None
    environment: str | None = None
    database: str | None = None
    documents: int | None = None
    buckets: int = 0
    query_set: str | None = None
    query_options: tuple[str, ...] = ()
    private: bool = False
    masked: bool = False
    empty: bool = False
    protection: Protection | None = None
    why: str | None = None
    refusal: StoreError | None = field(default=None, compare=False)

    def is_of(self, environment: str) -> bool:
        """Whether it is of ``environment``, which may be the label of one of several databases."""
        if self.environment is None:
            return False
        return environment in (self.environment, f"{self.environment}{SEPARATOR}{self.database}")

    @property
    def busy(self) -> bool:
        """Whether a running process writes it, or may do so."""
        return self.state in (BackupState.RUNNING, BackupState.BEGUN)

    def is_ahead(self, now: datetime) -> bool:
        """Whether its time is after ``now``: a clock was wrong, and how old it is is not known."""
        return self.taken_at > now + _AHEAD

    @property
    def perhaps_unfinished(self) -> str | None:
        """Why it may not be finished, if it is foreign: nothing marks one that is being written."""
        if self.state is not BackupState.FOREIGN or not _is_recent(self):
            return None
        return f"It was written to less than {_RECENT} minutes ago, so it may not be finished."

    @property
    def has_manifest(self) -> bool:
        """Whether it has a manifest that can be read."""
        return self.environment is not None

    @property
    def encrypted(self) -> bool:
        """Whether its archive is encrypted, by its name."""
        return generation_of(self.archive) > 0

    @property
    def restorable(self) -> bool:
        """Whether it can be restored, as far as a listing can tell."""
        return self.state in (BackupState.GOOD, BackupState.LEGACY, BackupState.FOREIGN)


def judge_backup(
    archive: str,
    files: Mapping[str, StoredFile],
    begun: Mapping[str, StoredFile],
    manifest: ManifestSummary | MonarchError | None,
) -> Backup:
    """Return the backup whose archive has the name ``archive``, with its state.

    :param files: the finished files of the store by name.
    :param begun: the unfinished ones.
    :param manifest: what its manifest says, the error of reading it, or None if it has vanished.
    """
    parted = split_archive_name(archive)
    assert parted is not None
    both = [group.get(archive + end) for end in ("", MANIFEST) for group in (files, begun)]
    found = [stored for stored in both if stored is not None]
    first = found[0]
    # What a listing shows if there is no manifest.
    plain = Backup(
        parted[0], archive, parted[1], BackupState.GOOD, first.bytes, first.modified, first.modified
    )
    state, why = _judge_files(archive, plain.codec, found, files)
    if state is not BackupState.GOOD:
        return replace(plain, state=state, why=why)
    if manifest is None:
        return replace(plain, state=BackupState.INCOMPLETE, why="its manifest has just been deleted")
    return _judge_manifest(plain, manifest)


def _judge_files(
    archive: str, codec: str, found: Sequence[StoredFile], files: Container[str]
) -> tuple[BackupState, str | None]:
    """Return the state of a backup whose files are ``found``, and why; ``files`` are all finished files.

    GOOD only means that the manifest has to be read to know more.
    """
    writing = [stored for stored in found if stored.unfinished]
    if any(stored.busy for stored in writing):
        return BackupState.RUNNING, "it is being written"
    if any(stored.busy is None and _is_recent(stored) for stored in writing):
        return BackupState.BEGUN, f"it is being written, or was cut off less than {_RECENT} minutes ago"
    if archive not in files:
        if archive + MANIFEST in files:
            return BackupState.BROKEN, "its archive is missing"
        return BackupState.UNFINISHED, "it was cut off while it was written"
    if codec == LEGACY:  # these never had a manifest; a file with its name is not about them
        return BackupState.LEGACY, None
    if archive + MANIFEST not in files:
        return BackupState.INCOMPLETE, "it has no manifest: it was cut off, or another program wrote it"
    return BackupState.GOOD, None


def foreign_backup(stored: StoredFile, kind: str) -> Backup:
    """Return the foreign archive in the file ``stored``, which the tools of ``kind`` wrote."""
    name, codec = split_archive_name(stored.name) or (stored.name, "")
    return Backup(
        name,
        stored.name,
        codec,
        BackupState.FOREIGN,
        stored.bytes,
        stored.modified,
        stored.modified,
        kind,
        why=describe(kind),
    )


def _judge_manifest(backup: Backup, manifest: ManifestSummary | MonarchError) -> Backup:
    """Return ``backup`` with the fields of its ``manifest``, or with why that cannot be read."""
    if isinstance(manifest, MonarchError):
        unread = isinstance(manifest, (StoreError, NewerFormat))
        return replace(
            backup,
            state=BackupState.UNREADABLE if unread else BackupState.BROKEN,
            why=manifest.message.removesuffix("."),
            refusal=manifest if isinstance(manifest, StoreError) else None,
        )
    if manifest.encrypted != backup.encrypted:
        which = ("is not", "says that it is") if manifest.encrypted else ("is", "does not say so")
        why = f"by its name, its archive {which[0]} encrypted, and its manifest {which[1]}"
        return replace(backup, state=BackupState.BROKEN, why=why)
    differs = manifest.size != backup.bytes
    sizes = f"its archive has {backup.bytes:,} bytes, but its manifest says {manifest.size:,}"
    return replace(
        backup,
        state=BackupState.BROKEN if differs else BackupState.GOOD,
        taken_at=manifest.taken_at,
        kind=manifest.kind,
        environment=manifest.environment,
        database=manifest.database,
        documents=manifest.documents,
        buckets=manifest.buckets,
        query_set=manifest.query_set,
        query_options=manifest.query_options,
        private=manifest.private,
        masked=manifest.masked,
        empty=manifest.empty,
        why=sizes if differs else None,
    )


def _is_recent(file: StoredFile | Backup) -> bool:
    return datetime.now(UTC) - file.modified < timedelta(minutes=_RECENT)
