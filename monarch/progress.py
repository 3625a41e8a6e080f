"""What the domain tells while it works. Silent unless somebody listens."""

from __future__ import annotations


class Progress:
    """Hears of a run as it goes on. The commands print it; this one says nothing."""

    def waiting(self, why: str) -> None:
        """The work waits for something, told in one line."""

    def must_stop(self) -> bool:
        """Whether a person or a signal wants the run to end, however quiet the work kept about it."""
        return False

    def mended(self, what: str) -> None:
        """What a run that was cut off had left has been put in order, told in one line."""

    def phase(self, name: str) -> None:
        """A copy enters its next phase: emptying, copying, indexing, comparing, swapping."""

    def copying(self, documents: int, bytes: int) -> None:
        """So much is to be copied, as the server counts it."""

    def copied(self, documents: int, bytes: int) -> None:
        """So much more has been read and is on its way."""

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        """These migrations will run, in this order."""

    def started(self, key: str) -> None:
        """A migration begins."""

    def finished(self, key: str, seconds: float) -> None:
        """A migration is done and recorded."""


SILENT = Progress()
