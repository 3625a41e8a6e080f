"""A database as it is read for a copy or a backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from monarch.databases.base import Copied, LiveDump
from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.dump import MongoDump, unwatched
from monarch.databases.mongo.endpoint import Endpoint
from monarch.databases.mongo.engines.base import MongoEngine
from monarch.databases.mongo.pieces import Piece
from monarch.databases.mongo.survey import list_entries, read_catalog, uuid_of
from monarch.databases.mongo.swap import read_head
from monarch.databases.mongo.unfinished import unfinished
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.streams import Sink

# The tool whose archives ours are like; mongorestore reads it, and wants a number.
_LIKE_TOOL = "100.3.1"


class MongoLiveDump(MongoDump, LiveDump):
    """What ``source`` holds when this is made, as ``engine`` will read it."""

    deed = "copying"

    def __init__(self, source: Endpoint, engine: MongoEngine) -> None:
        self._source = source
        self._engine = engine
        self.collections = read_catalog(source)

    @property
    def server(self) -> str:
        return f"MongoDB {self._server_version()}"

    def take_series_as_documents(self) -> None:
        self.collections = tuple(
            replace(collection, as_documents=collection.kind == "timeseries")
            for collection in self.collections
        )

    def pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        with_documents = tuple(one for one in self.collections if one.kind != "view")
        return self._engine.read(self._source, with_documents, alive)

    def check(self) -> None:
        """See that the collections are still those that have been read.

        :raises ServerError: if one has been dropped, renamed or replaced meanwhile.
        :raises NotWhole: if the source is in the middle of being replaced itself.
        """
        entries = {str(entry["name"]): entry for entry in list_entries(self._source)}
        head = read_head(self._source.on_primary())
        if head is not None:
            raise unfinished(self._source.name, head)
        for collection in self.collections:
            entry = entries.get(collection.name)
            if entry is None or uuid_of(entry, entries) != collection.uuid:
                raise ServerError(
                    f"{collection.name!r} of {self._source.name!r} was dropped, renamed or replaced while it "
                    "was read.",
                    "Nothing was changed. Try again when nobody does that.",
                )

    def write_archive(self, sink: Sink, progress: Progress) -> tuple[Copied, ...]:
        tallies = self.expect("dumping", progress)
        database = self._source.environment.db_name
        writer = ArchiveWriter(sink, Prelude(database, self.collections, self._server_version(), _LIKE_TOOL))
        with self.pieces(unwatched) as pieces:
            for piece in pieces:
                tallies.count(piece)
                writer.write(piece)
        writer.close()
        self.check()
        return tallies.copied()

    def _server_version(self) -> str:
        return str(self._source.command("buildInfo")["version"])
