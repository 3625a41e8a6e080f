"""Read an archive of one database: its prelude, then its documents in the order of the stream."""

from __future__ import annotations

from collections.abc import Iterator

from monarch.databases.mongo.archive.blocks import BlockState, read_blocks, read_prelude
from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.source import ArchiveInput
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
        self.prelude = Prelude.from_documents(read_prelude(self._source))
        self._collections = _collections(self.prelude)

    def __iter__(self) -> Iterator[Piece]:
        for block in read_blocks(self._source, self._collections):
            collection = block.collection
            if block.count:
                yield Batch(collection.name, block.payload, block.count)
            elif not collection.is_view:
                yield End(collection.name)


def _collections(prelude: Prelude) -> dict[tuple[str, str], BlockState]:
    """Return all collections that may have blocks, by the names that the blocks may have."""
    known = {}
    for collection in prelude.collections:
        state = BlockState(collection.data_name, collection.kind == "view")
        for name in (collection.data_name, prelude.block_name(collection)):
            known[prelude.database, name] = state
    return known
