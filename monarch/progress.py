"""The events that the domain reports while it works."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from monarch.errors import Declined

# Asks a person, and raises or returns False if the answer is no.
Question = Callable[[], object]


def ask_nothing() -> None:
    """The question of a run that needs no answer."""


def asked_once(question: Question) -> Question:
    """Return ``question`` as a function that asks at its first call, and raises `Declined` on False."""

    @cache
    def ask() -> None:
        if question() is False:
            raise Declined("Nothing was changed.")

    return ask


class Progress:
    """Receives the events of a run. The commands print them; this class ignores them."""

    def waiting(self, why: str) -> None:
        """The work waits; ``why`` is one line."""

    def must_stop(self) -> bool:
        """Whether a signal has asked the run to end, even if the code that ran swallowed the interruption."""
        return False

    def recovered(self, what: str) -> None:
        """What an interrupted run had left was finished or undone; ``what`` is one line."""

    def counts(self, what: str) -> None:
        """The documents of the events to come are each called ``what``: "document" or "row"."""

    def phase(self, name: str) -> None:
        """A phase begins: emptying, copying, restoring, comparing, indexing, swapping, dumping, verifying."""

    def estimated(self, documents: int, bytes: int) -> None:
        """The phase will transfer about that many documents and bytes, as the server counted them."""

    def transferred(self, documents: int, bytes: int) -> None:
        """That many more documents and bytes were transferred."""

    def message(self, what: str) -> None:
        """Something happened that a person should know; ``what`` is one line."""

    def calling(self, hook: str) -> None:
        """A hook of the settings is called, which may print."""

    def printing(self, text: str) -> None:
        """A migration prints ``text`` next."""

    def backed_up(self, name: str) -> None:
        """The backup ``name`` was taken and verified before the first migration."""

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        """The migrations ``keys`` will run on ``environment``, in this order."""

    def rolling_back(self, environment: str, keys: tuple[str, ...]) -> None:
        """The migrations ``keys`` will be rolled back on ``environment``, in this order."""

    def started(self, key: str) -> None:
        """The migration ``key`` begins."""

    def scanned(self, collection: str, documents: int, total: int) -> None:
        """A migration has scanned that many documents of a collection, of about ``total``."""

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        """A migration is done and recorded: its duration, the documents it wrote, and what it printed."""


SILENT = Progress()
