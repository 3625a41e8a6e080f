"""Write an archive that mongorestore accepts."""

from __future__ import annotations

from dataclasses import dataclass

import bson
from bson.int64 import Int64
from fastcrc import crc64

from monarch.databases.mongo.archive import TERMINATOR, ArchiveError
from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.stream.batches import Batch, End, Piece
from monarch.system.streams import Sink


class ArchiveWriter:
    """Writes an archive into ``sink``. The constructor writes the prelude.

    Batches carry the ``data_name`` of their collections. Each batch becomes one block with a header, so
    batches should not be small. Views are written by the constructor. Collections may be interleaved, but
    the caller must bound how many are open at once: mongorestore reads as many as its option says (4 by
    default) or ``concurrent_collections`` of the prelude, whichever is more, and hangs at the first block of
    one more.

    :raises ArchiveError: if the prelude cannot be represented in an archive without loss.
    """

    def __init__(self, sink: Sink, prelude: Prelude) -> None:
        self._sink = sink
        self._database = prelude.database
        self._open: dict[str, _Open] = {}
        sink.write(prelude.to_bytes())
        for collection in prelude.collections:
            if collection.kind == "view":
                # mongorestore creates a view when it reads its block, and fails if there is none.
                sink.write(self._header(collection.name, 0) + TERMINATOR)
            else:
                name = prelude.block_name(collection)
                self._open[collection.data_name] = _Open(name, self._header(name, None))

    def write(self, piece: Piece) -> None:
        """Write a batch, or the end of a collection.

        :raises ArchiveError: if its collection has ended already, or is not in the prelude.
        """
        match piece:
            case Batch(name, payload, count):
                state = self._find(name)
                if count:
                    state.checksum = crc64.xz(payload, state.checksum)
                    self._sink.write(state.header)
                    self._sink.write(payload)
                    self._sink.write(TERMINATOR)
            case End(name):
                state = self._find(name)
                self._sink.write(self._header(state.name, state.checksum) + TERMINATOR)
                del self._open[name]

    def close(self) -> None:
        """Finish the archive. The sink stays open.

        :raises ArchiveError: if a collection has not ended: no reader would accept such an archive.
        """
        if self._open:
            names = ", ".join(map(repr, self._open))
            raise ArchiveError(f"The archive is incomplete: it has no end of {names}.")

    def _find(self, name: str) -> _Open:
        state = self._open.get(name)
        if state is None:
            raise ArchiveError(f"{name!r} has already ended in the archive, or is not in its prelude.")
        return state

    def _header(self, name: str, checksum: int | None) -> bytes:
        """Return the header of a block of documents or, with a ``checksum``, of the last block."""
        value = checksum or 0
        signed = value - (1 << 64) if value >> 63 else value
        header = {
            "db": self._database,
            "collection": name,
            "EOF": checksum is not None,
            "CRC": Int64(signed),
        }
        return bson.encode(header)


@dataclass
class _Open:
    """A collection that has not ended, with the name and the header of its blocks."""

    name: str
    header: bytes
    checksum: int = 0
