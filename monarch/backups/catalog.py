"""The backups of a store: which there are, and which of them can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from monarch.backups.manifest import Manifest, NewerFormat
from monarch.backups.names import LEGACY, MANIFEST, split_archive_name
from monarch.errors import DamagedError, MonarchError, StoreError, UsageError
from monarch.stores.base import NotStored, Store, StoredFile
from monarch.system.spelling import nearest

_LARGEST_MANIFEST = 64 << 20
# What has been written to so lately may be under way, where nobody can tell; in minutes.
_RECENT = 15
_TOLERANCE = timedelta(seconds=2)


class BackupState(Enum):
    """What a backup is good for. Only good and legacy ones can be restored."""

    GOOD = "good"
    LEGACY = "legacy"
    RUNNING = "running"
    BEGUN = "begun"
    UNFINISHED = "unfinished"
    INCOMPLETE = "incomplete"
    BROKEN = "broken"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as it is listed. What only a manifest tells is None where there is none.

    ``bytes`` are those of its ``archive`` in the store, last ``modified`` by the store's clock. ``why`` says
    what is wrong with it, if something is; ``refusal`` is that of the store, if it does not let it be read.
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
    query_set: str | None = None
    why: str | None = None
    refusal: StoreError | None = field(default=None, compare=False)

    @property
    def busy(self) -> bool:
        """Whether it is being written by a process that is alive, or may be."""
        return self.state in (BackupState.RUNNING, BackupState.BEGUN)

    @property
    def has_manifest(self) -> bool:
        """Whether there is something written down of it that can be read."""
        return self.environment is not None

    @property
    def restorable(self) -> bool:
        """Whether it is, as far as a listing can tell."""
        return self.state in (BackupState.GOOD, BackupState.LEGACY)


def _plain(name: str) -> str:
    """``name`` without what the shell adds that completes the names of files: folders and endings."""
    name = name.rpartition("/")[2]
    archive = name.removesuffix(".part").removesuffix(MANIFEST)
    return archive if split_archive_name(archive) else name


class BackupCatalog:
    """The backups in ``store``."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def list(self) -> tuple[Backup, ...]:
        """All of them, the oldest first. What lies in the store besides is left out."""
        return tuple(sorted(self._read(""), key=lambda backup: (backup.taken_at, backup.archive)))

    def find(self, name: str) -> Backup | None:
        """The one of this name, or of this file's name.

        :raises UsageError: if there are several, with different endings.
        """
        name = _plain(name)
        read = sorted(self._read(name), key=lambda backup: backup.archive)
        found = [backup for backup in read if name in (backup.name, backup.archive)]
        if len(found) > 1:
            files = " and ".join(repr(backup.archive) for backup in found)
            raise UsageError(f"{name!r} may be {files}.", "Say which, with its ending.")
        return found[0] if found else None

    def get(self, name: str, besides: Iterable[str] = ()) -> Backup:
        """As `find`.

        :raises UsageError: if there is none, naming the nearest, also of those that may be meant ``besides``.
        """
        backup = self.find(name)
        if backup is not None:
            return backup
        near = nearest(name, [*besides, *self.names()])
        hint = f"Did you mean {near!r}?" if near else "`monarch list_backups` shows them all."
        raise UsageError(f"There is no backup {name!r} in {self.store.place}.", hint)

    def names(self) -> tuple[str, ...]:
        """What may be the name of a backup, without a look into any of them."""
        files = (stored.name for stored in self.store.list() if not stored.unfinished)
        return tuple(sorted({parted[0] for file in files if (parted := split_archive_name(file))}))

    def newest(self, environment: str, database: str) -> Backup | None:
        """The newest good one of all of ``environment``, whose database is called so; others may be here too.

        One of a part is none: restored in its place, the rest would be gone.

        :raises MonarchError: if there is one that may be newer, and cannot be read.
        """
        backups = self.list()
        good = [
            backup
            for backup in backups
            if backup.state is BackupState.GOOD
            and (backup.environment, backup.database, backup.query_set) == (environment, database, None)
        ]
        newest = good[-1] if good else None
        for backup in reversed(backups):
            if backup.state is BackupState.UNREADABLE and (newest is None or _may_be_newer(backup, newest)):
                raise MonarchError(
                    f"{backup.name!r} may be the newest backup of {environment!r}: {backup.why}.",
                    "Mend that, or name the backup that you mean.",
                )
        return newest

    def manifest(self, backup: Backup) -> Manifest:
        """What is written down of ``backup``.

        :raises DamagedError: if that is not as it was written, or there is none.
        """
        for _, text in self.store.read_small([backup.archive + MANIFEST], _LARGEST_MANIFEST):
            return _manifest(text)
        raise DamagedError("It has no manifest.")

    def delete_all(
        self, backups: Iterable[str | Backup], report: Callable[[Backup], None]
    ) -> tuple[Backup, ...]:
        """`delete` each of ``backups``; those given by their names are all looked up first."""
        chosen = [self.get(one) if isinstance(one, str) else one for one in backups]
        for backup in chosen:
            self.delete(backup)
            report(backup)
        return tuple(chosen)

    def delete(self, backup: Backup) -> None:
        """Remove all of it, the manifest first: from then on nobody takes the rest for a backup.

        :raises LockedError: if it is being written.
        :raises MonarchError: if it is another one by now.
        """
        self._require_same(backup, self.find(backup.archive))
        if backup.state in (
            BackupState.BEGUN,
            BackupState.RUNNING,
            BackupState.UNFINISHED,
            BackupState.INCOMPLETE,
        ):
            gone = self._discard(backup)
        else:
            removed = [self._remove(self.store.delete, backup.archive + end) for end in (MANIFEST, "")]
            gone = any(removed)
        if not gone:
            raise self._gone(backup)

    def _discard(self, backup: Backup) -> bool:
        """Remove what has not been finished, unless it just is at this moment; whether any has gone."""
        gone = [self._remove(self.store.discard, backup.archive + end) for end in (MANIFEST, "")]
        # From here on nobody finishes it any more.
        now = self.find(backup.archive)
        if now is not None:
            if now.state is not BackupState.INCOMPLETE:
                raise self._another(now)
            gone.append(self._remove(self.store.delete, backup.archive))
        return any(gone)

    def _remove(self, remove: Callable[[str], None], file: str) -> bool:
        try:
            remove(file)
        except NotStored:
            return False
        return True

    def _require_same(self, backup: Backup, now: Backup | None) -> None:
        if now is None:
            raise self._gone(backup)
        if now != backup:
            raise self._another(now)

    def _another(self, now: Backup) -> MonarchError:
        return MonarchError(
            f"{now.name!r} is another one by now: {now.state.value}, {now.bytes:,} bytes.",
            "Nothing of it was deleted. Look again: monarch list_backups",
        )

    def _gone(self, backup: Backup) -> UsageError:
        return UsageError(
            f"{backup.name!r} is gone already, or has changed.",
            "`monarch list_backups` shows what is there.",
        )

    def _read(self, prefix: str) -> Iterator[Backup]:
        """Those whose files begin with ``prefix``, in no order."""
        files: dict[str, StoredFile] = {}
        begun: dict[str, StoredFile] = {}
        for stored in self.store.list(prefix):
            if split_archive_name(stored.name.removesuffix(MANIFEST)) is not None:
                (begun if stored.unfinished else files)[stored.name] = stored
        archives = {name.removesuffix(MANIFEST) for name in (*files, *begun)}
        written = {
            archive + MANIFEST for archive in archives if {archive, archive + MANIFEST} <= files.keys()
        }
        for manifest, text in self.store.read_small(written, _LARGEST_MANIFEST):
            archive = manifest.removesuffix(MANIFEST)
            archives.discard(archive)
            yield self._judge(archive, files, begun, text)
        for archive in archives:
            yield self._judge(archive, files, begun, None)

    def _judge(
        self,
        archive: str,
        files: dict[str, StoredFile],
        begun: dict[str, StoredFile],
        text: bytes | StoreError | None,
    ) -> Backup:
        """The backup with this archive, by its manifest's ``text``, or why that cannot be read."""
        parted = split_archive_name(archive)
        assert parted is not None
        there = [them.get(archive + end) for end in ("", MANIFEST) for them in (files, begun)]
        found = [stored for stored in there if stored is not None]
        some = found[0]
        # Unless its manifest says more.
        plain = Backup(
            parted[0], archive, parted[1], BackupState.GOOD, some.bytes, some.modified, some.modified
        )
        state, why = _by_files(archive, plain.codec, found, files)
        if state is not BackupState.GOOD:
            return replace(plain, state=state, why=why)
        if text is None:
            return replace(plain, state=BackupState.INCOMPLETE, why="its manifest has just been deleted")
        return _by_manifest(plain, text)


