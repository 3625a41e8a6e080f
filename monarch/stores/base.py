"""The contract of a store, which keeps the files of backups.

A store holds files by name. Each is written once, from beginning to end, and never changed. The store knows
nothing of their contents. Any number of processes on any machines may use it at the same time.

What every store guarantees:

- A file has all of its bytes, or it is *unfinished*: its writer still writes it, was cut off, or could not
  clean up. An unfinished file is listed as such, cannot be opened, and keeps its name taken. Whatever happens
  to a writer, its machine or the connection, an unfinished file does not become a finished one.
- No file replaces another. If two writers create one name at the same time, one of them gets it.
- A file for which `Upload.finish` has returned survives a power failure, as far as the medium allows.
- A writer that fails or gives up leaves nothing in the store, as long as the store can be reached.
- The size of a file is not known in advance. Files are not renamed.
- Names are flat: there are no folders. Other files may be in the same place; the store lists them too, and
  its caller ignores them.
- Files are readable only to those who may read the store.

Every method raises `StoreError` if the place cannot be reached, refuses or is full, in words for people and
without secrets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from monarch.errors import StoreError
from monarch.system.streams import Stream

_CHUNK = 1 << 20


class NameTaken(StoreError):
    """The name is taken by a file, finished or not."""


class DeletionDenied(StoreError):
    """The store does not let this file be deleted: its user may not, or a lock of the store forbids it."""


class NotStored(StoreError):
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a store. ``modified`` is in UTC: when it was finished or, if unfinished, last written to.

    An ``unfinished`` file is ``busy`` if its writer is alive; None if the store cannot tell. A finished one
    may have a ``version``: another file of its name, which can only follow after a deletion, has another.
    """

    name: str
    bytes: int
    modified: datetime
    unfinished: bool = False
    busy: bool | None = False
    version: str | None = None


@dataclass(frozen=True, slots=True)
class SmallFile:
    """The bytes of a small file, or why it cannot be read, and the ``version`` that they are of."""

    name: str
    text: bytes | StoreError
    version: str | None = None


class Upload(ABC):
    """A file that is being written. A context that ends without `finish` gives it up.

    ``left_over`` is then True if part of it may still be in the store, because that did not answer.
    """

    left_over = False

    @abstractmethod
    def write(self, data: bytes, /) -> None:
        """Add all of ``data``."""

    @abstractmethod
    def finish(self) -> None:
        """Make the file complete, durable and visible under its name. Called once, at the end.

        :raises NameTaken: if a program that ignores the contract has taken the name in the meantime.
        """

    @abstractmethod
    def give_up(self) -> None:
        """Remove everything of it. Does nothing after `finish`, and never raises `StoreError`."""

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()


class Store(ABC):
    """A place for files. The docstring of this module has what every store guarantees."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The address of the store, for people."""

    @property
    def identity(self) -> str | None:
        """What no other place has, for a cache of what is in it; None if one would save nothing."""
        return None

    def absence(self) -> str | None:
        """Say in words that the place does not exist yet; None if it does, or nobody can know."""
        return None

    def lacking(self) -> str | None:
        """Say in words which rights are missing to write; None if none are, or only writing would tell."""
        return None

    def room(self) -> tuple[int, int] | None:
        """Return how many bytes are free in its place, and how many it has; None if it does not tell."""
        return None

    @abstractmethod
    def prepare(self) -> str | None:
        """Make sure that files can be written; return what was created for that, in words, or None."""

    @abstractmethod
    def create(self, name: str) -> Upload:
        """Begin a file, which takes its name from now on.

        :raises NameTaken: if it is taken already.
        """

    @abstractmethod
    def open(self, name: str, start: int = 0) -> AbstractContextManager[Stream]:
        """Read a finished file from byte ``start`` on.

        Reading returns the bytes that were written, in order. A broken connection is repaired or raises
        `StoreError`; it is never an early end.

        :raises NotStored: if there is no finished file of that name.
        """

    def read_small(self, names: Iterable[str], largest: int) -> Iterator[SmallFile]:
        """Read many small files, in no order.

        Files that do not exist are left out, and so may be what follows the first ``largest`` bytes.
        """
        for name in names:
            file = self._read_one(name, largest)
            if not isinstance(file.text, NotStored):
                yield file

    def _read_one(self, name: str, largest: int) -> SmallFile:
        text = bytearray()
        try:
            with self.open(name) as stream:
                while len(text) < largest and (part := stream.read(_CHUNK)):
                    text += part
        except StoreError as error:
            return SmallFile(name, error)
        return SmallFile(name, bytes(text), getattr(stream, "version", None))

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """List the files whose names begin with ``prefix``, in no order.

        A place that does not exist yet has no files.
        """

    def require_deletable(self, name: str) -> None:
        """Check that the file of that name may be deleted, as far as that is known without trying.

        :raises DeletionDenied: if not.
        """
        return

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove the file of that name, finished or unfinished.

        :raises NotStored: if there is none.
        :raises DeletionDenied: if the store does not allow that.
        :raises LockedError: if its writer is alive, as far as the store can tell.
        """

    @abstractmethod
    def discard(self, name: str) -> None:
        """Remove the unfinished file of that name, never a finished one.

        :raises NotStored: if there is none.
        :raises LockedError: if its writer is alive, as far as the store can tell.
        """


class StoreSettings(ABC):
    """The settings of a store, which a project has in ``BACKUPS``. A frozen dataclass."""

    @abstractmethod
    def open(self, root: Path) -> Store:
        """Open the store. Nothing is written before `Store.prepare`.

        :param root: the folder of the project, to which relative paths belong.
        :raises SettingsError: if the settings cannot be used on this machine.
        :raises StoreError: if something that the store needs is not installed.
        """
