"""Opening what a tool wrote, outside of any store: a file, a folder, or what comes through a pipe."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from monarch.backups.foreign.opening import open_folders, open_foreign, open_unpacked
from monarch.backups.foreign.packing import Whole, packing_of, read_head
from monarch.backups.names import MANIFEST
from monarch.databases import foreign_formats
from monarch.databases.foreign import ForeignFile, ForeignSource, as_argument
from monarch.databases.transfer import FileSet
from monarch.errors import DamagedError, UsageError
from monarch.stores.local.store import LocalStore
from monarch.system.streams import Stream

# The path that means standard input, and what that is called.
STDIN, STDIN_SHOWN = "-", "standard input"
# A dump has some files for each collection. A folder with more is another one, such as "/".
_MOST_FILES = 200_000
# How files begin that another program has to read first, what they are, and that program.
_AGE, _XZ = ("encrypted with age", "age -d -i KEY"), ("compressed with xz", "xz -dc")
_WRAPPED = {
    b"age-encryption.org/": _AGE,
    b"-----BEGIN AGE ENCRYPTED FILE-----": _AGE,
    b"\xfd7zXZ\0": _XZ,
    b"BZh": ("compressed with bzip2", "bzip2 -dc"),
    b"\x04\x22\x4d\x18": ("compressed with lz4", "lz4 -dc"),
}
_HEAD = 64


@dataclass(frozen=True)
class ForeignPath:
    """A ``path`` with what the tool of a ``kind`` of database wrote; `STDIN` is standard input."""

    path: str
    kind: str

    @property
    def tool(self) -> str:
        """The name of the tool."""
        return foreign_formats()[self.kind].tool

    @property
    def shown(self) -> str:
        """What it is called in messages."""
        return STDIN_SHOWN if self.path == STDIN else self.path

    def exists(self) -> bool:
        """Whether anything is there; standard input always is."""
        try:
            return self.path == STDIN or os.path.lexists(self.path)
        except ValueError:
            return False

    @property
    def is_stream(self) -> bool:
        """Whether it can be read only once, from its beginning."""
        return self.path == STDIN or stat.S_ISFIFO(self._status().st_mode)

    def written_at(self) -> datetime:
        """Return when it was written to, at the latest now: no dump is of a later time than its file."""
        now = datetime.now(UTC)
        if self.is_stream:
            return now
        status = self._status()
        times = [status.st_mtime]
        if stat.S_ISDIR(status.st_mode):
            files = [file for found in _walk(Path(self.path)).values() for file in found]
            times = [file.stat().st_mtime for file in files] or times
        return min(now, datetime.fromtimestamp(max(times), UTC))

    @contextmanager
    def open(self) -> Iterator[ForeignSource]:
        """Open it for as long as the context lasts.

        :raises UsageError: if it is not there, cannot be read, or is plainly something else.
        :raises DamagedError: now or while it is read, if it is damaged or something else.
        :raises Uncheckable: if monarch does not read its format.
        """
        if self.is_stream:
            with self._opened() as stream:
                yield self._open_stream(stream)
            return
        path = Path(self.path)
        if stat.S_ISDIR(self._status().st_mode):
            yield open_folders(_folders(path), path.resolve().name, self.kind)
            return
        self._require_foreign()
        # Its folder, not the name that is shown: "x" and "./x" are one file.
        with open_foreign(LocalStore(path.parent), path.name, self._status().st_size, self.kind) as source:
            yield source

    @contextmanager
    def _opened(self) -> Iterator[Stream]:
        if self.path == STDIN:
            if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
                raise UsageError(
                    "Nothing is passed on to standard input.", "Pipe a dump into it, or name a file."
                )
            yield cast(Stream, sys.stdin.buffer)
            return
        with Path(self.path).open("rb") as file:
            yield cast(Stream, file)

    def _status(self) -> os.stat_result:
        if not self.path:  # for Python, that is the current folder
            raise UsageError("The path is empty.", f"Name a file or a folder that {self.tool} wrote.")
        try:
            return Path(self.path).stat()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it has a character that no path has"
            raise UsageError(
                f"{self.path!r} cannot be read: {why}.", f"Name a file or a folder that {self.tool} wrote."
            ) from None

    def _require_foreign(self) -> None:
        """Check that it is a file, and neither a backup of monarch nor plainly another format."""
        if not stat.S_ISREG(self._status().st_mode):
            raise UsageError(
                f"{self.path!r} is neither a file nor a folder.",
                f"Name a file or a folder that {self.tool} wrote.",
            )
        try:
            with Path(self.path).open("rb") as file:
                self._refuse_wrapped(file.read(_HEAD))
        except OSError as error:
            raise UsageError(
                f"{self.path!r} cannot be read: {error.strerror}.", "Make it a file that you may read."
            ) from None
        with suppress(OSError):
            if Path(self.path + MANIFEST).is_file():
                raise UsageError(
                    f"{self.path!r} is a backup of monarch: its manifest is beside it.",
                    "Copy both files into the place of the backups, under their names.",
                )

    def _open_stream(self, stream: Stream) -> ForeignSource:
        head = read_head(stream)
        self._refuse_wrapped(head)
        packing = packing_of(head)
        if packing == "zip":
            raise UsageError(
                "A zip cannot be read through a pipe: its index is at its end.",
                "Save it as a file, and name that.",
            )
        return open_unpacked(ForeignFile(self.shown, packing), Whole(head, stream), self.kind)

    def _refuse_wrapped(self, head: bytes) -> None:
        for beginning, (wrapped, unwrap) in _WRAPPED.items():
            if head.startswith(beginning):
                raise UsageError(
                    f"{self.shown!r} is {wrapped}, which monarch does not read here.",
                    f"Use a pipe: {unwrap} {as_argument(self.path)} | monarch adopt_backup -",
                )


def _folders(root: Path) -> dict[str, FileSet]:
    """Return the files below ``root`` by the paths of their folders, as in a zip of it."""
    return {path: _Files(files) for path, files in _walk(root).items()}


def _walk(root: Path) -> Mapping[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    count = 0
    try:
        for folder, below, names in os.walk(root, onerror=_refuse):
            path = Path(folder)
            for name in below:
                _require(path / name, stat.S_ISDIR, "a folder")
            files = [path / name for name in sorted(names)]
            count += len(files)
            if count > _MOST_FILES:
                raise UsageError(
                    f"{str(root)!r} holds over {_MOST_FILES:,} files: that is no dump.",
                    "Name the folder of the dump.",
                )
            for file in files:
                _require(file, stat.S_ISREG, "a file")
            if files:
                found["/".join(path.relative_to(root).parts)] = files
    except OSError as error:
        raise UsageError(
            f"{str(error.filename or root)!r} cannot be read: {error.strerror}.",
            "Make it a folder whose files you may read.",
        ) from None
    return found


def _require(path: Path, is_so: Callable[[int], bool], what: str) -> None:
    """Check the type of what is at ``path``: through a link, anything of this machine might get in."""
    if not is_so(path.lstat().st_mode):
        raise DamagedError(
            f"{str(path)!r} is a link or something else, which no dump holds.",
            f"Replace it by {what}, or remove it.",
        )


def _refuse(error: OSError) -> None:
    raise error


class _Files(FileSet):
    """Files of one folder of the disk."""

    def __init__(self, files: list[Path]) -> None:
        self._files = {file.name: file for file in files}

    def sizes(self) -> dict[str, int]:
        return {name: file.stat().st_size for name, file in self._files.items()}

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        with LocalStore(self._files[name].parent).open(name) as stream:
            yield stream
