"""Take a backup of a database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from monarch.backups.catalog import BackupCatalog
from monarch.backups.codecs import find_codec
from monarch.backups.manifest import Manifest
from monarch.backups.names import stem_of
from monarch.backups.operations.record import record_backup
from monarch.backups.store_sink import BackupPrivacy, StoreSink
from monarch.backups.verification import VerifiedBackup, read_back, require_read_back
from monarch.copies.subset import NO_SUBSET, SubsetRequest
from monarch.copies.transfer import Interruption, Transfer, TransferResult, report_interruption
from monarch.databases import find_kind, open_database, require_transfers
from monarch.databases.environment import Environment
from monarch.databases.history import Action, Operation
from monarch.databases.transfer import Engine, TransferDatabase, as_transfer_database, measured
from monarch.databases.transform import Transform
from monarch.errors import MonarchError
from monarch.handouts.masks import NO_MASKS, TransferMasks, load_rules, open_masks
from monarch.handouts.policy import Passage
from monarch.progress import SILENT, Progress
from monarch.system.ci import find_origin


@dataclass(frozen=True)
class BackupResult:
    """A backup that was taken: its name, the place of its store for people, its manifest, its transfer.

    ``verified`` is what reading it back has found, if that was asked for.
    """

    name: str
    place: str
    manifest: Manifest
    transfer: TransferResult
    verified: VerifiedBackup | None = None


@dataclass(frozen=True)
class BackupCreation:
    """A backup of the open database ``source``, as ``sink`` describes it.

    ``interruption`` is what Ctrl-C reports. ``allow_empty`` allows a source without collections. ``label`` is
    that of its environment in errors, if it has several databases.
    """

    source: TransferDatabase
    sink: StoreSink
    engine: Engine
    interruption: Interruption
    allow_empty: bool = False
    transforms: tuple[Transform, ...] = ()
    masks: TransferMasks = NO_MASKS
    label: str | None = None

    def transfer(self, progress: Progress = SILENT) -> Transfer:
        """Return the transfer that writes the backup.

        This reads the catalog of the source, and prepares the store.

        :raises MonarchError: if the source holds nothing, or is incomplete.
        :raises StoreError: if the store cannot be written to.
        """
        began = time.monotonic()
        sink = self.sink
        self.source.require_whole()
        source = self.source.read(self.engine, sink.query_set.selection if sink.query_set else None)
        if not source.summaries and not self.allow_empty:
            things = f"{find_kind(source.kind).words[0]}s"
            raise MonarchError(
                f"{self.label or sink.environment!r} holds no {things}: there is nothing to back up.",
                f"Check its 'db_name' ({sink.database}). To back up an empty database, use --allow-empty.",
            )
        self.masks.require_rules(source.summaries)
        created = sink.store.prepare()
        if created is not None:
            progress.message(created)
        opened = nullcontext(source)
        return Transfer(
            lambda: opened,
            sink,
            self.engine,
            self.interruption,
            began,
            (*self.transforms, *self.masks.transforms),
            notes=(*source.notes, *self.masks.notes(source), *sink.notes()),
            passage=self.masks.passage,
            lasting_masks=self.masks.lasting,
        )

    def result(self, transferred: TransferResult) -> BackupResult:
        """Return the backup that the transfer has written."""
        stored = self.sink.stored
        assert stored is not None
        return BackupResult(stored.name, self.sink.store.place, stored.manifest, transferred)


@dataclass(frozen=True)
class BackupRequest:
    """A backup of an environment of the project at ``root``, before anything is connected.

    The backup's name begins as `stem_of` says for ``name``. ``level`` is that of the
    ``codec``; None is its default. With ``masked`` its documents are masked by the rules of the project.
    """

    root: Path
    environment: Environment
    engine: str = "auto"
    subset: SubsetRequest = NO_SUBSET
    name: str | None = None
    codec: str = "zst"
    level: int | None = None
    allow_empty: bool = False
    masked: bool = False
    check_all: bool = False

    @contextmanager
    def open(self, catalog: BackupCatalog, progress: Progress) -> Iterator[BackupCreation]:
        """Connect to the database for as long as the context lasts, and evaluate the query set.

        The backup goes into the store of ``catalog``, encrypted as that says.

        :raises UsageError: if the name, the codec's level, the engine or the encryption cannot be used.
        :raises RunInterrupted: on Ctrl-C or a signal in the context, saying whether there is a backup.
        """
        require_transfers((self.environment.kind, repr(self.environment.label)))
        database = self.environment.db_name
        stem = stem_of(self.environment, self.name, self.subset.query_set)
        codec, level = find_codec(self.codec, self.level)
        catalog.encryption.sealing()
        passage = Passage.MASKED if self.masked else Passage.OPEN
        rules = load_rules(
            passage, self.environment.kind, self.root, self.environment.label, check_all=self.check_all
        )
        with (
            report_interruption("Nothing was kept of the backup.") as interruption,
            open_database(self.environment, self.root, progress) as opened,
            open_masks(
                passage, rules, as_transfer_database(opened), progress, self.environment.label
            ) as masks,
        ):
            source = as_transfer_database(opened)
            engine = source.choose_engine(self.subset.engine(self.engine, self.environment))
            query_set = self.subset.evaluate(self.root, self.environment, source, progress)
            privacy = BackupPrivacy(self.environment.private, self.masked)
            sink = StoreSink(
                catalog.store,
                stem,
                codec,
                level,
                self.environment.name,
                database,
                query_set,
                privacy,
                catalog.encryption,
            )
            label = self.environment.label
            yield BackupCreation(
                source, sink, engine, interruption, self.allow_empty, masks=masks, label=label
            )

    def run(self, catalog: BackupCatalog, progress: Progress = SILENT) -> BackupResult:
        """Take the backup. Raises what `open` and the transfer raise."""
        with self.open(catalog, progress) as creation:
            began = time.monotonic()
            taken = creation.result(creation.transfer(progress).run(progress))
            manifest = taken.manifest
            operation = Operation(
                f"backup {self.environment.label}",
                Action.BACKUP,
                self.environment.label,
                find_origin(self.root),
                began,
                backup=taken.name,
                query_set=manifest.query_set,
                query_options=manifest.query_options,
            )
            operation = measured(operation, taken.transfer.collections)
            record_backup(creation.source, catalog.store, operation, progress)
            return taken

    def run_verified(self, catalog: BackupCatalog, progress: Progress = SILENT) -> BackupResult:
        """Take the backup, and read it back from the store. Raises what `run` raises.

        :raises DamagedError: if it is not what was written.
        :raises StoreError: if it cannot be read. After both errors it stays: it is their ``result``.
        """
        taken = self.run(catalog, progress)
        try:
            verified = read_back(catalog, taken.name, progress)
            taken = replace(taken, verified=verified)
            require_read_back(verified)
        except MonarchError as error:
            error.result = taken
            raise
        return taken
