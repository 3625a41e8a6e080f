"""Read an archive of any databases, also of those of the server: what a whole server was dumped into."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from monarch.databases.mongo.archive import TOOL_VERSION, ArchiveError
from monarch.databases.mongo.archive.blocks import BlockState, read_blocks, read_prelude
from monarch.databases.mongo.archive.metadata import read_metadata
from monarch.databases.mongo.archive.prelude import decode, text_of
from monarch.databases.mongo.archive.source import ArchiveInput
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.stream.batches import Batch, End, Piece
from monarch.system.streams import Stream


@dataclass(frozen=True)
class SurveyedCollection:
    """A collection of ``database``, which is empty for the oplog.

    ``metadata`` and ``stated_kind`` are what the prelude says of it.
    """

    database: str
    collection: Collection
    metadata: str
    stated_kind: object

    @property
    def data_namespace(self) -> str:
        """The database and the ``data_name`` of the collection."""
        return f"{self.database}.{self.collection.data_name}"


# How many collections mongodump reads at once.
_USUAL = 4
# Versions of tools were "r3.4.2" once. mongorestore refuses an archive with another version of a server.
_TOOL = re.compile(r"r?[0-9][0-9A-Za-z.+-]{0,40}")
_SERVER = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(?:[+-][0-9A-Za-z.+-]{0,40})?")


class ArchiveSurvey:
    """All ``collections`` of the archive in ``stream``, by the names that it gives them.

    Nothing is left out, and no name is refused: this is for looking, and `validation` for restoring. At most
    ``concurrent`` collections are interleaved. The versions are empty if the archive has none. Iterate over
    it once, as over an `ArchiveReader`; the pieces have the ``data_namespace`` of their collections.

    :raises ArchiveError: if this is no archive.
    """

    def __init__(self, stream: Stream) -> None:
        self._source = ArchiveInput(stream)
        documents = read_prelude(self._source)
        header = decode(next(documents, b""))
        self.server_version = server_version(header.get("server_version"))
        self.tool_version = tool_version(header.get("tool_version"))
        self.collections = tuple(map(_parse, documents))
        concurrent = header.get("concurrent_collections")
        concurrent = concurrent if isinstance(concurrent, int) and concurrent > 0 else _USUAL
        # mongorestore starts that many threads, whatever the number is.
        self.concurrent = min(concurrent, max(1, len(self.collections)))
        self._states: dict[tuple[str, str], BlockState] = {}
        for one in self.collections:
            state = BlockState(one.data_namespace, one.collection.kind == "view")
            # Servers from 8.3 on have no other name for the buckets of a time series.
            for name in {one.collection.data_name, one.collection.name}:
                if self._states.setdefault((one.database, name), state) is not state:
                    raise ArchiveError(f"The archive's prelude has {one.data_namespace!r} more than once.")

    @property
    def is_of_monarch(self) -> bool:
        """Whether monarch has written it; as `is_of_monarch`."""
        stated = bool(self.collections) and self.collections[0].stated_kind is not None
        return stated and self.tool_version == TOOL_VERSION

    def __iter__(self) -> Iterator[Piece]:
        for block in read_blocks(self._source, self._states):
            collection = block.collection
            if block.count:
                yield Batch(collection.name, block.payload, block.count)
            elif not collection.is_view:
                yield End(collection.name)
        # No manifest tells that a view is missing.
        for collection in self._states.values():
            if not collection.ended:
                raise ArchiveError(f"The archive is incomplete: it has no end of {collection.name!r}.")


def is_of_monarch(head: bytes) -> bool:
    """Whether an archive that begins with ``head`` was written by monarch, and not by mongodump.

    One without collections is taken for mongodump's, which makes them of databases that do not exist.
    """
    documents = read_prelude(ArchiveInput(io.BytesIO(head)))
    try:
        header, first = next(documents), next(documents)
    except (ArchiveError, StopIteration):  # the head ends before
        return False
    return decode(header).get("tool_version") == TOOL_VERSION and "type" in decode(first)


def server_version(value: object) -> str:
    """Return the version of a server that a dump states; empty if it is none."""
    return value if isinstance(value, str) and _SERVER.fullmatch(value) else ""


def tool_version(value: object) -> str:
    """Return the version of a tool that a dump states; empty if it is none."""
    return value.removeprefix("r") if isinstance(value, str) and _TOOL.fullmatch(value) else ""


def _parse(document: bytes) -> SurveyedCollection:
    entry = decode(document)
    name, text, kind = text_of(entry, "collection"), entry.get("metadata") or "{}", entry.get("type")
    try:
        collection = read_metadata(name, text, kind)
    except ArchiveError as error:
        why = f"The archive's prelude has invalid metadata for {name!r}: {error.message}."
        raise ArchiveError(why) from error
    return SurveyedCollection(text_of(entry, "db"), collection, str(text), kind)
