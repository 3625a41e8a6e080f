"""The lease of a database: a run that migrates, replaces or drops the database holds it alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from monarch.errors import LockedError

SECONDS = 30


class LeaseHeld(LockedError):
    """Another run, called ``run``, holds the lease."""

    def __init__(self, message: str, hint: str | None, run: str) -> None:
        super().__init__(message, hint)
        self.run = run


@dataclass(frozen=True)
class Holder:
    """The run that holds the lease, with the fencing number ``fence``.

    ``who`` describes the process, ``purpose`` is what it does, ``job`` and ``link`` are its CI job.
    ``seconds`` is how long it has held the lease, by the server's clock. ``expired``: its time is over and no
    other run has taken it. ``alive``: the process is on this machine and still exists; ``died``: it was, and
    does no more.
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
    died: bool = False


class Lease(ABC):
    """A lease that is held, and renewed in the background, while its context lasts.

    It ends by itself `SECONDS` after the holder stopped renewing it, by the server's clock.
    """

    # Distinguishes the database that it was taken on from its copies.
    lineage: object = None

    @property
    @abstractmethod
    def run(self) -> str:
        """The id of the run that holds it; no two runs have the same."""

    @property
    @abstractmethod
    def fence(self) -> int:
        """A number that grows with every holder; the server refuses late writes with an earlier one."""

    @abstractmethod
    def renew(self) -> None:
        """Extend it by `SECONDS`; call this before a step that cannot be undone.

        :raises LockedError: if another run holds it by now.
        """

    @abstractmethod
    def check(self) -> None:
        """Check that it is still held. Asks the server only if it was not renewed a moment ago.

        :raises LockedError: if another run holds it by now. The caller must change nothing more.
        """
