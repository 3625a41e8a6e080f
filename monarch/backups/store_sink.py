"""The sink of a backup: an archive in a store, through a codec, and its manifest last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from monarch.backups.codecs import Codec
from monarch.backups.manifest import Manifest
from monarch.backups.names import (
    MANIFEST,
    archive_name,
    generation_of,
    names_of_day,
    split_archive_name,
)
from monarch.backups.secrecy.age import decrypting
from monarch.backups.secrecy.checked import HashedUpload
from monarch.backups.secrecy.encryption import NOT_ENCRYPTED, Encryption, Sealing, sealed
from monarch.copies.subset import shown_options
from monarch.copies.transfer import Interruption, TransferSink
from monarch.databases import open_archive
from monarch.databases.transfer import (
    ArchiveSource,
    CollectionSummary,
    CopiedCollection,
    Engine,
    LiveSource,
    Source,
)
from monarch.errors import MonarchError, RunInterrupted, StoreError
from monarch.progress import Progress
from monarch.querysets.evaluate import EvaluatedQuerySet
from monarch.stores.base import NameTaken, NotStored, Store, Upload
from monarch.version import __version__

# Other backups may take names at the same time, but not that many.
_TRIES = 100


@dataclass(frozen=True)
class StoredBackup:
    """A backup in a store: its name, and its manifest."""

    name: str
    manifest: Manifest


@dataclass(frozen=True)
class BackupPrivacy:
    """Whether a backup is of a ``private`` environment, and whether its documents are ``masked``."""

    private: bool = False
    masked: bool = False


class StoreSink(TransferSink):
    """Writes a backup of a database into ``store``.

    ``environment`` and ``database`` are the names of the source. The backup's name begins with ``stem``;
    ``query_set`` is what selected the source, None if it is whole. `stored` is what was written.
    ``encryption`` says for whom it is encrypted, after compression. ``taken_at`` is when the contents were
    read from their server; None is now.
    """

    def __init__(
        self,
        store: Store,
        stem: str,
        codec: Codec,
        level: int,
        environment: str,
        database: str,
        query_set: EvaluatedQuerySet | None,
        privacy: BackupPrivacy = BackupPrivacy(),
        encryption: Encryption = NOT_ENCRYPTED,
        taken_at: datetime | None = None,
    ) -> None:
        self.store = store
        self._stem = stem
        self._codec = codec
        self._level = level
        self.environment = environment
        self.database = database
        self.query_set = query_set
        self._privacy = privacy
        self._encryption = encryption
        self._taken_at = taken_at
        self.stored: StoredBackup | None = None

    def notes(self) -> tuple[str, ...]:
        """What people should know at the first encrypted backup of the store."""
        if not self._encryption.recipients:
            return ()
        if any(generation_of(stored.name.removesuffix(MANIFEST)) for stored in self.store.list()):
            return ()
        alone = "" if self._encryption.identities else " 'identities' is not set, so it cannot be read here."
        return (
            "this is the first encrypted backup here. Without the private key of a recipient nobody can read "
            f"it: keep a copy of the key away from this machine and from the backups.{alone}",
        )

    def receive(
        self,
        open_source: Callable[[], AbstractContextManager[Source]],
        engine: Engine,
        interruption: Interruption,
        progress: Progress,
    ) -> tuple[CopiedCollection, ...]:
        """See `TransferSink.receive`. If it fails, nothing is kept.

        :raises StoreError: if the backup cannot be stored.
        """
        taken_at = self._taken_at or datetime.now(UTC)
        name, upload = self._begin(taken_at)
        file = self._archive(name)
        sealing = self._sealing()
        # The newest first, which is the order in which they are deleted again.
        kept: list[str] = []
        uploads = [upload]
        with self._all_or_nothing(name, kept, uploads), upload, open_source() as source:
            assert isinstance(source, LiveSource)  # an archive is never backed up
            archive = HashedUpload(upload)
            with sealed(archive, sealing) as secret:
                packed = self._codec.compress(secret or archive, self._level)
                collections = source.write_archive(packed, progress, hashes=sealing is None)
                packed.close()
                if secret is not None:
                    secret.close()
            # Begin the manifest before the archive is complete, so that a listing in between shows a backup
            # that is running, not one that is incomplete.
            with self.store.create(file + MANIFEST) as note:
                uploads.append(note)
                upload.finish()
                kept.insert(0, file)
                source.check_archive(
                    partial(self._read_back, file, sealing, source.kind, _summaries(collections))
                )
                manifest = self._manifest(file, source, engine, taken_at, archive, collections)
                note.write(manifest.to_bytes())
                kept.insert(0, file + MANIFEST)
                note.finish()
        self.stored = StoredBackup(name, manifest)
        interruption.complete(f"the backup was complete: {name}")
        return collections

    @contextmanager
    def _read_back(
        self,
        file: str,
        sealing: Sealing | None,
        kind: str,
        collections: tuple[CollectionSummary, ...],
    ) -> Iterator[ArchiveSource]:
        with (
            self.store.open(file) as stream,
            nullcontext(stream) if sealing is None else decrypting(stream, sealing.identities) as plain,
        ):
            yield open_archive(kind, self._codec.decompress(plain), collections)

    def _sealing(self) -> Sealing | None:
        """How the backup is encrypted. A masked one is read back, to see that nothing leaks."""
        if not self._encryption.recipients:
            return None
        return self._encryption.sealing(read_back=self._privacy.masked)

    def _archive(self, name: str) -> str:
        return archive_name(name, self._codec.name, 1 if self._encryption.recipients else 0)

    @contextmanager
    def _all_or_nothing(self, name: str, kept: list[str], uploads: list[Upload]) -> Iterator[None]:
        """If the context fails, delete the files in ``kept``, and report what ``uploads`` may have left."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, NameTaken):  # the manifest is somebody else's
                kept = [file for file in kept if not file.endswith(MANIFEST)]
            if not self._remove(kept) or any(one.left_over for one in uploads):
                _report_leftovers(error, name)
            raise

    def _remove(self, files: list[str]) -> bool:
        """Delete ``files``; return whether all are gone. An archive without a manifest is no backup."""
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
        """Return the first free name, and the upload of the archive that takes it."""
        for name in islice(self._free_names(now), _TRIES):
            file = self._archive(name)
            try:
                upload = self.store.create(file)
            except NameTaken:
                continue
            with ExitStack() as undo:
                undo.push(upload)
                # One name with two codecs would be two backups with the same name.
                if not {other for other in self._files(name) if _name_of(other) == name} - {file}:
                    undo.pop_all()
                    return name, upload
        raise StoreError(
            f"{self.store.place} reported {_TRIES} names in a row as taken.",
            "Check that this is the place for backups. Use another name: --name",
        )

    def _free_names(self, now: datetime) -> Iterator[str]:
        taken = {name for file in self._files(self._stem) if (name := _name_of(file)) is not None}
        return (name for name in names_of_day(self._stem, now) if name not in taken)

    def _files(self, prefix: str) -> list[str]:
        """Return the archives whose names begin with ``prefix``, also those with a manifest only."""
        files = {stored.name.removesuffix(MANIFEST) for stored in self.store.list(prefix)}
        return [file for file in files if _name_of(file) is not None]

    def _manifest(
        self,
        file: str,
        source: LiveSource,
        engine: Engine,
        taken_at: datetime,
        archive: HashedUpload,
        collections: tuple[CopiedCollection, ...],
    ) -> Manifest:
        query_set = self.query_set
        return Manifest(
            archive=file,
            kind=source.kind,
            environment=self.environment,
            database=self.database,
            server=source.server,
            engine=engine.name,
            versions=engine.versions,
            monarch=__version__,
            query_set=query_set.name if query_set else None,
            query_options=self._options(),
            query_filters=() if self._encryption.recipients else source.filters,
            one_moment=source.one_snapshot,
            taken_at=taken_at,
            finished_at=datetime.now(UTC),
            codec=self._codec.name,
            level=self._level,
            size=archive.bytes,
            sha256=archive.digest.hexdigest(),
            collections=_summaries(collections),
            private=self._privacy.private,
            masked=self._privacy.masked,
            recipients=self._encryption.recipients,
            # They would confirm guesses of who may not read the archive.
            digests=() if self._encryption.recipients else source.digests,
        )

    def _options(self) -> tuple[str, ...]:
        """Return the options of the query set as the manifest has them: no less secret than the documents."""
        secret = self._privacy.masked or bool(self._encryption.recipients)
        return shown_options(self.query_set, masked=secret)


def _summaries(collections: tuple[CopiedCollection, ...]) -> tuple[CollectionSummary, ...]:
    return tuple(
        CollectionSummary(one.name, one.kind, one.documents, one.bytes, one.indexes) for one in collections
    )


def _report_leftovers(error: BaseException, name: str) -> None:
    """Add to ``error`` that files of the backup ``name`` may be left."""
    hint = f"Files of {name!r} may be left. See `monarch list_backups`; remove them with delete_backup."
    if isinstance(error, KeyboardInterrupt):
        raise RunInterrupted("Interrupted. There is no backup.", hint) from error
    if isinstance(error, MonarchError):
        error.hint = f"{error.hint or ''} {hint}".strip()


def _name_of(file: str) -> str | None:
    parted = split_archive_name(file)
    return parted[0] if parted else None
