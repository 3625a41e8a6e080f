"""Files of mongodump without a manifest of monarch: the folders of a whole dump, or one file of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from monarch.databases.foreign import AdoptedDatabase, ForeignFile, ForeignSource
from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.sources.file_names import DOCUMENTS, METADATA, FilesOfMongodump, is_of_mac
from monarch.databases.mongo.sources.folder import MongoFolderSource
from monarch.databases.mongo.sources.foreign.adopted import AdoptedSource
from monarch.databases.mongo.sources.foreign.hints import (
    OF_SERVERS,
    OPLOG,
    choose_database,
    documents_only,
    only_database,
)
from monarch.databases.transfer import ArchiveSource, CopiedCollection, FileSet
from monarch.errors import UsageError
from monarch.progress import Progress
from monarch.system.streams import Stream

_CHUNK = 1 << 20
_OPLOG = "oplog.bson"
_ENDINGS = (DOCUMENTS, METADATA)


class ForeignFolders(ForeignSource):
    """The ``folders`` in ``file``, by their paths: one for each database, and files that are in none.

    :raises ArchiveError: if there is no file of mongodump, or one where mongodump writes none.
    """

    def __init__(self, folders: Mapping[str, FileSet], file: ForeignFile) -> None:
        self._folders = {path: FilesOfMongodump(files) for path, files in folders.items()}
        self._file = file
        unnamed = file.name.partition(".")[0]
        paths = [path for path in self._folders if self._is_database(path)]
        self._databases = {path: path.rpartition("/")[2] or unnamed for path in paths}
        if not self._databases:
            raise ArchiveError("It holds no .bson files of mongodump.")
        for path in self._folders.keys() - self._databases.keys():
            for name in self._folders[path].sizes():
                if _is_of_mongodump(name) and name != _OPLOG:
                    raise ArchiveError(
                        f"It holds {name!r} beside folders, where mongodump writes no such file."
                    )

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        found: list[CopiedCollection] = []
        for path, files in self._folders.items():
            if path not in self._databases:
                _read_bytes(files)
                continue
            for one in MongoFolderSource(files).read_through(progress):
                name = f"{self._databases[path]}.{one.name}" if len(self._databases) > 1 else one.name
                found.append(replace(one, name=name))
        return tuple(sorted(found, key=lambda one: one.name))

    def restorable(self) -> ArchiveSource:
        names = list(self._databases.values())
        oplogs = [path for path, files in self._folders.items() if _OPLOG in files.sizes()]
        if oplogs:
            names.append(OPLOG)
        chosen = only_database(names, self._file, oplogs[0] if oplogs else self._folder_of_dump())
        return self._source_of(chosen)

    def _source_of(self, chosen: str) -> MongoFolderSource:
        paths = [path for path, name in self._databases.items() if name == chosen]
        if len(paths) > 1:
            raise UsageError(
                f"{self._file.name!r} holds the database {chosen!r} in {len(paths)} folders.",
                "Unpack it, and restore one of the folders with mongorestore.",
            )
        return MongoFolderSource(self._folders[paths[0]])

    def adoptable(self, database: str | None) -> AdoptedDatabase:
        names = list(self._databases.values())
        names += [OPLOG for files in self._folders.values() if _OPLOG in files.sizes()]
        chosen = choose_database(names, database, self._file)
        source = AdoptedSource(self._source_of(chosen), chosen, "", 1)
        return AdoptedDatabase(chosen, source, "mongodump")

    def _folder_of_dump(self) -> str:
        """Return the path of the folder that has that of the first database."""
        found = [(name, path) for path, name in self._databases.items() if name not in OF_SERVERS]
        return min(found)[1].rpartition("/")[0] if found else ""

    def _is_database(self, path: str) -> bool:
        """Whether it has documents and no folders; the folder of a whole dump may have an oplog."""
        beginning = f"{path}/" if path else ""
        is_above = any(
            other.startswith(beginning) and not all(map(is_of_mac, files.sizes()))
            for other, files in self._folders.items()
            if other != path
        )
        return not is_above and any(map(_is_of_mongodump, self._folders[path].sizes()))


class ForeignDocuments(ForeignSource):
    """The documents of ``collection`` in ``stream``, which is ``file`` unpacked."""

    def __init__(self, stream: Stream, file: ForeignFile, collection: str) -> None:
        self._stream = stream
        self._file = file
        self._collection = collection

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        files = _OneFile(f"{self._collection}.bson", self._file.bytes, self._stream)
        return MongoFolderSource(files).read_through(progress)

    def restorable(self) -> ArchiveSource:
        raise documents_only(self._file, self._collection)

    def adoptable(self, database: str | None) -> AdoptedDatabase:
        raise documents_only(self._file, self._collection)


class _OneFile(FileSet):
    def __init__(self, name: str, size: int, stream: Stream) -> None:
        self._name = name
        self._size = size
        self._stream = stream

    def sizes(self) -> dict[str, int]:
        return {self._name: self._size}

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        yield self._stream


def _is_of_mongodump(name: str) -> bool:
    return name.endswith(_ENDINGS) and not is_of_mac(name)


def _read_bytes(files: FileSet) -> None:
    """Read all of ``files``, for their checksums."""
    for name in files.sizes():
        with files.open(name) as stream:
            while stream.read(_CHUNK):
                pass
