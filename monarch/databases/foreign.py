"""The contract of foreign archives: files that the tools of a kind of database wrote, without monarch.

No manifest describes them, so nothing tells whether they are complete: a tool that was interrupted may have
closed its file properly. This part of the contract is optional, like transfers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import ClassVar

from monarch.databases.transfer import ArchiveSource, CopiedCollection, FileSet, LiveSource
from monarch.progress import Progress
from monarch.system.streams import Stream


@dataclass(frozen=True)
class ForeignFile:
    """The file ``name`` in a store. ``packing`` is "gz", "zst", "zip", "tar" or, of none of these, empty.

    ``bytes`` is an estimate of its size when it is unpacked. ``members`` are the names of the files in it if
    it is a zip, of the first ones if it is a tar.
    """

    name: str
    packing: str
    bytes: int = 0
    members: tuple[str, ...] = ()


def as_argument(name: str) -> str:
    """Return ``name`` as the last argument of a command of monarch in a hint, quoted for a shell."""
    return f"-- {quote(name)}" if name.startswith("-") else quote(name)


@dataclass(frozen=True)
class AdoptedDatabase:
    """The ``database`` of a foreign archive as the ``source`` of a backup.

    ``tool`` is the program that wrote it, with its version if that is known, for people.
    """

    database: str
    source: LiveSource
    tool: str


class ForeignSource(ABC):
    """What a foreign archive holds. It is read once, by one of its methods."""

    @abstractmethod
    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        """Read all of it, and return its collections; of several databases, with their databases.

        :raises DamagedError: if anything in it is not as it was written.
        """

    @abstractmethod
    def restorable(self) -> ArchiveSource:
        """Return what it holds of one database, without what belongs to the server.

        :raises UsageError: if it does not hold exactly one, with a hint how to restore it without monarch.
        :raises DamagedError: if it is damaged, or describes what no database can have.
        """

    @abstractmethod
    def adoptable(self, database: str | None, *, without_oplog: bool = False) -> AdoptedDatabase:
        """Return what it holds of ``database``, or else of the only one that is not the server's own.

        A log of what happened during the dump is an error, unless it is left out: ``without_oplog``.

        :raises UsageError: if it does not hold that one, or not exactly one, or only a part of one.
        :raises DamagedError: if it is damaged, or describes what no database can have.
        """


class ForeignFormats(ABC):
    """The formats of a kind's ``tool``. ``suffixes`` are those that only its files have, before any packing.

    A module that defines one must be cheap to import.
    """

    tool: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def recognizes(self, head: bytes) -> bool:
        """Whether a file that begins with ``head``, unpacked, was written by the tool and not by monarch."""

    @abstractmethod
    def has_written(self, paths: Iterable[str]) -> bool:
        """Whether these are names of files that the tool writes into a folder."""

    @abstractmethod
    def open_stream(self, stream: Stream, head: bytes, file: ForeignFile) -> ForeignSource:
        """Read ``stream``, which is ``file`` unpacked and begins with ``head``.

        :raises DamagedError: now or while it is read, if it is damaged or something else.
        """

    @abstractmethod
    def open_folders(self, folders: Mapping[str, FileSet], file: ForeignFile) -> ForeignSource:
        """Read the files of all ``folders``, which are those in ``file``, by their paths.

        :raises DamagedError: now or while they are read, if they are damaged or something else.
        """

    @abstractmethod
    def how_to_check(self, file: ForeignFile) -> str:
        """Return a hint how to check ``file``, which monarch cannot read, with the kind's tools."""
