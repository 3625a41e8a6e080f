"""Taking a backup: from the engine through a codec into the store, and its manifest last."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from monarch.backups.codecs import Codec, find_codec
from monarch.backups.manifest import Manifest
from monarch.backups.names import MANIFEST, archive_name, check_stem, names_of_day, split_archive_name
from monarch.copies.subset import SubsetRequest
from monarch.databases import open_database, require_transfers
from monarch.databases.base import CollectionSummary, CopiedCollection, Database, Engine, LiveSource
from monarch.databases.environment import Environment
from monarch.errors import MonarchError, RunInterrupted, StoreError
from monarch.progress import SILENT, Progress
from monarch.querysets.evaluate import EvaluatedQuerySet
from monarch.stores.base import NameTaken, NotStored, Store, Upload
from monarch.version import __version__

# Others may take names at the same moment, but not so many.
_TRIES = 100


@dataclass(frozen=True)
class BackupResult:
    """A backup that was taken. ``seconds`` are of all of it; ``place`` is where it lies, for people."""

    name: str
    place: str
    manifest: Manifest
    collections: tuple[CopiedCollection, ...]
    seconds: float


@dataclass(frozen=True)
class BackupCreation:
    """A backup of ``source``, which is open, or of what a query set has ``asked`` of it, into ``store``.

    ``environment`` and ``database`` are what people call the source, ``stem`` is what the backup's name
    begins with.
    """

    source: Database
    environment: str
    database: str
    engine: Engine
    store: Store
    stem: str
    codec: Codec
    level: int
    allow_empty: bool = False
    asked: EvaluatedQuerySet | None = None

    def run(self, progress: Progress = SILENT) -> BackupResult:
        """Take it.

        :raises MonarchError: if the source holds nothing, or is not whole.
        :raises ServerError: if it cannot be read to its end.
        :raises StoreError: if it cannot be kept. Nothing is, after any of these.
        """
        began = time.monotonic()
        dump = self._dump()
        made = self.store.prepare()
        if made is not None:
            progress.noted(made)
        taken: list[BackupResult] = []
        try:
            taken.append(self._take(dump, began, progress))
        except KeyboardInterrupt as error:
            raise RunInterrupted("Interrupted. Nothing was kept of the backup.") from error
        return taken[0]

    def _dump(self) -> LiveSource:
        self.source.require_whole()
        dump = self.source.dump(self.engine, self.asked.selection if self.asked else None)
        if not dump.held and not self.allow_empty:
            raise MonarchError(
                f"{self.environment!r} holds no collections: there is nothing to back up.",
                f"Is its 'db_name' ({self.database}) right? To back up nothing, say --allow-empty.",
            )
        return dump

    def _take(self, dump: LiveSource, began: float, progress: Progress) -> BackupResult:
        taken_at = datetime.now(UTC)
        name, upload = self._begin(taken_at)
        file = archive_name(name, self.codec.name)
        # From the last to the first, as they are given up.
        kept: list[str] = []
        uploads = [upload]
        try:
            with upload:
                archive = _Archive(upload)
                packed = self.codec.compress(archive, self.level)
                copied = dump.write_archive(packed, progress)
                packed.close()
                # Begun before the archive is there, so that whoever looks in between sees that this goes on.
                with self.store.create(file + MANIFEST) as note:
                    uploads.append(note)
                    upload.finish()
                    kept.insert(0, file)
                    manifest = self._manifest(file, dump, taken_at, archive, copied)
                    note.write(manifest.to_bytes())
                    kept.insert(0, file + MANIFEST)
                    note.finish()
        except BaseException as error:
            if isinstance(error, NameTaken):  # what is there is somebody else's
                kept = [other for other in kept if other == file]
            if not self._remove(kept) or any(one.left_over for one in uploads):
                _tell_the_rest(error, name)
            raise
        return BackupResult(name, self.store.place, manifest, copied, round(time.monotonic() - began, 3))

    def _remove(self, files: list[str]) -> bool:
        """Delete ``files``; whether they are gone. Where an archive without a manifest stays, it is none."""
        gone = True
        for file in files:
            try:
                self.store.delete(file)
            except NotStored:
                continue
            except MonarchError:
                gone = False
        return gone

    def _begin(self, now: datetime) -> tuple[str, Upload]:
        """The first free name, and the archive that has it from now on."""
        for name in islice(self._free_names(now), _TRIES):
            file = archive_name(name, self.codec.name)
            try:
                upload = self.store.create(file)
            except NameTaken:
                continue
            with ExitStack() as undo:
                undo.push(upload)
                # One name with two endings would be two backups that people call by one name.
                if not {other for other in self._files(name) if _name_of(other) == name} - {file}:
                    undo.pop_all()
                    return name, upload
        raise StoreError(
            f"{self.store.place} says of {_TRIES} names, one after the other, that they are taken.",
            "Is that a place for backups? Say another name: --name",
        )

    def _free_names(self, now: datetime) -> Iterator[str]:
        taken = {name for file in self._files(self.stem) if (name := _name_of(file)) is not None}
        return (name for name in names_of_day(self.stem, now) if name not in taken)

    def _files(self, prefix: str) -> list[str]:
        """The archives whose names begin so, those of which there is only a manifest too."""
        files = {stored.name.removesuffix(MANIFEST) for stored in self.store.list(prefix)}
        return [file for file in files if _name_of(file) is not None]

    def _manifest(
        self,
        file: str,
        dump: LiveSource,
        taken_at: datetime,
        archive: _Archive,
        copied: tuple[CopiedCollection, ...],
    ) -> Manifest:
        return Manifest(
            archive=file,
            kind=self.source.kind,
            environment=self.environment,
            database=self.database,
            server=dump.server,
            engine=self.engine.name,
            versions=self.engine.versions,
            monarch=__version__,
            query_set=self.asked.name if self.asked else None,
            query_options=tuple(f"{name}={value}" for name, value in self.asked.options.items())
            if self.asked
            else (),
            query_filters=dump.filters,
            one_moment=dump.one_moment,
            taken_at=taken_at,
            finished_at=datetime.now(UTC),
            codec=self.codec.name,
            level=self.level,
            size=archive.bytes,
            sha256=archive.digest.hexdigest(),
            collections=tuple(
                CollectionSummary(one.name, one.kind, one.documents, one.bytes, one.indexes) for one in copied
            ),
        )


class _Archive:
    """What goes into the store, counted and hashed."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes, /) -> None:
        self.bytes += len(data)
        self.digest.update(data)
        self._upload.write(data)


