"""What mongodump wrote, as the source of a backup: read once, and written as monarch's own archive."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Self

from monarch.databases.mongo.archive import TOOL_VERSION
from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.mongo.sources.writing import write_all
from monarch.databases.mongo.stream.batches import Piece
from monarch.databases.mongo.stream.digests import ContentHashes
from monarch.databases.selection import Choice
from monarch.databases.transfer import CollectionDigest, CopiedCollection, LiveSource
from monarch.databases.transform import Transform
from monarch.progress import Progress
from monarch.system.streams import Sink

# What an archive says of its server if nothing is known: mongorestore needs a version.
_UNKNOWN = "0.0.0"


class AdoptedSource(MongoSource, LiveSource):
    """The contents of ``source``, dumped of ``database`` on a server of ``server_version``, if that is known.

    At most ``concurrent`` collections of it are interleaved. ``remarks`` are what people should know of it.
    """

    phase = "adopting"

    def __init__(
        self,
        source: MongoSource,
        database: str,
        server_version: str,
        concurrent: int,
        remarks: tuple[str, ...],
    ) -> None:
        self._source = source
        self._database = database
        self._version = server_version
        self._concurrent = concurrent
        self._remarks = remarks
        self._digests: tuple[CollectionDigest, ...] = ()
        self.collections = source.collections

    @property
    def server(self) -> str:
        return f"MongoDB {self._version}" if self._version else "MongoDB of an unknown version"

    @property
    def filters(self) -> tuple[str, ...]:
        return ()

    @property
    def one_snapshot(self) -> bool:
        return False  # nothing tells

    @property
    def digests(self) -> tuple[CollectionDigest, ...]:
        return self._digests

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._remarks, *self._source.notes)

    def chosen(self, choice: Choice) -> Self:
        return self._with(self._source.chosen(choice))

    def transformed(self, transforms: tuple[Transform, ...]) -> Self:
        return self._with(self._source.transformed(transforms))

    def _with(self, source: MongoSource) -> Self:
        changed = copy.copy(self)
        changed._source = source
        changed.collections = source.collections
        return changed

    def take_series_as_documents(self) -> None:
        self._source.take_series_as_documents()

    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        return self._source.pieces(alive)

    def check(self) -> None:
        self._source.check()

    def write_archive(
        self, sink: Sink, progress: Progress, *, hashes: bool = True
    ) -> tuple[CopiedCollection, ...]:
        counts = self._source.begin_phase(self.phase, progress)
        hashed = self.collections if hashes else ()
        contents = ContentHashes(hashed, is_sharded=False)
        version = self._version or _UNKNOWN
        prelude = Prelude(self._database, self.collections, version, TOOL_VERSION, self._concurrent)
        write_all(self, prelude, sink, counts, contents)
        self._digests = tuple(map(contents.digest, hashed))
        return counts.copied()
