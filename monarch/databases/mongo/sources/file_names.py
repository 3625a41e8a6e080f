"""The collections that files of mongodump belong to.

mongodump names the files of a collection after it. Until 2018 it did so literally. Since then it escapes the
characters that not every file system accepts, as ``caf%C3%A9s.bson``, and only from 100.0 on it writes the
``collectionName`` into the metadata. In between, the ``ns`` of the indexes is the only witness; servers from
4.4 on have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote_to_bytes

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.metadata import stated_names
from monarch.databases.transfer import FileSet
from monarch.system.streams import Stream

DOCUMENTS, METADATA = ".bson", ".metadata.json"
# A Mac adds files of this prefix to a zip, with what it knows of the others. No collection's name begins so.
_OF_MACS = "._"
_GZIPPED = ".gz"
# What Go's url.QueryEscape, which mongodump uses, can have written. A "+" is a space.
_ESCAPED = re.compile(r"(?:[A-Za-z0-9_.~+-]|%[0-9A-F]{2})*")


class FilesOfMongodump(FileSet):
    """``files`` with the suffixes of mongodump in lower case, which some file systems change.

    :raises ArchiveError: if two of them hold the same of one collection.
    """

    def __init__(self, files: FileSet) -> None:
        self._files = files
        self._names: dict[str, str] = {}
        first: dict[str, str] = {}
        for name in files.sizes():
            self._names[_lower_suffix(name)] = name
            packed = name.lower().endswith(_GZIPPED)
            plain = _lower_suffix(name[: -len(_GZIPPED)] if packed else name)
            if plain.endswith((DOCUMENTS, METADATA)):
                other = first.setdefault(plain, name)
                if other != name:
                    collection = plain.removesuffix(DOCUMENTS).removesuffix(METADATA)
                    raise _held_twice(collection, other, name)

    def sizes(self) -> dict[str, int]:
        sizes = self._files.sizes()
        return {name: sizes[original] for name, original in self._names.items()}

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        with self._files.open(self._names[name]) as stream:
            yield stream


def is_of_mac(name: str) -> bool:
    """Whether a Mac added the file of this name to a zip."""
    return name.startswith(_OF_MACS)


def collection_of(file: str, metadata: str) -> str:
    """Return the collection whose files are called ``file``, without an ending, and have this ``metadata``.

    :raises ArchiveError: if that is uncertain; its message is only the reason.
    """
    stated, of_indexes = stated_names(metadata)
    if stated is not None:
        return stated
    unescaped = _unescape(file)
    names = of_indexes & {file, unescaped}
    if len(names) == 2:
        raise ArchiveError(f"its indexes are those of {file!r} and of {unescaped!r}, so it may be either")
    if of_indexes:  # those of another collection are in a file that somebody has renamed
        return next(iter(names), file)
    return unescaped if _ESCAPED.fullmatch(file) else file


def require_one_file_each(files: Mapping[str, str]) -> None:
    """Check that no two of ``files``, each with its collection, belong to one collection.

    :raises ArchiveError: if two do, naming both.
    """
    first: dict[str, str] = {}
    for file, collection in files.items():
        other = first.setdefault(collection, file)
        if other != file:
            raise _held_twice(collection, other, file)


def _held_twice(collection: str, one: str, other: str) -> ArchiveError:
    return ArchiveError(f"It holds {collection!r} twice: in the files {one!r} and {other!r}.")


def _lower_suffix(name: str) -> str:
    for suffix in (DOCUMENTS, METADATA):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] + suffix
    return name


def _unescape(file: str) -> str:
    try:
        return unquote_to_bytes(file.replace("+", " ")).decode()
    except UnicodeError:  # what it says, or its own name on a disk, is not UTF-8
        return file
