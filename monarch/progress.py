"""What the domain tells while it works. Silent unless somebody listens."""

from __future__ import annotations


class Progress:
    """Hears of a run as it goes on. The commands print it; this one says nothing."""

    def waiting(self, why: str) -> None:
        """The work waits for something, told in one line."""

    def must_stop(self) -> bool:
        """Whether a person or a signal wants the run to end, however quiet the work kept about it."""
        return False

    def recovered(self, what: str) -> None:
        """What a run that was cut off had left has been put in order, told in one line."""

    def phase(self, name: str) -> None:
        """The next phase begins.

        Emptying, copying or restoring, comparing, indexing, swapping; dumping; verifying.
        """

    def expects(self, documents: int, bytes: int) -> None:
        """In this phase so much is to come by, as the server counted it."""

    def passed(self, documents: int, bytes: int) -> None:
        """So much more has come by."""

    def noted(self, what: str) -> None:
        """Something was done on the way that one may want to know, told in one line."""

    def backed_up(self, name: str) -> None:
        """A backup has been taken, and verified, before the first migration."""

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        """These migrations will run, in this order."""

    def started(self, key: str) -> None:
        """A migration begins."""

    def walked(self, collection: str, documents: int, total: int) -> None:
        """A migration has gone over so many documents of a collection, of about ``total``."""

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        """A migration is done and recorded; it has written so many documents, and printed ``echoed``."""


SILENT = Progress()
