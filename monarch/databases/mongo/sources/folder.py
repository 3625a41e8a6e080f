"""A source that reads the files that mongodump writes into a folder.

``<collection>.bson`` has the documents, one after another; ``<collection>.metadata.json`` has the options and
indexes, in the Extended JSON of its version. A view has no documents. Before 2.2 there was no metadata, but
``system.indexes.bson``. ``system.*`` are the server's own, except ``system.js`` and the buckets of time
series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from bson import json_util

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.metadata import shorten_error
from monarch.databases.mongo.archive.prelude import decode
from monarch.databases.mongo.archive.source import CHUNK, ArchiveInput
from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.catalog.read import is_copied
from monarch.databases.mongo.sources.archive import read_through, refuse_series_as_documents
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.mongo.sources.file_names import (
    DOCUMENTS,
    METADATA,
    FilesOfMongodump,
    collection_of,
    is_of_mac,
    require_one_file_each,
)
from monarch.databases.mongo.sources.old_metadata import read_old_metadata
from monarch.databases.mongo.stream.batches import Batch, End, Piece, split
from monarch.databases.transfer import ArchiveSource, CopiedCollection, FileSet
from monarch.progress import Progress

_INDEXES = "system.indexes" + DOCUMENTS
_LARGEST_METADATA = 64 << 20
# An estimate, only for the progress.
_BYTES_OF_A_DOCUMENT = 200


class MongoFolderSource(MongoSource, ArchiveSource):
    """The contents of ``files``, which are named as mongodump names them.

    :raises ArchiveError: if they are damaged or incomplete.
    """

    phase = "restoring"

    def __init__(self, files: FileSet) -> None:
        self._files = FilesOfMongodump(files)
        self._sizes = self._files.sizes()
        names = {
            name.removesuffix(end)
            for end in (METADATA, DOCUMENTS)
            for name in self._sizes
            if name.endswith(end) and not is_of_mac(name)
        }
        if not names:
            raise ArchiveError("It holds no .bson files of mongodump.")
        self._empty_metadata = sorted(name for name in names if self._sizes.get(name + METADATA) == 0)
        texts = self._texts([name for name in sorted(names) if is_copied(name)])
        found = [self._collection(name, text) for name, text in texts.items()]
        self.collections = tuple(sorted((one for one, _ in found), key=lambda one: one.name))
        require_one_file_each(
            {name + METADATA: one.name for name, (one, _) in zip(texts, found, strict=True)}
        )
        self._sources = {one.data_name: file for one, file in found if one.kind != "view"}
        # Empty metadata is read with the rest, for its checksum: damage may only make it seem empty.
        read = {*self._sources.values(), *(name + METADATA for name in {*texts} - {*self._empty_metadata})}
        self._left_out = [name for name in self._sizes if name not in read]
        for name in self._left_out:
            if name.startswith(BUCKETS):
                raise ArchiveError(f"{name!r} belongs to a time series whose other files are missing.")

    def take_series_as_documents(self) -> None:
        refuse_series_as_documents(self.collections)

    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        @contextmanager
        def reading() -> Iterator[Iterator[Piece]]:
            yield self._read_files()

        return reading()

    def check(self) -> None:
        """Read the files that were left out, with their checksums: a damaged name may have hidden one."""
        for name in self._left_out:
            with self._files.open(name) as stream:
                while stream.read(CHUNK):
                    pass

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its files do not tell."""
        return tuple(
            f"{name + METADATA} is empty: no options or indexes of it are known"
            for name in self._empty_metadata
        )

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        for remark in self.remarks:
            progress.message(remark)
        return read_through(self, progress)

    def _read_files(self) -> Iterator[Piece]:
        for name, file in self._sources.items():
            for payload, count in self._documents(file):
                yield Batch(name, payload, count)
            yield End(name)

    def _documents(self, file: str) -> Iterator[tuple[bytes, int]]:
        """Yield what `ArchiveInput.documents` returns, to the end of ``file``."""
        with self._files.open(file) as stream:
            source = ArchiveInput(stream)
            with _named_errors(file):
                while source.fill(1):
                    yield source.documents()

    def _collection(self, name: str, text: str) -> tuple[Collection, str]:
        """Return the collection ``name``, whose metadata is ``text``, and the file of its documents."""
        try:
            collection = read_old_metadata(collection_of(name, text), text)
        except ArchiveError as error:
            raise ArchiveError(f"{name + METADATA!r} is not valid metadata: {error.message}.") from error
        if not _is_valid_name(collection.name, collection.kind):
            raise ArchiveError(
                f"{name!r} holds {collection.name!r}, which is not a valid name of a collection."
            )
        file = (BUCKETS if collection.data_name.startswith(BUCKETS) else "") + name + DOCUMENTS
        if file not in self._sizes and collection.kind != "view":
            raise ArchiveError(f"{file!r} is missing, with the documents of {collection.name!r}.")
        size = self._sizes.get(file, 0)
        documents = size // _BYTES_OF_A_DOCUMENT
        return replace(collection, documents=documents, bytes=size), file

    def _texts(self, names: list[str]) -> dict[str, str]:
        """Return the metadata of each of ``names``; made from ``system.indexes`` if it has none.

        Like mongorestore, this passes over empty metadata.
        """
        alone = {name for name in names if not self._sizes.get(name + METADATA)}
        indexes = self._listed_indexes() if alone and _INDEXES in self._sizes else {}
        return {
            name: _as_metadata(indexes.get(name, [])) if name in alone else self._metadata(name)
            for name in names
        }

    def _listed_indexes(self) -> dict[str, list[dict[str, object]]]:
        """Return all indexes by collection, from the collection in which old servers kept them."""
        found: dict[str, list[dict[str, object]]] = {}
        for payload, _ in self._documents(_INDEXES):
            with _named_errors(_INDEXES):
                indexes = list(map(decode, split(payload)))
            for index in indexes:
                found.setdefault(str(index.get("ns")).partition(".")[2], []).append(index)
        return found

    def _metadata(self, name: str) -> str:
        text = bytearray()
        with self._files.open(name + METADATA) as stream:
            while (part := stream.read(1 << 16)) and len(text) <= _LARGEST_METADATA:
                text += part
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            raise ArchiveError(
                f"{name + METADATA!r} is not valid metadata: {shorten_error(error)}."
            ) from error


@contextmanager
def _named_errors(file: str) -> Iterator[None]:
    """Name ``file`` in the errors of its stream."""
    try:
        yield
    except ArchiveError as error:
        raise ArchiveError(error.message.replace("The archive", repr(file), 1)) from error


def _as_metadata(indexes: list[dict[str, object]]) -> str:
    return json_util.dumps({"indexes": indexes}, json_options=json_util.CANONICAL_JSON_OPTIONS)


def _is_valid_name(name: str, kind: str) -> bool:
    """Whether a server allows this name for this kind. It would refuse the name only during the swap."""
    if not is_copied(name) or (kind != "collection" and name.startswith("system.")):
        return False
    is_unicode = name.encode(errors="replace").decode() == name
    return is_unicode and name[:1] not in ("", ".") and not set("$\0") & set(name)
