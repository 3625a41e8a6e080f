"""Files of mongodump without a manifest of monarch: the folders of a whole dump, or one file of documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from monarch.databases.foreign import AdoptedDatabase, ForeignFile, ForeignSource
from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.survey import server_version, tool_version
from monarch.databases.mongo.sources.file_names import DOCUMENTS, METADATA, FilesOfMongodump, is_of_mac
from monarch.databases.mongo.sources.folder import MongoFolderSource
from monarch.databases.mongo.sources.foreign.adopted import AdoptedSource
from monarch.databases.mongo.sources.foreign.hints import (
    OF_SERVERS,
    OPLOG,
    choose_database,
    documents_only,
    not_taken,
    only_database,
)
from monarch.databases.transfer import ArchiveSource, CopiedCollection, FileSet
from monarch.errors import UsageError
from monarch.progress import Progress
from monarch.system.streams import Stream

_CHUNK = 1 << 20
_OPLOG = "oplog.bson"
# mongodump from 100.12 on writes it beside the databases, or into the only one.
_PRELUDE, _MOST_PRELUDE = "prelude.json", 10_000
# What reading it raises if it is something else.
_NOT_STATED = (ValueError, AttributeError, RecursionError)
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
        return MongoFolderSource(self._folders[self._path_of(chosen)])

    def _path_of(self, chosen: str) -> str:
        paths = [path for path, name in self._databases.items() if name == chosen]
        if len(paths) > 1:
            raise UsageError(
                f"{self._file.name!r} holds the database {chosen!r} in {len(paths)} folders.",
                "Unpack it, and restore one of the folders with mongorestore.",
            )
        return paths[0]

    def adoptable(self, database: str | None, *, without_oplog: bool = False) -> AdoptedDatabase:
        if database is not None and list(self._databases) == [""]:
            # Its name so far is only that of the folder or the zip, which somebody may have renamed.
            self._databases[""] = database
        names = list(self._databases.values())
        names += [OPLOG for files in self._folders.values() if _OPLOG in files.sizes()]
        chosen = choose_database(names, database, self._file, without_oplog=without_oplog)
        path = self._path_of(chosen)
        server, tool = self._versions(path)
        source = MongoFolderSource(self._folders[path])
        remarks = (*not_taken(names, chosen), *source.remarks)
        adopted = AdoptedSource(source, chosen, server, 1, remarks)
        return AdoptedDatabase(chosen, adopted, f"mongodump {tool}".strip())

    def _versions(self, path: str) -> tuple[str, str]:
        """Return those of the server and of mongodump, which newer ones write; empty if they are unknown."""
        for folder in (path, path.rpartition("/")[0]):
            files = self._folders.get(folder)
            if files is not None and files.sizes().get(_PRELUDE, _MOST_PRELUDE + 1) <= _MOST_PRELUDE:
                with suppress(*_NOT_STATED), files.open(_PRELUDE) as stream:
                    stated = json.loads(stream.read(_MOST_PRELUDE))
                    return server_version(stated.get("ServerVersion")), tool_version(
                        stated.get("ToolVersion")
                    )
        return "", ""

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

    def adoptable(self, database: str | None, *, without_oplog: bool = False) -> AdoptedDatabase:
        raise UsageError(
            f"{self._file.name!r} holds the documents of one collection, not a database.",
            "Name the folder with all of its files: monarch adopt_backup FOLDER",
        )


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
