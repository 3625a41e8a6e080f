"""The prelude, the first part of an archive: the collections it holds, with their options and indexes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bson

from monarch.databases.mongo.archive import MAGIC, TERMINATOR, ArchiveError
from monarch.databases.mongo.archive.metadata import (
    archive_type,
    not_representable,
    read_metadata,
    shorten_error,
    write_metadata,
)
from monarch.databases.mongo.archive.validation import require_name
from monarch.databases.mongo.catalog.model import CODEC, Collection

# From this server version on, a time series has no view beside its buckets.
_WITHOUT_BUCKET_NAMES = (8, 3)
_LONGEST = 16 << 20  # for mongorestore


@dataclass(frozen=True)
class Prelude:
    """The description of an archive that precedes its documents.

    ``database`` is empty after reading an archive without collections: such an archive does not name it.
    At most ``concurrent_collections`` collections are open at any point of the archive; mongodump uses 4.
    """

    database: str
    collections: tuple[Collection, ...]
    server_version: str
    tool_version: str
    concurrent_collections: int = 4

    def block_name(self, collection: Collection) -> str:
        """Return the name that mongorestore expects in the block headers of ``collection``."""
        without = _version(self.server_version) >= _WITHOUT_BUCKET_NAMES
        return collection.name if without else collection.data_name

    def to_bytes(self) -> bytes:
        """Return the first bytes of the archive, including the magic bytes.

        :raises ArchiveError: if something cannot be represented in the format without loss.
        """
        header = {
            "concurrent_collections": self.concurrent_collections,
            "version": "0.1",
            "server_version": self.server_version,
            "tool_version": self.tool_version,
        }
        entries = [_to_entry(self.database, collection) for collection in self.collections]
        return b"".join((MAGIC, bson.encode(header), *entries, TERMINATOR))

    @classmethod
    def from_documents(cls, documents: Iterable[bytes]) -> Prelude:
        """Parse the prelude from its documents, without the terminator.

        :raises ArchiveError: if they are no prelude, or name more than one database.
        """
        rest = iter(documents)
        header = decode(next(rest, b""))
        entries = [decode(document) for document in rest]
        concurrent = header.get("concurrent_collections")
        databases = sorted({text_of(entry, "db") for entry in entries})
        if len(databases) > 1:
            raise ArchiveError(
                f"The archive holds more than one database: {', '.join(map(repr, databases))}.",
                "Create an archive of a single database: mongodump --db=NAME --archive",
            )
        prelude = cls(
            database=databases[0] if databases else "",
            collections=tuple(_from_entry(entry) for entry in entries),
            server_version=str(header.get("server_version", "")),
            tool_version=str(header.get("tool_version", "")),
            concurrent_collections=concurrent if isinstance(concurrent, int) else 4,
        )
        for name, times in Counter(collection.data_name for collection in prelude.collections).items():
            if times > 1:
                raise ArchiveError(f"The archive's prelude has {name!r} more than once.")
        return prelude


def decode(document: bytes) -> dict[str, Any]:
    """Decode a document of the archive format itself: of the prelude, or a block header.

    :raises ArchiveError: if it is not valid BSON.
    """
    try:
        return bson.decode(document, CODEC)
    except Exception as error:  # bson raises errors of its own for some kinds of damage only
        raise ArchiveError(f"The archive is damaged: {shorten_error(error)}.") from error


def text_of(document: Mapping[str, Any], key: str) -> str:
    """Return the text ``key`` of a document of the prelude.

    :raises ArchiveError: if it has none.
    """
    value = document.get(key)
    if type(value) is not str:  # bson's Code is a str too, and cannot be hashed
        raise ArchiveError(f"The archive is damaged: an entry of its prelude has no {key!r}.")
    return value


def _version(text: str) -> tuple[int, ...]:
    return tuple(_numbers(text.split(".")[:2]))


def _numbers(parts: Iterable[str]) -> Iterator[int]:
    for part in parts:
        digits = part[:9]
        if not digits.isdecimal():
            return
        yield int(digits)


def _to_entry(database: str, collection: Collection) -> bytes:
    """Return the prelude's document for ``collection``."""
    kind = archive_type(collection)
    text = write_metadata(collection)
    entry = {"db": database, "collection": collection.name, "metadata": text, "size": 0, "type": kind}
    document = bson.encode(entry)
    if len(document) > _LONGEST:
        raise not_representable(collection.name, "they are too long")
    return document


def _from_entry(entry: Mapping[str, Any]) -> Collection:
    name, text = text_of(entry, "collection"), entry.get("metadata") or "{}"
    require_name(name)
    try:
        return read_metadata(name, text, entry.get("type"))
    except ArchiveError as error:
        raise ArchiveError(
            f"The archive's prelude has invalid metadata for {name!r}: {error.message}."
        ) from error
