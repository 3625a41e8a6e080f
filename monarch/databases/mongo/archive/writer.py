"""Writing an archive that mongorestore accepts."""

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
    """An archive into ``sink``, whose prelude has been written once this is made.

    Pieces are called by the ``data_name`` of their collections. Each batch becomes a block, so it is worth
    its header only if it is not small. Views need no piece. Collections may be mixed, but how many are begun
    and not ended is for the caller to bound: mongorestore reads as many at once as it was told to (4, if it
    was not) or as ``concurrent_collections`` of the prelude, whichever is more, and waits for ever at the
    first block of one more.

    :raises ArchiveError: if the prelude cannot be put into an archive without loss.
    """

    def __init__(self, sink: Sink, prelude: Prelude) -> None:
        self._sink = sink
        self._database = prelude.database
        self._open: dict[str, _Open] = {}
        sink.write(prelude.to_bytes())
        for collection in prelude.collections:
            if collection.kind == "view":
                # mongorestore creates what it meets a block of, and misses what it meets none of.
                sink.write(self._header(collection.name, 0) + TERMINATOR)
            else:
                name = prelude.block_name(collection)
                self._open[collection.data_name] = _Open(name, self._header(name, None))

    def write(self, piece: Piece) -> None:
        """Write ``piece``.

        :raises ArchiveError: if it is of a collection that has ended, or that the prelude does not have.
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
        """Be done. The sink stays open.

        :raises ArchiveError: if a collection has not ended: no reader would take that archive.
        """
        if self._open:
            names = ", ".join(map(repr, self._open))
            raise ArchiveError(f"The archive is not complete: there has been no end of {names}.")

    def _find(self, name: str) -> _Open:
        state = self._open.get(name)
        if state is None:
            raise ArchiveError(f"{name!r} has ended in the archive, or its prelude does not have it.")
        return state

    def _header(self, name: str, checksum: int | None) -> bytes:
        """The header of a block of documents or, with a ``checksum``, of the last one."""
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
    """A collection that has not ended, with the header of its blocks, which are called ``name``."""

    name: str
    header: bytes
    checksum: int = 0
