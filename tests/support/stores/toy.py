"""A minimal store, as an example for the first version of a new one. Its files are in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from monarch.errors import StoreError
from monarch.stores.base import NameTaken, NotStored, Store, StoredFile, StoreSettings, Upload
from monarch.stores.keys import parse_keys, parse_text
from monarch.system.streams import Stream

SHELVES: dict[str, dict[str, tuple[bytes, datetime]]] = {}
# The shelves that cannot be reached.
LOCKED: set[str] = set()


@dataclass(frozen=True)
class ToySettings(StoreSettings):
    shelf: str

    def open(self, root: Path) -> Store:
        return ToyStore(self.shelf)


def parse(entry: object) -> ToySettings:
    return ToySettings(**parse_keys("TOY", entry, {"shelf": parse_text}, required="shelf")[0])


class ToyUpload(Upload):
    def __init__(self, files: dict[str, tuple[bytes, datetime]], name: str) -> None:
        self.files, self.name, self.data = files, name, b""

    def write(self, data: bytes, /) -> None:
        self.data += data

    def finish(self) -> None:
        if self.name in self.files:
            raise NameTaken(f"{self.name!r} already exists.")
        self.files[self.name] = (self.data, datetime.now(UTC))

    def give_up(self) -> None:
        """The store has nothing before `finish`."""


class ToyStore(Store):
    def __init__(self, shelf: str) -> None:
        self.shelf, self.files = shelf, SHELVES.setdefault(shelf, {})

    @property
    def place(self) -> str:
        return f"the shelf {self.shelf}"

    def prepare(self) -> None:
        if self.shelf in LOCKED:
            raise StoreError(f"The shelf {self.shelf} is locked.", "Ask for its key.")

    def create(self, name: str) -> Upload:
        if name in self.files:
            raise NameTaken(f"{name!r} already exists.")
        return ToyUpload(self.files, name)

    @contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Stream]:
        if name not in self.files:
            raise NotStored(f"There is no {name!r}.")
        yield io.BytesIO(self.files[name][0][start:])

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        self.prepare()
        for name, (data, finished) in list(self.files.items()):
            if name.startswith(prefix):
                yield StoredFile(name, len(data), finished)

    def delete(self, name: str) -> None:
        if self.files.pop(name, None) is None:
            raise NotStored(f"There is no {name!r}.")

    def discard(self, name: str) -> None:
        raise NotStored(f"There is no unfinished {name!r}.")
