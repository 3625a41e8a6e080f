"""What mongodump writes without monarch: archives, files of documents, and folders of such files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from monarch.databases.foreign import ForeignFile, ForeignFormats, ForeignSource
from monarch.databases.mongo.archive import MAGIC, ArchiveError
from monarch.databases.transfer import FileSet

if TYPE_CHECKING:
    from monarch.system.streams import Stream

_DOCUMENTS = ".bson"
_OF_FOLDERS = tuple(name + packing for name in (_DOCUMENTS, ".metadata.json") for packing in ("", ".gz"))


class MongodumpFormats(ForeignFormats):
    """The formats of mongodump. The modules that read them are imported when they are used."""

    tool = "mongodump"
    suffixes = (".archive", ".agz", _DOCUMENTS)

    def recognizes(self, head: bytes) -> bool:
        if not head.startswith(MAGIC):
            return False
        from monarch.databases.mongo.archive.survey import is_of_monarch

        return not is_of_monarch(head)

    def has_written(self, paths: Iterable[str]) -> bool:
        return any(path.lower().endswith(_OF_FOLDERS) for path in paths)

    def open_stream(self, stream: Stream, head: bytes, file: ForeignFile) -> ForeignSource:
        lower = file.name.lower()
        if not head and not file.bytes and not lower.endswith(_DOCUMENTS):
            raise ArchiveError("It is empty: it has 0 bytes.")
        plain = lower.removesuffix(".gz").removesuffix(".zst")
        if plain.endswith(_DOCUMENTS) and not head.startswith(MAGIC):
            from monarch.databases.mongo.sources.foreign.files import ForeignDocuments

            return ForeignDocuments(stream, file, file.name[: len(plain) - len(_DOCUMENTS)])
        from monarch.databases.mongo.sources.foreign.archive import ForeignMongoArchive

        return ForeignMongoArchive(stream, file)

    def open_folders(self, folders: Mapping[str, FileSet], file: ForeignFile) -> ForeignSource:
        from monarch.databases.mongo.sources.foreign.files import ForeignFolders

        return ForeignFolders(folders, file)

    def how_to_check(self, file: ForeignFile) -> str:
        from monarch.databases.mongo.sources.foreign.hints import check_hint

        return check_hint(file)
