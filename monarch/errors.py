"""The errors that monarch raises, each with the exit code of the command line.

The domain raises them; ``monarch.commands`` prints them and ends the process. The exit codes are documented
in the manual and in ``monarch --help``, so scripts may rely on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

EXIT_CODES = {
    0: "done",
    1: "failed",
    2: "wrong usage, settings, keys or migration files",
    3: "migrations are pending (where asked to say so)",
    4: "locked by another run, or a protected backup",
    5: "a server, a store of backups or an outside tool failed",
    6: "a migration failed or was cut off (check)",
    7: "a migration has another file than it ran with, or none (check)",
    8: "the database has run newer migrations than are here (check)",
    9: "the deadline came before all was done",
    10: "a backup is missing, broken or too old, or does not restore",
    11: "the backup is complete, but pruning older ones failed (backup --prune)",
    130: "interrupted",
}


class MonarchError(Exception):
    """An error that a person can act on.

    ``message`` says in one line what is wrong, ``hint`` in one line what to do. Without a hint the message is
    enough. ``result`` is that of the command, if this failed after it was done.
    """

    exit_code = 1
    result: Any = None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MigrationError(MonarchError):
    """A migration failed, or an unfinished one blocks it."""


class HookFailed(MonarchError):
    """A hook of the settings failed."""

    def __init__(self, message: str, hint: str | None = None, result: object = None) -> None:
        super().__init__(message, hint)
        self.result = result


class Declined(MonarchError):
    """A person answered a question with no."""


class UsageError(MonarchError):
    """The command is wrong: an unknown name, for example, or a missing answer."""

    exit_code = 2


class SettingsError(UsageError):
    """``migrations/settings.py`` is missing, cannot be read, or is wrong."""


class UnknownEnvironment(SettingsError):
    """The settings have no environment of that name."""


class ProjectError(UsageError):
    """A file of the project is not what its name or folder requires."""


class LockedError(MonarchError):
    """Another run works on the same database or backup, or a backup is protected."""

    exit_code = 4


class LeaseLost(LockedError):
    """A run no longer holds its lease, so it must change nothing more."""


class ServerError(MonarchError):
    """A server or an outside tool cannot be reached, refuses, or fails."""

    exit_code = 5


class AccessDenied(ServerError):
    """A server refuses what its user may not do."""


class DuplicateKey(ServerError):
    """A server refuses a document, or an index, because a unique key occurs twice."""


class NoTransactions(ServerError):
    """A server has no transactions; the message is why."""


class NotCommitted(ServerError):
    """A transaction was not committed: none of its changes were made."""


class StoreError(MonarchError):
    """The store of the backups cannot be reached, refuses, or is full."""

    exit_code = 5


class PruningFailed(MonarchError):
    """A backup is complete, and older ones could not be pruned after it."""

    exit_code = 11


class DamagedError(MonarchError):
    """Stored bytes are not those that were written."""


class DeadlineReached(MonarchError):
    """No time is left for the next migration; those before it are done."""

    exit_code = 9


class NotFresh(MonarchError):
    """An environment has no backup that is good and new enough."""

    exit_code = 10


class DrillFailed(MonarchError):
    """A backup does not restore to what it was, or the project's own check refuses it."""

    exit_code = 10


class SomeFailed(MonarchError):
    """Some of several databases failed. The exit code is the one that all failures have, or 1."""

    def __init__(self, message: str, hint: str | None, errors: Iterable[MonarchError]) -> None:
        super().__init__(message, hint)
        codes = {error.exit_code for error in errors}
        self.exit_code = codes.pop() if len(codes) == 1 else 1


class RunInterrupted(MonarchError):
    """Ctrl-C, SIGTERM or SIGHUP ended the run; the migration that was running is recorded as interrupted."""

    exit_code = 130
