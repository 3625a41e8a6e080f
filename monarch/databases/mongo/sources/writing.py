"""Writing what a source holds as an archive."""

from __future__ import annotations

from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.sources.base import MongoSource, unwatched
from monarch.databases.mongo.stream.counts import Counts
from monarch.databases.mongo.stream.digests import ContentHashes
from monarch.system.streams import Sink


def write_all(
    source: MongoSource, prelude: Prelude, sink: Sink, counts: Counts, hashes: ContentHashes
) -> None:
    """Write all of ``source`` into ``sink``; what passes is added to ``counts`` and ``hashes``.

    :raises MonarchError: if it cannot be read to its end, or is not what it was.
    """
    writer = ArchiveWriter(sink, prelude)
    with source.pieces(unwatched) as pieces:
        for piece in pieces:
            counts.count(piece)
            hashes.add(piece)
            writer.write(piece)
    writer.close()
    source.check()
