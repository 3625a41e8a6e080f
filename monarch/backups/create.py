"""Take a backup of a database."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from monarch.backups.codecs import Codec, find_codec
from monarch.backups.manifest import Manifest
from monarch.backups.names import check_stem
from monarch.backups.store_sink import StoreSink
from monarch.copies.subset import SubsetRequest
from monarch.copies.transfer import Interruption, Transfer, TransferResult, report_interruption
from monarch.databases import open_database, require_transfers
from monarch.databases.environment import Environment
from monarch.databases.transfer import Engine, LiveSource, TransferDatabase, Transform, as_transfer_database
from monarch.errors import MonarchError
from monarch.progress import SILENT, Progress
from monarch.querysets.evaluate import EvaluatedQuerySet
from monarch.stores.base import Store


@dataclass(frozen=True)
class BackupResult:
    """A backup that was taken: its name, the place of its store for people, its manifest, its transfer."""

    name: str
    place: str
    manifest: Manifest
    transfer: TransferResult


@dataclass(frozen=True)
class BackupCreation:
    """A backup of the open database ``source`` into ``store``.

    ``environment`` and ``database`` are the names of the source. The backup's name begins with ``stem``.
    ``query_set`` is what selects a subset of the source, None for all of it.
    """

    source: TransferDatabase
    environment: str
    database: str
    engine: Engine
    store: Store
    stem: str
    codec: Codec
    level: int
    allow_empty: bool = False
    query_set: EvaluatedQuerySet | None = None
    transforms: tuple[Transform, ...] = ()

    def run(self, interruption: Interruption, progress: Progress = SILENT) -> BackupResult:
        """Take the backup.

        :raises MonarchError: if the source holds nothing, or is incomplete.
        :raises ServerError: if the source cannot be read to its end.
        :raises StoreError: if the backup cannot be stored. After any of these, nothing is kept.
        """
        began = time.monotonic()
        source = self._checked_source()
        created = self.store.prepare()
        if created is not None:
            progress.noted(created)
        sink = StoreSink(
            self.store, self.stem, self.codec, self.level, self.environment, self.database, self.query_set
        )
        opened = nullcontext(source)
        transfer = Transfer(lambda: opened, sink, self.engine, interruption, began, self.transforms)
        result = transfer.run(progress)
        assert sink.stored is not None
        return BackupResult(sink.stored.name, self.store.place, sink.stored.manifest, result)

    def _checked_source(self) -> LiveSource:
        self.source.require_whole()
        source = self.source.read(self.engine, self.query_set.selection if self.query_set else None)
        if not source.summaries and not self.allow_empty:
            raise MonarchError(
                f"{self.environment!r} holds no collections: there is nothing to back up.",
                f"Check its 'db_name' ({self.database}). To back up an empty database, use --allow-empty.",
            )
        return source


@dataclass(frozen=True)
class BackupRequest:
    """A backup of an environment of the project at ``root``, before anything is connected.

    The backup's name begins with ``name`` or, without one, with the database's. The other fields are as for
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
        """Take the backup into ``store``; see `BackupCreation.run`.

        :raises RunInterrupted: on Ctrl-C or a signal, saying whether there is a backup.
        """
        require_transfers((self.environment.kind, repr(self.environment.name)))
        database = self.environment.db_name
        stem = self.name if self.name is not None else database
        check_stem(stem)
        codec, level = find_codec(self.codec, self.level)
        with (
            report_interruption("Nothing was kept of the backup.") as interruption,
            open_database(self.environment, self.root, progress) as opened,
        ):
            source = as_transfer_database(opened)
            engine = source.choose_engine(self.subset.engine(self.engine, self.environment))
            query_set = self.subset.evaluate(self.root, self.environment, source, progress)
            return BackupCreation(
                source,
                self.environment.name,
                database,
                engine,
                store,
                stem,
                codec,
                level,
                self.allow_empty,
                query_set,
            ).run(interruption, progress)
