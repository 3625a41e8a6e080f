"""The backups of monarch 0.1: a zip of the files that mongodump wrote into a folder.

A zip may come from anywhere, so what could harm is refused before anything is read: names that lead out of
it, links, and a few bytes that swell to many. Nothing of it is ever written to the disk.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import IO, Any, cast

from monarch.databases.base import Files
from monarch.errors import DamagedError
from monarch.stores.base import Store
from monarch.stores.seekable import Seekable
from monarch.streams import Stream

_BUFFER = 1 << 18
# No documents that people keep are packed so tightly.
_MOST_TIMES, _SMALL = 300, 64 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class ZippedFiles(Files):
    """The files in a zip that lies in ``store``, at the zip's root or in its only folder.

    :raises DamagedError: if it is no zip, is damaged, or might do harm.
    """

    def __init__(self, store: Store, name: str, size: int) -> None:
        file = io.BufferedReader(cast(Any, Seekable(store, name, size)), _BUFFER)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
            raise DamagedError(f"It is no zip file, or a damaged one ({error}).") from error
        members = [member for member in self._zip.infolist() if not member.is_dir()]
        for member in members:
            _refuse_harm(member)
        _refuse_bomb(members, size)
        self._members = _by_name(members)

    def sizes(self) -> dict[str, int]:
        return {name: member.file_size for name, member in self._members.items()}

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        member = self._members[name]
        try:
            file = self._zip.open(member)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise _damaged(name, error) from error
        with file:
            yield _Member(file, name)


class _Member(Stream):
    """A file of the zip, whose checksum has been compared once its end has been read."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise _damaged(self._name, error) from error


def _damaged(name: str, error: Exception) -> DamagedError:
    return DamagedError(f"The file {name!r} in its zip is damaged ({error}).")


def _refuse_harm(member: zipfile.ZipInfo) -> None:
    wrong = None
    parts = member.filename.replace("\\", "/").split("/")
    if member.filename[:1] in ("/", "\\") or ":" in parts[0] or ".." in parts:
        wrong = "has a name that leads out of the zip"
    elif member.external_attr >> 16 and not stat.S_ISREG(member.external_attr >> 16 | _kind(member)):
        wrong = "is a link, or another thing that is no file"
    elif member.flag_bits & 0x1:
        wrong = "is encrypted"
    elif member.compress_type not in _METHODS:
        wrong = f"is compressed in a way that is not known ({member.compress_type})"
    if wrong:
        raise DamagedError(f"It is refused: {member.filename!r} in its zip {wrong}.")


def _kind(member: zipfile.ZipInfo) -> int:
    """What is to be added where only the rights were written down, and not what kind of file it is."""
    return 0 if stat.S_IFMT(member.external_attr >> 16) else stat.S_IFREG


def _refuse_bomb(members: list[zipfile.ZipInfo], size: int) -> None:
    total = sum(member.file_size for member in members)
    places = sorted((member.header_offset, member.compress_size) for member in members)
    overlap = any(offset + packed > following for (offset, packed), (following, _) in pairwise(places))
    if overlap or (total > _SMALL and total > size * _MOST_TIMES):
        raise DamagedError(
            f"It is refused: {size:,} bytes of zip would become {total:,}. That looks like a bomb, no backup."
        )


def _by_name(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    folders = {member.filename.rpartition("/")[0] for member in members}
    if len(folders) > 1:
        raise DamagedError("Its files do not lie in one folder of the zip, but in several.")
    found = {member.filename.rpartition("/")[2]: member for member in members}
    if len(found) != len(members):
        raise DamagedError("Its zip has two files of one name.")
    return found
