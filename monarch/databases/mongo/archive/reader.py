"""Reading an archive: its prelude, then its documents as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastcrc import crc64

from monarch.databases.mongo.archive import MAGIC, TERMINATOR, ArchiveError
from monarch.databases.mongo.archive.prelude import Prelude, decode
from monarch.databases.mongo.archive.source import ArchiveInput
from monarch.databases.mongo.stream.batches import Batch, End, Piece
from monarch.system.streams import Stream


class ArchiveReader:
    """An archive in ``stream``, whose prelude has been read once this is made.

    Iterate over it once, for its pieces: batches of whole documents, of about a MiB or one document that is
    longer, and an End for each collection and time series, by its ``data_name``. A view has no pieces.
    Memory stays at a few batches, however long the stream is. What has been yielded of a collection is
    known to be intact when its End comes, and the archive when the iteration ends.

    Whatever the bytes are, what is wrong with them is an `ArchiveError`. Errors of ``stream`` itself pass.

    :raises ArchiveError: if this is no archive, or one of several databases.
    """

    def __init__(self, stream: Stream) -> None:
        self._source = ArchiveInput(stream)
        self.prelude = Prelude.from_documents(self._prelude())
        self._collections = _collections(self.prelude)

    def __iter__(self) -> Iterator[Piece]:
        source = self._source
        while source.fill(1):
            header = source.document()
            if header is None:
                raise ArchiveError("The archive is damaged: a block without a header.")
            collection, checksum = self._header(header)
            if checksum is None:
                yield from self._documents(collection)
                continue
            if source.document() is not None:
                raise ArchiveError(f"The archive has documents of {collection.name!r} after their end.")
            if checksum != collection.checksum:
                raise ArchiveError(
                    f"The archive is damaged: the checksum of {collection.name!r} does not match."
                )
            collection.ended = True
            if not collection.is_view:
                yield End(collection.name)
        for collection in self._collections.values():
            if not collection.ended and not collection.is_view:
                raise ArchiveError(f"The archive is not complete: {collection.name!r} does not end in it.")

    def _prelude(self) -> Iterator[bytes]:
        if not self._source.fill(len(MAGIC)) or not self._source.take(MAGIC):
            raise ArchiveError("This is not an archive of mongodump.", "Is it compressed, or another file?")
        while (document := self._source.document()) is not None:
            yield document

    def _header(self, document: bytes) -> tuple[_Collection, int | None]:
        """The collection of a block and, if it is the last of it, the checksum."""
        header = decode(document)
        database, name = header.get("db"), header.get("collection")
        # Not isinstance: bson's Code is a string too, and cannot be hashed.
        collection = self._collections.get(name) if type(name) is str else None
        if collection is None or database != self.prelude.database:
            raise ArchiveError(f"The archive has a block of {name!r}, which its prelude does not have.")
        if collection.ended:
            raise ArchiveError(f"The archive goes on with {collection.name!r} after its end.")
        if not header.get("EOF"):
            return collection, None
        checksum = header.get("CRC")
        if not isinstance(checksum, int):
            raise ArchiveError(f"The archive has no checksum of {collection.name!r}.")
        return collection, checksum % (1 << 64)

    def _documents(self, collection: _Collection) -> Iterator[Batch]:
        source = self._source
        while not source.take(TERMINATOR):
            payload, count = source.documents()
            if collection.is_view:
                raise ArchiveError(f"The archive has documents of {collection.name!r}, which is a view.")
            collection.checksum = crc64.xz(payload, collection.checksum)
            yield Batch(collection.name, payload, count)


@dataclass
class _Collection:
    """How far one of them has been read; ``name`` is where its documents lie."""

    name: str
    is_view: bool
    checksum: int = 0
    ended: bool = False


def _collections(prelude: Prelude) -> dict[str, _Collection]:
    """All that may have blocks, by the names that these may have."""
    known = {}
    for collection in prelude.collections:
        state = _Collection(collection.data_name, collection.kind == "view")
        known[collection.data_name] = known[prelude.block_name(collection)] = state
    return known
