"""The lease of a database: the contract of whoever wants to be the only one to change it.

A database that is copied into, migrated or dropped is held by one run at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from monarch.errors import LockedError

SECONDS = 30


class LeaseHeld(LockedError):
    """Somebody else has the lease: the run that is called ``run``."""

    def __init__(self, message: str, hint: str | None, run: str) -> None:
        super().__init__(message, hint)
        self.run = run


@dataclass(frozen=True)
class Holder:
    """Whoever has the lease, as ``run`` with the number ``fence``.

    ``who`` is the process in words, ``purpose`` what it does, ``job`` that of CI.

    ``seconds`` it has had it, by the server's clock; ``expired`` if its time is over and nobody came
    since; ``alive`` if the process is on this machine and still there.
    """

    run: str | None
    fence: object
    who: str
    purpose: str
    job: str | None
    link: str | None
    seconds: float
    expired: bool
    alive: bool


class Lease(ABC):
    """Held from the moment it exists, renewed in the background while its context lasts.

    It ends by itself `SECONDS` after the holder has stopped renewing it, by the server's clock.
    """

    @property
    @abstractmethod
    def run(self) -> str:
        """The holder's name for what it does now; no two runs have the same."""

    @property
    @abstractmethod
    def fence(self) -> int:
        """Grows with every holder, so that what an earlier one still writes can be told apart."""

    @abstractmethod
    def renew(self) -> None:
        """Ask the server for another `SECONDS`, before something that cannot be taken back.

        :raises LockedError: if somebody else holds it by now.
        """

    @abstractmethod
    def check(self) -> None:
        """Costs nothing as long as the lease was renewed a moment ago; asks the server otherwise.

        :raises LockedError: if somebody else holds it by now. Whoever hears that must change nothing more.
        """
