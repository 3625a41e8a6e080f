"""The seam between the domain and a kind of database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from monarch.history import History


@dataclass(frozen=True)
class Contents:
    """How much a database holds: collections, and documents as the server estimates them."""

    collections: int
    documents: int


class Database(ABC):
    """One open database. Every method raises `ServerError` where the server fails or refuses."""

    @property
    @abstractmethod
    def history(self) -> History:
        """What this database remembers of its migrations."""

    @abstractmethod
    def handles(self) -> dict[str, object]:
        """What a migration finds on ``self``, by attribute."""

    @abstractmethod
    def contents(self) -> Contents:
        """How much is in it. Writes nothing."""

    @abstractmethod
    def drop(self) -> None:
        """Remove the database and all that is in it, its history included."""
