"""An archive of mongodump without a manifest of monarch, of one database or of a whole server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from monarch.databases.foreign import AdoptedDatabase, ForeignFile, ForeignSource
from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.survey import ArchiveSurvey, SurveyedCollection
from monarch.databases.mongo.archive.validation import require_name
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.read import is_copied
from monarch.databases.mongo.sources.archive import read_through, refuse_series_as_documents
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.mongo.sources.foreign.adopted import AdoptedSource
from monarch.databases.mongo.sources.foreign.hints import (
    OF_SERVERS,
    choose_database,
    not_taken,
    only_database,
)
from monarch.databases.mongo.sources.old_metadata import read_old_metadata
from monarch.databases.mongo.stream.batches import Batch, Piece
from monarch.databases.mongo.stream.counts import Counts
from monarch.databases.transfer import ArchiveSource, CopiedCollection
from monarch.progress import Progress
from monarch.system.streams import Stream

_WITHOUT_MANIFEST = (
    "this is an archive of monarch, without its manifest: nothing tells whether it is a whole database, and "
    "whether it is masked."
)


class ForeignMongoArchive(ForeignSource):
    """The archive in ``stream``, which is ``file`` unpacked.

    :raises ArchiveError: if it is no archive.
    """

    def __init__(self, stream: Stream, file: ForeignFile) -> None:
        self._file = file
        self._survey = ArchiveSurvey(stream)

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        progress.phase("verifying")
        progress.estimated(0, self._file.bytes)
        counts = {one.data_namespace: (0, 0) for one in self._survey.collections}
        for piece in self._survey:
            if isinstance(piece, Batch):
                documents, size = counts[piece.collection]
                counts[piece.collection] = documents + piece.count, size + len(piece.payload)
                progress.transferred(piece.count, len(piece.payload))
        several = len({one.database for one in self._survey.collections}) > 1
        found = [_copied(one, *counts[one.data_namespace], several) for one in self._survey.collections]
        return tuple(sorted(found, key=lambda one: one.name))

    def restorable(self) -> ArchiveSource:
        database = only_database((one.database for one in self._survey.collections), self._file)
        return OneDatabaseSource(self._survey, database, self._file.bytes)

    def adoptable(self, database: str | None, *, without_oplog: bool = False) -> AdoptedDatabase:
        survey = self._survey
        names = [one.database for one in survey.collections]
        chosen = choose_database(names, database, self._file, without_oplog=without_oplog)
        remarks = not_taken(names, chosen)
        if survey.is_of_monarch:
            remarks += (_WITHOUT_MANIFEST,)
        source = AdoptedSource(
            OneDatabaseSource(survey, chosen, self._file.bytes),
            chosen,
            survey.server_version,
            survey.concurrent,
            remarks,
        )
        tool = "monarch" if survey.is_of_monarch else f"mongodump {survey.tool_version}".strip()
        return AdoptedDatabase(chosen, source, tool)


class OneDatabaseSource(MongoSource, ArchiveSource):
    """The ``database`` of ``survey``, without the collections of the server and of monarch.

    ``size`` is an estimate of the bytes of the whole archive, which has no numbers of its collections.

    :raises ArchiveError: if it describes what no server accepts.
    """

    phase = "restoring"

    def __init__(self, survey: ArchiveSurvey, database: str, size: int) -> None:
        self._survey = survey
        self._size = size
        self._of_server = sorted({one.database for one in survey.collections} & OF_SERVERS)
        chosen = [one for one in survey.collections if one.database == database and _is_taken(one)]
        self.collections = tuple(sorted(map(_modern, chosen), key=lambda one: one.name))
        self._names = {one.data_namespace: one.collection.data_name for one in chosen}

    def begin_phase(self, phase: str, progress: Progress) -> Counts:
        counts = super().begin_phase(phase, progress)
        progress.estimated(0, self._size)
        return counts

    def take_series_as_documents(self) -> None:
        refuse_series_as_documents(self.collections)

    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        @contextmanager
        def reading() -> Iterator[Iterator[Piece]]:
            yield self._read_chosen()

        return reading()

    def _read_chosen(self) -> Iterator[Piece]:
        if self._of_server:
            were = "were" if len(self._of_server) > 1 else "was"
            self.progress.message(f"{' and '.join(self._of_server)} of the archive {were} left out")
        for piece in self._survey:
            name = self._names.get(piece.collection)
            if name is not None:
                yield replace(piece, collection=name)

    def check(self) -> None:
        """Check nothing: the archive has a checksum of each collection, and no counts."""

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        return read_through(self, progress)


def _is_taken(one: SurveyedCollection) -> bool:
    # With --dumpDbUsersAndRoles the users of the database are in collections whose names begin with "$".
    return is_copied(one.collection.name) and not one.collection.name.startswith("$")


def _modern(one: SurveyedCollection) -> Collection:
    name = one.collection.name
    require_name(name)
    try:
        return read_old_metadata(name, one.metadata, one.stated_kind)
    except ArchiveError as error:
        raise ArchiveError(f"The metadata of {name!r} is not valid: {error.message}.") from error


def _copied(one: SurveyedCollection, documents: int, size: int, several: bool) -> CopiedCollection:
    collection = one.collection
    name = f"{one.database}.{collection.name}".lstrip(".") if several else collection.name
    return CopiedCollection(name, collection.kind, documents, size, len(collection.indexes), 0.0)
