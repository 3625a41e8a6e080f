"""The backups of monarch 0.1: a zip of the files that a tool of the database wrote into a folder.

A zip may come from anywhere, so what could harm is refused before anything is read: names that lead out of
it, links, and a few bytes that swell to many. Nothing of it is ever written to the disk.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import IO, Any, cast

from monarch.databases.transfer import FileSet
from monarch.errors import DamagedError
from monarch.stores.base import Store
from monarch.stores.seekable import Seekable
from monarch.system.streams import Stream

_BUFFER = 1 << 18
# No documents that people keep are packed so tightly.
_MOST_TIMES, _SMALL = 300, 64 << 20
# All that the Python of 0.1 could write. Of the others zipfile unpacks at once what it reads: of bzip2, some
# bytes may be gigabytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DRIVE = re.compile("[A-Za-z]:")
# What ends a zip: this, and ten bytes behind it how many members there are, as far as two bytes can tell.
_END, _LONGEST_END, _MANY = b"PK\5\6", 22 + 0xFFFF, 0xFFFF
_UTF_8 = 0x800
# What zipfile raises of bytes that are none of a zip.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


class ZippedFiles(FileSet):
    """The files in a zip that lies in ``store``, at the zip's root or in its only folder.

    :raises DamagedError: if it is no zip, is damaged, or might do harm.
    """

    def __init__(self, store: Store, name: str, size: int) -> None:
        file = io.BufferedReader(cast(Any, Seekable(store, name, size)), _BUFFER)
        try:
            self._zip = zipfile.ZipFile(file)
            count = _count(file, size)
        except _DAMAGE as error:
            raise DamagedError(f"It is no zip file, or a damaged one ({error}).") from error
        members = self._zip.infolist()
        # A damaged one may have swallowed those that come behind it.
        if count != min(len(members), _MANY):
            raise DamagedError("It is a damaged zip file: it has not as many members as it says.")
        for member in members:
            _refuse_harm(member)
        files = [member for member in members if not member.filename.endswith("/")]
        _refuse_bomb(files, size)
        self._members = _by_name(files)
        for member in members:
            if member.filename.endswith("/"):
                self._require_folder(member)

    def sizes(self) -> dict[str, int]:
        return {name: member.file_size for name, member in self._members.items()}

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        member = self._members[name]
        try:
            file = self._zip.open(member)
        except _DAMAGE as error:
            raise _damaged(name, error) from error
        with file:
            yield _Member(file, name, member.file_size)

    def _require_folder(self, member: zipfile.ZipInfo) -> None:
        """See that it is one by its other name too, which lies where its bytes would be."""
        try:
            self._zip.open(member).close()
        except _DAMAGE as error:
            raise _damaged(member.filename, error) from error
        if member.file_size:
            raise DamagedError(f"The folder {member.filename!r} in its zip has bytes, as only files have.")


class _Member(Stream):
    """A file of the zip, whose checksum and ``size`` have been compared once its end has been read."""

    def __init__(self, file: IO[bytes], name: str, size: int) -> None:
        self._file = file
        self._name = name
        self._left = size

    def read(self, size: int, /) -> bytes:
        try:
            data = self._file.read(size)
        except _DAMAGE as error:
            raise _damaged(self._name, error) from error
        self._left -= len(data)
        if not data and self._left:
            raise _damaged(self._name, EOFError(f"{self._left:,} bytes are missing"))
        return data


def _damaged(name: str, error: Exception) -> DamagedError:
    what = " ".join(str(error).split()) or type(error).__name__
    return DamagedError(f"The file {name!r} in its zip is damaged ({what}).")


def _count(file: io.BufferedReader, size: int) -> int:
    """How many members the end of the zip says it has; `_MANY` if there are more."""
    file.seek(max(0, size - _LONGEST_END))
    end = file.read()
    (count,) = struct.unpack_from("<H", end, end.rindex(_END) + 10)
    return int(count)


def _refuse_harm(member: zipfile.ZipInfo) -> None:
    wrong = None
    if not member.filename:
        wrong = "has no name"
    elif _leads_out(member.filename):
        wrong = "has a name that leads out of the zip"
    elif not _is_plain(member):
        wrong = "is a link, or another thing that is no file"
    elif member.flag_bits & 0x1:
        wrong = "is encrypted"
    elif member.compress_type not in _METHODS:
        wrong = f"is compressed in a way that is not known ({member.compress_type})"
    if wrong:
        raise DamagedError(f"It is refused: {member.filename!r} in its zip {wrong}.")


def _leads_out(name: str) -> bool:
    first, *rest = parts = re.split(r"[/\\]", name)
    return ".." in parts or bool(rest and (not first or _DRIVE.fullmatch(first)))


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Whether it is what its name says, a file or a folder. Many a zip says no more than that."""
    kind = stat.S_IFDIR if member.filename.endswith("/") else stat.S_IFREG
    return stat.S_IFMT(member.external_attr >> 16) in (0, kind)


def _refuse_bomb(members: list[zipfile.ZipInfo], size: int) -> None:
    total = sum(member.file_size for member in members)
    places = sorted((member.header_offset, member.compress_size) for member in members)
    overlap = any(offset + packed > following for (offset, packed), (following, _) in pairwise(places))
    if overlap or (total > _SMALL and total > size * _MOST_TIMES):
        raise DamagedError(
            f"It is refused: {size:,} bytes of zip would become {total:,}. That looks like a bomb, no backup."
        )


def _by_name(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    names = [_name(member) for member in members]
    if len({name.rpartition("/")[0] for name in names}) > 1:
        raise DamagedError("Its files do not lie in one folder of the zip, but in several.")
    found = {name.rpartition("/")[2]: member for name, member in zip(names, members, strict=True)}
    if len(found) != len(members):
        raise DamagedError("Its zip has two files of one name.")
    return found


def _name(member: zipfile.ZipInfo) -> str:
    """How the file was called. Python 2 wrote UTF-8 without saying so, which is read as another code."""
    if member.flag_bits & _UTF_8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except UnicodeError:
        return member.filename
