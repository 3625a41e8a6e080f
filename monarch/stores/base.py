"""The seam between backups and the places where they are kept.

A store holds files by name, each a run of bytes that is written once, from beginning to end, and never
changed. It knows nothing of what is in them. Any number of processes, on any machines, may use one at once.

What somebody who adds a store has to keep:

- A file is there with all of its bytes, or it is *unfinished*: begun, and not finished because its writer is
  still at it, was cut off, or could not clean up. An unfinished file is listed as such, cannot be opened, and
  keeps its name taken. Nothing that happens to a writer, its machine or the connection makes an unfinished
  file a finished one.
- No file takes the place of another. Of two writers who want one name at the same moment, one gets it.
- What `Upload.finish` has returned from survives a loss of power, as far as the medium can promise that.
- A writer that fails, or gives up, leaves nothing behind as long as the store can be reached.
- The size of what is written is not known beforehand. Nothing is ever renamed from outside.
- Names are flat: no folders. Files that are not ours may lie in the same place; the store lists what it can
  list, and who uses it picks.
- Only those may read the files who may read the store.

Everything raises `StoreError` where the place cannot be reached, refuses or is full, in words for people and
without any secret.
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
    """There is a file of that name already, finished or not."""


class NotStored(StoreError):
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a store. ``modified`` is in UTC, when it was finished or, until then, last written to.

    An ``unfinished`` one is ``busy`` if its writer is alive; None where the store cannot tell that.
    """

    name: str
    bytes: int
    modified: datetime
    unfinished: bool = False
    busy: bool | None = False


class Upload(ABC):
    """A file that is being written. A context that ends without `finish` gives it up.

    After that it is ``left_over`` if something of it may still be there, for nobody answered.
    """

    left_over = False

    @abstractmethod
    def write(self, data: bytes, /) -> None:
        """Add all of ``data``."""

    @abstractmethod
    def finish(self) -> None:
        """Let the file be there, under its name, whole and for good. To be called once, at the end.

        :raises NameTaken: if a program that does not keep the contract has taken the name meanwhile.
        """

    @abstractmethod
    def give_up(self) -> None:
        """Leave nothing of it behind. Does nothing once it is finished, and never raises `StoreError`."""

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()


class Store(ABC):
    """A place for files; see the module for what all of them keep."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where this is, for people."""

    @abstractmethod
    def prepare(self) -> str | None:
        """See that files can be written; what had to be made for that, in words, or None."""

    @abstractmethod
    def create(self, name: str) -> Upload:
        """Begin a file. From now on its name is taken.

        :raises NameTaken: if it is taken already.
        """

    @abstractmethod
    def open(self, name: str, start: int = 0) -> AbstractContextManager[Stream]:
        """Read a finished file from byte ``start`` on.

        Bytes that are read are those that were written, in order; a connection that breaks is mended or is
        a `StoreError`, never an early end.

        :raises NotStored: if there is no finished file of that name.
        """

    def read_small(self, names: Iterable[str], largest: int) -> Iterator[tuple[str, bytes | StoreError]]:
        """Many small files, each by its name, in no order; in place of one that cannot be read, why.

        Those that are gone are left out, and what is behind the first ``largest`` bytes of one may be.
        """
        for name in names:
            text = self._read_one(name, largest)
            if not isinstance(text, NotStored):
                yield name, text

    def _read_one(self, name: str, largest: int) -> bytes | StoreError:
        text = bytearray()
        try:
            with self.open(name) as stream:
                while len(text) < largest and (part := stream.read(_CHUNK)):
                    text += part
        except StoreError as error:
            return error
        return bytes(text)

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """All files whose names begin with ``prefix``, in no order, page by page where there are many.

        A place that does not exist yet holds none.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove what has that name, finished and unfinished.

        :raises NotStored: if there is nothing.
        :raises LockedError: if its writer is alive, as far as the store can tell.
        """

    @abstractmethod
    def discard(self, name: str) -> None:
        """Remove what is unfinished of that name, and never what is finished.

        :raises NotStored: if nothing is.
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
