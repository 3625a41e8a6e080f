"""The archive format of mongodump and mongorestore, as a stream.

No specification covers all of it. These rules come from the sources of MongoDB's mongo-tools
(``common/archive``) and were tested with mongodump and mongorestore 100.3.1. Numbers are little-endian.

An archive is::

    6d e2 99 81                                     four magic bytes
    {concurrent_collections, version: "0.1",        the prelude: a header,
     server_version, tool_version}
    {db, collection, metadata, size, type}*         a document for each collection,
    ff ff ff ff                                     and a terminator
    (header, documents*, ff ff ff ff)*              blocks

The prelude. ``metadata`` is a string of canonical Extended JSON: ``{options, indexes, uuid, collectionName,
type}``. ``size`` is 0. Version 100.3.1 does not know time series and writes no ``type``. ``options`` are
omitted where there are none. Additional fields are accepted. ``server_version`` must parse as a version.
mongorestore reads four collections at once, or ``concurrent_collections`` if that is more. If one more
collection is interleaved with them, mongorestore hangs.

Blocks. A header is ``{db, collection, EOF, CRC}`` and nothing else. A collection has any number of blocks,
interleaved with those of other collections, and then a last block with ``EOF: true`` and no documents. The
``CRC`` of the last block is the CRC-64/XZ of all documents of the collection, concatenated, as a signed
int64; in the other blocks it is 0. A collection without documents, and a view, has this last block too:
mongorestore creates a collection when it reads its first block, and fails at the end if a collection of the
prelude had none. (mongodump writes an empty block before it.)

Time series. The prelude has ``series`` with the type ``timeseries``. Its blocks hold buckets and are named
``system.buckets.series``, or from server 8.3 on ``series``. mongodump 100.3.1 writes no type; its blocks are
named ``series`` and hold documents. mongorestore takes that for a collection with the option ``timeseries``,
creates it and inserts into it. So a time series can be copied by a user who may not read its buckets.

Clustered collections. Their index is in the list of indexes and in the options. mongorestore 100.3.1 is older
than clustered collections: it tries to create the index again and fails, after it has inserted the documents.

mongorestore accepts documents of at most 16 MiB; this reader accepts what a server accepts.
An intact archive may be incomplete: a mongodump that is interrupted closes its archive properly.
"""

from __future__ import annotations

from monarch.errors import DamagedError

MAGIC = b"\x6d\xe2\x99\x81"
TERMINATOR = b"\xff\xff\xff\xff"
# The version of mongodump that monarch's archives state, because mongorestore requires a number. Unlike
# monarch, that version writes no ``type``.
TOOL_VERSION = "100.3.1"


class ArchiveError(DamagedError):
    """The bytes are no intact archive, or something cannot be stored in an archive."""
