"""The backups of a store: which there are, and which of them can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from monarch.backups.manifest import Manifest, NewerFormat
from monarch.backups.names import LEGACY, MANIFEST, split_archive_name
from monarch.errors import DamagedError, MonarchError, StoreError, UsageError
from monarch.names import nearest
from monarch.stores.base import NotStored, Store, Stored

_LARGEST_MANIFEST = 64 << 20


class State(Enum):
    """What a backup is good for. Only good and legacy ones can be restored."""

    GOOD = "good"
    LEGACY = "legacy"
    RUNNING = "running"
    UNFINISHED = "unfinished"
    INCOMPLETE = "incomplete"
    BROKEN = "broken"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as it is listed. What only a manifest tells is None where there is none.

    ``bytes`` are those of its ``archive`` in the store. ``why`` says what is wrong with it, if something is.
    """

    name: str
    archive: str
    codec: str
    state: State
    bytes: int
    taken_at: datetime
    environment: str | None = None
    database: str | None = None
    documents: int | None = None
    query_set: str | None = None
    why: str | None = None

    @property
    def busy(self) -> bool:
        """Whether it is being written by a process that is alive."""
        return self.state is State.RUNNING

    @property
    def has_manifest(self) -> bool:
        """Whether there is something written down of it that can be read."""
        return self.environment is not None

    @property
    def restorable(self) -> bool:
        """Whether it is, as far as a listing can tell."""
        return self.state in (State.GOOD, State.LEGACY)


def _plain(name: str) -> str:
    """``name`` without what the shell adds that completes the names of files: folders and endings."""
    name = name.rpartition("/")[2]
    archive = name.removesuffix(".part").removesuffix(MANIFEST)
    return archive if split_archive_name(archive) else name


class Shelf:
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
        found = [backup for backup in self._read(name) if name in (backup.name, backup.archive)]
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
        """The newest good one of ``environment``, whose database is called so. Others may use the store too.

        :raises MonarchError: if there is one that may be newer, and cannot be read.
        """
        backups = self.list()
        good = [
            backup
            for backup in backups
            if backup.state is State.GOOD and (backup.environment, backup.database) == (environment, database)
        ]
        newest = good[-1] if good else None
        for backup in backups:
            if backup.state is State.UNREADABLE and (newest is None or backup.taken_at > newest.taken_at):
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

    def delete(self, backup: Backup) -> None:
        """Remove all of it, the manifest first: from then on nobody takes the rest for a backup.

        :raises LockedError: if it is being written.
        :raises MonarchError: if it is another one by now.
        """
        now = self.find(backup.archive)
        if now is not None and now != backup:
            raise MonarchError(
                f"{backup.name!r} is another one by now: {now.state.value}, {now.bytes:,} bytes.",
                "Nothing of it was deleted. Look again: monarch list_backups",
            )
        gone = False
        for file in (backup.archive + MANIFEST, backup.archive):
            try:
                self.store.delete(file)
                gone = True
            except NotStored:
                continue
        if not gone:
            raise UsageError(
                f"{backup.name!r} is gone already.", "`monarch list_backups` shows what is there."
            )

    def _read(self, prefix: str) -> Iterator[Backup]:
        """Those whose files begin with ``prefix``, in no order."""
        files: dict[str, Stored] = {}
        begun: dict[str, Stored] = {}
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
        files: dict[str, Stored],
        begun: dict[str, Stored],
        text: bytes | StoreError | None,
    ) -> Backup:
        """The backup with this archive, by its manifest's ``text``, or why that cannot be read."""
        parted = split_archive_name(archive)
        assert parted is not None
        name, codec = parted
        there = [them.get(archive + end) for end in ("", MANIFEST) for them in (files, begun)]
        some = next(stored for stored in there if stored is not None)

        def backup(state: State, why: str | None = None) -> Backup:
            return Backup(name, archive, codec, state, some.bytes, some.modified, why=why)

        if any(stored.busy for stored in there if stored is not None):
            return backup(State.RUNNING, "it is being written")
        if archive not in files:
            if archive + MANIFEST in files:
                return backup(State.BROKEN, "its archive is missing")
            return backup(State.UNFINISHED, "it was cut off while it was written")
        if codec == LEGACY:  # which never had a manifest; one beside it says nothing of it
            return backup(State.LEGACY)
        if archive + MANIFEST not in files:
            return backup(State.INCOMPLETE, "it has no manifest: it was cut off, or another program wrote it")
        if text is None:
            return backup(State.INCOMPLETE, "its manifest has just been deleted")
        try:
            manifest = _manifest(text)
        except (NewerFormat, StoreError) as error:
            return backup(State.UNREADABLE, error.message.removesuffix("."))
        except DamagedError as error:
            return backup(State.BROKEN, error.message.removesuffix("."))
        state, why = State.GOOD, None
        if manifest.size != some.bytes:
            state = State.BROKEN
            why = f"its archive has {some.bytes:,} bytes, and its manifest says {manifest.size:,}"
        return Backup(
            name,
            archive,
            codec,
            state,
            some.bytes,
            manifest.taken_at,
            manifest.environment,
            manifest.database,
            manifest.documents,
            manifest.query_set,
            why,
        )


def _manifest(text: bytes | StoreError) -> Manifest:
    if isinstance(text, StoreError):
        raise text
    return Manifest.from_bytes(text)
