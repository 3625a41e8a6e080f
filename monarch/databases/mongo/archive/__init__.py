"""The archive format of mongodump and mongorestore, as a stream.

There is no specification that covers all of it. These are the rules as the sources of MongoDB's mongo-tools
have them (``common/archive``), tried with mongodump and mongorestore 100.3.1. Numbers are little-endian.

An archive is::

    6d e2 99 81                                     four magic bytes
    {concurrent_collections, version: "0.1",        the prelude: a header,
     server_version, tool_version}
    {db, collection, metadata, size, type}*         a document for each collection,
    ff ff ff ff                                     and a terminator
    (header, documents*, ff ff ff ff)*              blocks

The prelude. ``metadata`` is canonical Extended JSON in a string, ``{options, indexes, uuid, collectionName,
type}``; ``size`` is 0. 100.3.1, which knows no time series, writes no ``type``; ``options`` are missing where
there are none. More fields do no harm. ``server_version`` has to be a version. mongorestore reads four
collections at once, or ``concurrent_collections`` if that is more: where one more is mixed with them, it
stands still for ever.

Blocks. A header is ``{db, collection, EOF, CRC}`` and nothing else. A collection has any number of blocks,
mixed with those of others, and then one whose ``EOF`` is true, without documents. That one's ``CRC`` is the
CRC-64/XZ of all its documents, one behind another, as a signed int64; elsewhere it is 0. What has no
documents has this last block all the same, a view too: mongorestore creates a collection when it meets
its first block, and fails at the end if one of the prelude was never seen. (mongodump gives it an empty block
before that.)

Time series. The prelude has ``series`` with the type ``timeseries``. Its blocks hold buckets and are called
``system.buckets.series``, or from server 8.3 on ``series``. mongodump 100.3.1 says nothing of a type, and its
blocks are called ``series`` and hold documents. That is a collection with the option ``timeseries`` for
mongorestore, which creates it and inserts into it: so can a time series travel whose buckets nobody may read.

Clustered collections. Their index is among the indexes, and in the options. mongorestore 100.3.1, older than
they are, tries to create it once more and fails, after the documents went in.

No document may be longer than 16 MiB for mongorestore; this reader allows what a server allows itself.
An intact archive is not yet a complete one: a mongodump that is interrupted closes its archive properly.
"""

from __future__ import annotations

from monarch.errors import DamagedError

MAGIC = b"\x6d\xe2\x99\x81"
TERMINATOR = b"\xff\xff\xff\xff"


class ArchiveError(DamagedError):
    """An archive is damaged or cut off, or is none; or something cannot be put into one."""
