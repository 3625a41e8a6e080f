"""Zips of folders that a tool of the database wrote. Those of one folder are the backups of monarch 0.1.

A zip may come from anywhere, so dangerous ones are refused before any file is read: names that lead out of
the zip, links, and bombs (a few bytes that decompress to very many). Nothing is ever written to the disk.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import IO, Any, cast

from monarch.databases.transfer import FileSet
from monarch.errors import DamagedError
from monarch.stores.base import Store
from monarch.stores.seekable import Seekable
from monarch.system.streams import Stream

_BUFFER = 1 << 18
# Real documents never compress by this factor. Below the second number of bytes any factor is harmless.
_LARGEST_RATIO, _SMALL = 300, 64 << 20
# All that the Python of 0.1 could write. For other methods zipfile decompresses whole blocks at once: a few
# bytes of bzip2 may be gigabytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DRIVE = re.compile("[A-Za-z]:")
# The end record of a zip: its signature, its greatest length, and the greatest count of members it can hold.
_END, _LONGEST_END, _MANY = b"PK\5\6", 22 + 0xFFFF, 0xFFFF
_UTF_8 = 0x800
# What zipfile raises for bytes that are not a zip.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


class SeveralFolders(DamagedError):
    """A zip with files in several ``folders``, which monarch 0.1 did not write."""

    def __init__(self, folders: Mapping[str, FileSet]) -> None:
        super().__init__("The files in its zip are in several folders, not in one.")
        self.folders = folders


class ZippedFolders:
    """The files in the zip ``name`` of ``store``: a set for each of its ``folders``, by path.

    :raises DamagedError: if it is not a zip, is damaged, or is dangerous.
    """

    def __init__(self, store: Store, name: str, size: int) -> None:
        file = io.BufferedReader(cast(Any, Seekable(store, name, size)), _BUFFER)
        try:
            self._zip = zipfile.ZipFile(file)
            count = _count(file, size)
        except _DAMAGE as error:
            raise DamagedError(f"It is not a zip file, or a damaged one ({error}).") from error
        members = self._zip.infolist()
        # A damaged member may hide those after it.
        if count != min(len(members), _MANY):
            raise DamagedError("It is a damaged zip file: its end gives another number of members.")
        for member in members:
            _refuse_dangerous(member)
        files = [member for member in members if not member.filename.endswith("/")]
        _refuse_bomb(files, size)
        self.folders: dict[str, FileSet] = {
            path: _Folder(self._zip, found) for path, found in _by_folder(files).items()
        }
        for member in members:
            if member.filename.endswith("/"):
                self._require_folder(member)

    def _require_folder(self, member: zipfile.ZipInfo) -> None:
        """Check that its second header, before its contents, also marks it as a folder."""
        try:
            self._zip.open(member).close()
        except _DAMAGE as error:
            raise _damaged(member.filename, error) from error
        if member.file_size:
            raise DamagedError(f"The folder {member.filename!r} in its zip has contents, like a file.")


class _Folder(FileSet):
    """The files of one folder, by their names without folders."""

    def __init__(self, zipped: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
        self._zip = zipped
        self._members = members

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


class ZippedFiles(FileSet):
    """The files in the zip ``name`` of ``store``, at its root or in its only folder.

    :raises SeveralFolders: if it has more than one folder with files.
    :raises DamagedError: as `ZippedFolders` does.
    """

    def __init__(self, store: Store, name: str, size: int) -> None:
        folders = ZippedFolders(store, name, size).folders
        if len(folders) > 1:
            raise SeveralFolders(folders)
        self._files = next(iter(folders.values()), None)

    def sizes(self) -> dict[str, int]:
        return self._files.sizes() if self._files else {}

    def open(self, name: str) -> AbstractContextManager[Stream]:
        assert self._files is not None
        return self._files.open(name)


class _Member(Stream):
    """A file of the zip. Its checksum and its ``size`` are checked at its end."""

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
    reason = " ".join(str(error).split()) or type(error).__name__
    return DamagedError(f"The file {name!r} in its zip is damaged ({reason}).")


def _count(file: io.BufferedReader, size: int) -> int:
    """Return the number of members by the end of the zip; `_MANY` if there are at least that many."""
    file.seek(max(0, size - _LONGEST_END))
    end = file.read()
    (count,) = struct.unpack_from("<H", end, end.rindex(_END) + 10)
    return int(count)


def _refuse_dangerous(member: zipfile.ZipInfo) -> None:
    wrong = None
    if not member.filename:
        wrong = "has no name"
    elif _leads_out(member.filename):
        wrong = "has a name that leads out of the zip"
    elif not _is_plain(member):
        wrong = "is not a file, but a link or something else"
    elif member.flag_bits & 0x1:
        wrong = "is encrypted"
    elif member.compress_type not in _METHODS:
        wrong = f"has an unknown compression ({member.compress_type})"
    if wrong:
        raise DamagedError(f"monarch refuses it: {member.filename!r} in its zip {wrong}.")


def _leads_out(name: str) -> bool:
    first, *rest = parts = re.split(r"[/\\]", name)
    return ".." in parts or bool(rest and (not first or _DRIVE.fullmatch(first)))


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Whether its type, which not every zip has, is what its name says: a file or a folder."""
    kind = stat.S_IFDIR if member.filename.endswith("/") else stat.S_IFREG
    return stat.S_IFMT(member.external_attr >> 16) in (0, kind)


def _refuse_bomb(members: list[zipfile.ZipInfo], size: int) -> None:
    total = sum(member.file_size for member in members)
    positions = sorted((member.header_offset, member.compress_size) for member in members)
    overlap = any(offset + packed > following for (offset, packed), (following, _) in pairwise(positions))
    if overlap or (total > _SMALL and total > size * _LARGEST_RATIO):
        raise DamagedError(
            f"monarch refuses it: {size:,} bytes of zip would become {total:,}, as in a zip bomb."
        )


def _by_folder(members: list[zipfile.ZipInfo]) -> dict[str, dict[str, zipfile.ZipInfo]]:
    found: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for member in members:
        *folders, name = _name(member).split("/")
        folder = "/".join(part for part in folders if part not in ("", "."))
        if found.setdefault(folder, {}).setdefault(name, member) is not member:
            raise DamagedError("Its zip has two files with the same name.")
    return found


def _name(member: zipfile.ZipInfo) -> str:
    """Return the file's original name. Python 2 wrote UTF-8 without the flag; zipfile reads that as cp437."""
    if member.flag_bits & _UTF_8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except UnicodeError:
        return member.filename
