"""The events that the domain reports while it works."""

from __future__ import annotations


class Progress:
    """Receives the events of a run. The commands print them; this class ignores them."""

    def waiting(self, why: str) -> None:
        """The work waits; ``why`` is one line."""

    def must_stop(self) -> bool:
        """Whether a signal has asked the run to end, even if the code that ran swallowed the interruption."""
        return False

    def recovered(self, what: str) -> None:
        """What an interrupted run had left was finished or undone; ``what`` is one line."""

    def phase(self, name: str) -> None:
        """A phase begins: emptying, copying, restoring, comparing, indexing, swapping, dumping, verifying."""

    def expects(self, documents: int, bytes: int) -> None:
        """The phase will process about that many documents and bytes, as the server counted them."""

    def passed(self, documents: int, bytes: int) -> None:
        """Another number of documents and bytes was processed."""

    def noted(self, what: str) -> None:
        """Something happened that a person may want to know; ``what`` is one line."""

    def backed_up(self, name: str) -> None:
        """The backup ``name`` was taken and verified before the first migration."""

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        """The migrations ``keys`` will run on ``environment``, in this order."""

    def started(self, key: str) -> None:
        """The migration ``key`` begins."""

    def walked(self, collection: str, documents: int, total: int) -> None:
        """A migration has scanned that many documents of a collection, of about ``total``."""

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        """A migration is done and recorded: its duration, the documents it wrote, and what it printed."""


SILENT = Progress()
