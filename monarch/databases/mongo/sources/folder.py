"""A database as the files hold it that mongodump writes into a folder.

``<collection>.bson`` has its documents, one behind another; ``<collection>.metadata.json`` its options and
indexes, in the Extended JSON of its time. A view has no documents, and before 2.2 there was no metadata, but
``system.indexes.bson``. ``system.*`` are the server's own, but for ``system.js`` and the buckets of a time
series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from bson import json_util

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.metadata import collection_name, read_metadata, shorten_error
from monarch.databases.mongo.archive.prelude import decode
from monarch.databases.mongo.archive.source import CHUNK, ArchiveInput
from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.catalog.old_options import modern_indexes, modern_options, unwrapped
from monarch.databases.mongo.catalog.read import is_copied
from monarch.databases.mongo.sources.archive import read_through, refuse_series_as_documents
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.mongo.stream.batches import Batch, End, Piece, split
from monarch.databases.transfer import ArchiveSource, CopiedCollection, FileSet
from monarch.progress import Progress

_DOCUMENTS, _METADATA = ".bson", ".metadata.json"
_INDEXES = "system.indexes" + _DOCUMENTS
_LARGEST_METADATA = 64 << 20
# A guess, for the progress alone.
_BYTES_OF_A_DOCUMENT = 200


class MongoFolderSource(MongoSource, ArchiveSource):
    """What ``files`` hold, whose names are those that mongodump gives."""

    deed = "restoring"

    def __init__(self, files: FileSet) -> None:
        self._files = files
        self._sizes = files.sizes()
        names = {
            name.removesuffix(end)
            for end in (_METADATA, _DOCUMENTS)
            for name in self._sizes
            if name.endswith(end)
        }
        if not names:
            raise ArchiveError("It holds no files of mongodump's, whose names end in .bson.")
        texts = self._texts([name for name in sorted(names) if is_copied(name)])
        found = [self._collection(name, text) for name, text in texts.items()]
        self.collections = tuple(sorted((one for one, _ in found), key=lambda one: one.name))
        if len({one.name for one in self.collections}) != len(self.collections):
            raise ArchiveError("It holds two collections of one name.")
        self._sources = {one.data_name: file for one, file in found if one.kind != "view"}
        read = {*self._sources.values(), *(name + _METADATA for name in texts)}
        self._left_out = [name for name in self._sizes if name not in read]
        for name in self._left_out:
            if name.startswith(BUCKETS):
                raise ArchiveError(f"{name!r} is of a time series of which nothing else is there.")

    def take_series_as_documents(self) -> None:
        refuse_series_as_documents(self.collections)

    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        @contextmanager
        def reading() -> Iterator[Iterator[Piece]]:
            yield self._read_files()

        return reading()

    def check(self) -> None:
        """Each file has been read to its end, with its checksum. Those that a damaged name hid, too."""
        for name in self._left_out:
            with self._files.open(name) as stream:
                while stream.read(CHUNK):
                    pass

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        return read_through(self, progress)

    def _read_files(self) -> Iterator[Piece]:
        for name, file in self._sources.items():
            for payload, count in self._documents(file):
                yield Batch(name, payload, count)
            yield End(name)

    def _documents(self, file: str) -> Iterator[tuple[bytes, int]]:
        """What `ArchiveInput.documents` gives of it, to its end."""
        with self._files.open(file) as stream:
            source = ArchiveInput(stream)
            with _naming(file):
                while source.fill(1):
                    yield source.documents()

    def _collection(self, name: str, text: str) -> tuple[Collection, str]:
        """What is called so among the files, of which ``text`` tells, and the file of its documents."""
        try:
            collection = read_metadata(collection_name(text) or name, text, None)
            options, indexes = dict(collection.options), list(collection.indexes)
            if "$numberInt" not in text:  # as the second version writes every number, such as an index has
                options, indexes = unwrapped(options), unwrapped(indexes)
            options = modern_options(options)
            if collection.kind == "timeseries" and not isinstance(options.get("timeseries"), dict):
                raise ArchiveError("a time series without its fields")
            modern = modern_indexes(indexes, options) if collection.kind != "view" else ()
        except Exception as error:  # of what looks like a value of Extended JSON, json_util raises all kinds
            why = error.message if isinstance(error, ArchiveError) else shorten_error(error)
            raise ArchiveError(f"{name + _METADATA!r} says nothing sensible: {why}.") from error
        if not _is_possible(collection.name, collection.kind):
            raise ArchiveError(f"{name!r} holds {collection.name!r}, and no collection can be called so.")
        file = (BUCKETS if collection.data_name.startswith(BUCKETS) else "") + name + _DOCUMENTS
        if file not in self._sizes and collection.kind != "view":
            raise ArchiveError(f"{file!r} is missing, with the documents of {collection.name!r}.")
        size = self._sizes.get(file, 0)
        documents = size // _BYTES_OF_A_DOCUMENT
        return replace(collection, options=options, indexes=modern, documents=documents, bytes=size), file

    def _texts(self, names: list[str]) -> dict[str, str]:
        """What the metadata of each of ``names`` says, or would say if there were some."""
        alone = {name for name in names if name + _METADATA not in self._sizes}
        indexes = self._listed_indexes() if alone and _INDEXES in self._sizes else {}
        return {
            name: _as_metadata(indexes.get(name, [])) if name in alone else self._metadata(name)
            for name in names
        }

    def _listed_indexes(self) -> dict[str, list[dict[str, object]]]:
        """All indexes by their collections, as old servers kept them in a collection of their own."""
        found: dict[str, list[dict[str, object]]] = {}
        for payload, _ in self._documents(_INDEXES):
            with _naming(_INDEXES):
                indexes = list(map(decode, split(payload)))
            for index in indexes:
                found.setdefault(str(index.get("ns")).partition(".")[2], []).append(index)
        return found

    def _metadata(self, name: str) -> str:
        text = bytearray()
        with self._files.open(name + _METADATA) as stream:
            while (part := stream.read(1 << 16)) and len(text) <= _LARGEST_METADATA:
                text += part
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            raise ArchiveError(
                f"{name + _METADATA!r} says nothing sensible: {shorten_error(error)}."
            ) from error


@contextmanager
def _naming(file: str) -> Iterator[None]:
    """Let what is wrong with a stream of documents be said of ``file``."""
    try:
        yield
    except ArchiveError as error:
        raise ArchiveError(error.message.replace("The archive", repr(file), 1)) from error


def _as_metadata(indexes: list[dict[str, object]]) -> str:
    return json_util.dumps({"indexes": indexes}, json_options=json_util.CANONICAL_JSON_OPTIONS)


def _is_possible(name: str, kind: str) -> bool:
    """Whether something of that kind can be called so, which a server would say in the middle of a swap."""
    if not is_copied(name) or (kind != "collection" and name.startswith("system.")):
        return False
    sayable = name.encode(errors="replace").decode() == name
    return sayable and name[:1] not in ("", ".") and not set("$\0") & set(name)
