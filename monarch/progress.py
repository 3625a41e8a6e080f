"""What the domain tells while it works. Silent unless somebody listens."""

from __future__ import annotations


class Progress:
    """Hears of a run as it goes on. The commands print it; this one says nothing."""

    def waiting(self, why: str) -> None:
        """The work waits for something, told in one line."""

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        """These migrations will run, in this order."""

    def started(self, key: str) -> None:
        """A migration begins."""

    def finished(self, key: str, seconds: float) -> None:
        """A migration is done and recorded."""


SILENT = Progress()
