"""Read the two parts of an archive as they are: the documents of its prelude, then its blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastcrc import crc64

from monarch.databases.mongo.archive import MAGIC, TERMINATOR, ArchiveError
from monarch.databases.mongo.archive.prelude import decode
from monarch.databases.mongo.archive.source import ArchiveInput
from monarch.databases.mongo.archive.validation import LARGEST_PRELUDE


@dataclass
class BlockState:
    """How far a collection has been read; ``name`` is for the caller and for errors."""

    name: str
    is_view: bool
    checksum: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Some documents of a collection, ``count`` of them, or its intact end if there are none."""

    collection: BlockState
    payload: bytes = b""
    count: int = 0


def read_prelude(source: ArchiveInput) -> Iterator[bytes]:
    """Yield the documents of the prelude, and read its terminator.

    :raises ArchiveError: if this is no archive, or a prelude that is too large.
    """
    if not source.fill(len(MAGIC)) or not source.take(MAGIC):
        raise ArchiveError("This is not a mongodump archive.", "Is it compressed, or another file?")
    size = 0
    while (document := source.document()) is not None:
        size += len(document)
        if size > LARGEST_PRELUDE:
            raise ArchiveError("The archive's prelude is too large: no database needs so many descriptions.")
        yield document


def read_blocks(source: ArchiveInput, collections: Mapping[tuple[str, str], BlockState]) -> Iterator[Block]:
    """Yield the blocks to the end of ``source``, in parts of about 1 MiB or one longer document.

    ``collections`` are those of the prelude, by database and by each name that their blocks may have. The
    documents of a collection are known to be intact at its end, and the archive when the iteration ends.

    :raises ArchiveError: if anything in it is not as it was written.
    """
    while source.fill(1):
        header = source.document()
        if header is None:
            raise ArchiveError("The archive is damaged: a block without a header.")
        collection, checksum = _parse_header(header, collections)
        if checksum is None:
            yield from _read_documents(source, collection)
            continue
        if source.document() is not None:
            raise ArchiveError(f"The archive has documents of {collection.name!r} after their end.")
        if checksum != collection.checksum:
            raise ArchiveError(f"The archive is damaged: the checksum of {collection.name!r} does not match.")
        collection.ended = True
        yield Block(collection)
    for collection in collections.values():
        if not collection.ended and not collection.is_view:
            raise ArchiveError(f"The archive is incomplete: it has no end of {collection.name!r}.")


def _parse_header(
    document: bytes, collections: Mapping[tuple[str, str], BlockState]
) -> tuple[BlockState, int | None]:
    """Return the collection of a block and, if the block is its last one, the checksum."""
    header = decode(document)
    database, name = header.get("db"), header.get("collection")
    # Not isinstance: bson's Code is a str too, and cannot be hashed.
    found = collections.get((database, name)) if type(name) is type(database) is str else None
    if found is None:
        raise ArchiveError(f"The archive has a block of {name!r}, which is not in its prelude.")
    if found.ended:
        raise ArchiveError(f"The archive has a block of {found.name!r} after its end.")
    if not header.get("EOF"):
        return found, None
    checksum = header.get("CRC")
    if not isinstance(checksum, int):
        raise ArchiveError(f"The archive has no checksum for {found.name!r}.")
    return found, checksum % (1 << 64)


def _read_documents(source: ArchiveInput, collection: BlockState) -> Iterator[Block]:
    while not source.take(TERMINATOR):
        payload, count = source.documents()
        if collection.is_view:
            raise ArchiveError(f"The archive has documents of {collection.name!r}, which is a view.")
        collection.checksum = crc64.xz(payload, collection.checksum)
        yield Block(collection, payload, count)
