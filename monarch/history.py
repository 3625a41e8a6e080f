"""What a database remembers of the migrations that ran on it: the words, and the contract.

Shared by the domain, which decides by it, and by the databases, which keep it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from monarch.errors import MonarchError


class State(Enum):
    """The states of the original, as it wrote them into ``mongo_migration_history``."""

    NEW = "New"
    PROCESSING = "Processing"
    FAILED = "Failed"
    COMPLETED = "Completed"


@dataclass(frozen=True)
class Attempt:
    """The last attempt at a migration that is not Completed.

    ``who`` ran it, for people; ``alive`` if that process is on this machine and still there.
    ``error`` is how it ``ended``, if that was not well.
    """

    who: str
    alive: bool = False
    ended: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Record:
    """What is known of one migration: its ``key`` is the name of its file without ``.py``.

    ``attempt`` is known of those that are Processing or Failed, if monarch itself ran them.
    """

    key: str
    state: State
    processed_at: datetime | None = None
    attempt: Attempt | None = None


@dataclass(frozen=True)
class Failure:
    """How an attempt ended that did not complete; ``interrupted`` by a person or a signal."""

    error: str
    traceback: str
    interrupted: bool = False


class NotWhole(MonarchError):
    """A copy into the database was cut off: its history may be the old one or the new one, or gone."""


class History(ABC):
    """The history kept by one database.

    `read` raises `NotWhole` while a copy into the database is not finished.
    Every method raises `ServerError` where the server cannot be reached or refuses.
    """

    @abstractmethod
    def read(self) -> Mapping[str, Record]:
        """Every record by its key; one query, and one more if any is Processing or Failed. Writes nothing."""

    @abstractmethod
    def start(self, key: str, seen: Record | None) -> None:
        """Record that ``key`` is being run, if its state and time still are what was ``seen``.

        Atomic: of two runs that saw the same, one starts.

        :raises LockedError: if another run was first.
        """

    @abstractmethod
    def complete(self, key: str) -> None:
        """Record that the attempt begun by `start` is done. Saying so twice does no harm."""

    @abstractmethod
    def fail(self, key: str, failure: Failure) -> None:
        """Record that the attempt begun by `start` did not complete, and why."""
