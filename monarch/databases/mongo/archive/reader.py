"""Read an archive: its prelude, then its documents in the order of the stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastcrc import crc64

from monarch.databases.mongo.archive import MAGIC, TERMINATOR, ArchiveError
from monarch.databases.mongo.archive.prelude import Prelude, decode
from monarch.databases.mongo.archive.source import ArchiveInput
from monarch.databases.mongo.archive.validation import LARGEST_PRELUDE
from monarch.databases.mongo.stream.batches import Batch, End, Piece
from monarch.system.streams import Stream


class ArchiveReader:
    """Reads the archive in ``stream``. The constructor reads the prelude.

    Iterate over it once. It yields batches of whole documents, of about 1 MiB or one longer document, and an
    `End` for each collection and time series, by their ``data_name``. Views yield nothing. Memory is bounded
    by a few batches. The documents of a collection are known to be intact when its `End` is yielded, and the
    archive when the iteration ends.

    Every defect of the bytes raises `ArchiveError`. Errors of ``stream`` itself pass through.

    :raises ArchiveError: if this is no archive, or an archive of several databases.
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
                raise ArchiveError(f"The archive is incomplete: it has no end of {collection.name!r}.")

    def _prelude(self) -> Iterator[bytes]:
        if not self._source.fill(len(MAGIC)) or not self._source.take(MAGIC):
            raise ArchiveError("This is not a mongodump archive.", "Is it compressed, or another file?")
        size = 0
        while (document := self._source.document()) is not None:
            size += len(document)
            if size > LARGEST_PRELUDE:
                raise ArchiveError(
                    "The archive's prelude is too large: no database needs so many descriptions."
                )
            yield document

    def _header(self, document: bytes) -> tuple[_Collection, int | None]:
        """Return the collection of a block and, if the block is its last one, the checksum."""
        header = decode(document)
        database, name = header.get("db"), header.get("collection")
        # Not isinstance: bson's Code is a str too, and cannot be hashed.
        collection = self._collections.get(name) if type(name) is str else None
        if collection is None or database != self.prelude.database:
            raise ArchiveError(f"The archive has a block of {name!r}, which is not in its prelude.")
        if collection.ended:
            raise ArchiveError(f"The archive has a block of {collection.name!r} after its end.")
        if not header.get("EOF"):
            return collection, None
        checksum = header.get("CRC")
        if not isinstance(checksum, int):
            raise ArchiveError(f"The archive has no checksum for {collection.name!r}.")
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
    """How far a collection has been read; ``name`` is its ``data_name``."""

    name: str
    is_view: bool
    checksum: int = 0
    ended: bool = False


def _collections(prelude: Prelude) -> dict[str, _Collection]:
    """Return all collections that may have blocks, by the names that the blocks may have."""
    known = {}
    for collection in prelude.collections:
        state = _Collection(collection.data_name, collection.kind == "view")
        known[collection.data_name] = known[prelude.block_name(collection)] = state
    return known