def _by_files(
    archive: str, codec: str, found: Sequence[StoredFile], files: Container[str]
) -> tuple[BackupState, str | None]:
    """What a backup is whose files ``found`` are, of which the finished ones are in ``files``.

    Good, as far as that tells, if its manifest may be read.
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
    if codec == LEGACY:  # which never had a manifest; one beside it says nothing of it
        return BackupState.LEGACY, None
    if archive + MANIFEST not in files:
        return BackupState.INCOMPLETE, "it has no manifest: it was cut off, or another program wrote it"
    return BackupState.GOOD, None


def _by_manifest(backup: Backup, text: bytes | StoreError) -> Backup:
    """``backup`` with what its manifest's ``text`` says, or why that cannot be read."""
    try:
        manifest = _manifest(text)
    except StoreError as error:
        said = error.message.removesuffix(".")
        return replace(backup, state=BackupState.UNREADABLE, why=said, refusal=error)
    except NewerFormat as error:
        return replace(backup, state=BackupState.UNREADABLE, why=error.message.removesuffix("."))
    except DamagedError as error:
        return replace(backup, state=BackupState.BROKEN, why=error.message.removesuffix("."))
    state, why = BackupState.GOOD, None
    if manifest.size != backup.bytes:
        state = BackupState.BROKEN
        why = f"its archive has {backup.bytes:,} bytes, and its manifest says {manifest.size:,}"
    return replace(
        backup,
        state=state,
        taken_at=manifest.taken_at,
        kind=manifest.kind,
        environment=manifest.environment,
        database=manifest.database,
        documents=manifest.documents,
        query_set=manifest.query_set,
        why=why,
    )


def _is_recent(stored: StoredFile) -> bool:
    return datetime.now(UTC) - stored.modified < timedelta(minutes=_RECENT)


def _may_be_newer(backup: Backup, than: Backup) -> bool:
    """Whether ``backup``, of which only the store tells a time, may have been taken later than the other.

    The clocks of the store and of the machine that has taken the other may differ.
    """
    return backup.modified >= than.modified - _TOLERANCE or backup.taken_at > than.taken_at


def _manifest(text: bytes | StoreError) -> Manifest:
    if isinstance(text, StoreError):
        raise text
    return Manifest.from_bytes(text)