def _tell_the_rest(error: BaseException, name: str) -> None:
    """That something of the backup called ``name`` may be left behind by ``error``."""
    rest = f"Something of {name!r} may be left: see `monarch list_backups`, and delete_backup removes it."
    if isinstance(error, KeyboardInterrupt):
        raise RunInterrupted("Interrupted. There is no backup.", rest) from error
    if isinstance(error, MonarchError):
        error.hint = f"{error.hint or ''} {rest}".strip()


def _name_of(file: str) -> str | None:
    parted = split_archive_name(file)
    return parted[0] if parted else None


@dataclass(frozen=True)
class BackupRequest:
    """A backup of an environment of the project at ``root``, before anything is connected.

    ``name`` replaces the database's name at the beginning of the backup's; the others are as for
    `BackupCreation`.
    """

    root: Path
    environment: Environment
    engine: str
    subset: SubsetRequest
    name: str | None
    codec: str
    level: int | None
    allow_empty: bool

    def run(self, store: Store, progress: Progress) -> BackupResult:
        """Take the backup, and keep it in ``store``; see `BackupCreation.run`."""
        require_transfers((self.environment.kind, repr(self.environment.name)))
        database = self.environment.db_name
        stem = self.name if self.name is not None else database
        check_stem(stem)
        packing = find_codec(self.codec, self.level)
        taken: BackupResult | None = None
        try:
            with open_database(self.environment, self.root, progress) as source:
                engine = source.choose_engine(self.subset.engine(self.engine, self.environment))
                evaluated = self.subset.evaluate(self.root, self.environment, source, progress)
                name = self.environment.name
                creation = BackupCreation(
                    source, name, database, engine, store, stem, *packing, self.allow_empty, evaluated
                )
                taken = creation.run(progress)
        except KeyboardInterrupt as error:  # while connecting or disconnecting
            if taken is not None:
                message = f"Interrupted, but by then the backup was complete: {taken.name}."
                raise RunInterrupted(message) from error
            raise RunInterrupted("Interrupted. Nothing was kept of the backup.") from error
        return taken
