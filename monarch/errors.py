"""What can go wrong, each kind with the exit code that the command line ends with.

The domain raises these; ``monarch.commands`` prints them and ends the process. They stand in the
README and in ``monarch --help``, so scripts may count on the numbers.
"""

from __future__ import annotations

EXIT_CODES = {
    0: "done",
    1: "failed",
    2: "wrong usage, settings or migration files",
    3: "migrations are pending (where asked to say so)",
    4: "locked by another run",
    5: "a server, a store of backups or an outside tool failed",
    6: "a migration failed or was cut off (check)",
    7: "a migration has another file than it ran with, or none (check)",
    8: "the database has run newer migrations than are here (check)",
    9: "the deadline came before all was done",
    130: "interrupted",
}


class MonarchError(Exception):
    """Something that a person can act upon.

    ``message`` says in one line what is wrong, ``hint`` in one line what to do next; without one the
    message says all.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MigrationError(MonarchError):
    """A migration failed, or an earlier one that did not finish stands in the way."""


class Declined(MonarchError):
    """A person was asked, and did not want to."""


class UsageError(MonarchError):
    """The command cannot be understood: an unknown name, a missing answer."""

    exit_code = 2


class SettingsError(UsageError):
    """``migrations/settings.py`` is missing, cannot be read, or says something wrong."""


class ProjectError(UsageError):
    """A file of the project is not what its name or place promises."""


class LockedError(MonarchError):
    """Somebody else is at work on the same thing."""

    exit_code = 4


class LeaseLost(LockedError):
    """A run had the lease, and has it no more: it may change nothing further."""


class ServerError(MonarchError):
    """A server or an outside tool cannot be reached, refuses, or fails."""

    exit_code = 5


class DuplicateKey(ServerError):
    """A server refuses a document, or an index, because a unique key occurs twice."""


class NotCommitted(ServerError):
    """A transaction was not committed: nothing of it has happened."""


class StoreError(MonarchError):
    """The place where backups are kept cannot be reached, refuses, or is full."""

    exit_code = 5


class DamagedError(MonarchError):
    """Bytes that were kept are not those that were written."""


class DeadlineReached(MonarchError):
    """There is no time left for the next migration; those before it are done."""

    exit_code = 9


class RunInterrupted(MonarchError):
    """Ctrl-C, SIGTERM or SIGHUP; what was under way has been recorded."""

    exit_code = 130
