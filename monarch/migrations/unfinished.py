"""Migrations that did not finish: the errors about them, and the ways on and back."""

from __future__ import annotations

from monarch.databases.history import Action, MigrationState, Record
from monarch.errors import MigrationError
from monarch.migrations.files.find import MigrationFile, checksum


def is_half_rolled_back(record: Record) -> bool:
    """Whether the attempt that did not finish was a rollback."""
    return record.attempt is not None and record.attempt.action is Action.ROLLBACK


def blocked_by(record: Record, environment: str, file: MigrationFile | None) -> MigrationError:
    """The error that a migration that did not finish blocks the rest; None as ``file`` if that is gone."""
    attempt = record.attempt
    began = since(record)
    ways = ways_on(record.key, environment, record)
    if file is None:
        return MigrationError(
            f"{record.key} did not finish on {environment!r}{began}, and its file is not here.",
            "Check out the version that has it, and finish it there. If the file is gone for good, run "
            f"`monarch mark {environment} {record.key} --as new`.",
        )
    if record.state is MigrationState.FAILED:
        why = f": {attempt.error}" if attempt and attempt.error else "."
        if attempt is not None and attempt.checksum not in (None, checksum(file)):
            # The error names a line, and somebody who has fixed it would look in vain.
            why += " (The file has changed since.)"
        return MigrationError(
            f"{record.key} failed on {environment!r}{began}, and blocks later migrations{why}", ways
        )
    by = f" by {attempt.who}" if attempt else ""
    if attempt is not None and attempt.outcome is MigrationState.INTERRUPTED:
        message = f"{record.key} was interrupted on {environment!r}{by}{began}, and blocks later migrations."
        return MigrationError(message, ways.replace("Fix it, then run", "To continue, run", 1))
    return MigrationError(
        f"{record.key} is Interrupted: it was left in Processing on {environment!r}{by}{began}. "
        "It was cut off, unless it still runs on another machine. It blocks later migrations.",
        f"Make sure that it does not run, and check what it did. {ways}",
    )


def ways_on(key: str, environment: str, record: Record | None = None) -> str:
    """The hint after a migration that did not finish: the commands to continue, and to go back."""
    attempt = record.attempt if record else None
    if record is not None and is_half_rolled_back(record):
        return f"It was being rolled back. Fix it, then run `monarch rollback {environment} {key}`."
    return (
        f"Fix it, then run `monarch migrate_one {key} {environment}`,"
        f" or `monarch migrate {environment} --retry` to run the rest too."
        f"{way_back(attempt.backup if attempt else None, environment)}"
    )


def way_back(backup: str | None, environment: str) -> str:
    """The hint to restore ``backup``, if one was taken before."""
    if backup is None:
        return ""
    return (
        f" To undo everything, also what others have written since: `monarch restore {backup}:{environment}`."
    )


def since(record: Record) -> str:
    """Return when ``record`` was written, for the end of a phrase; empty if it has no time."""
    return f" (since {record.processed_at:%Y-%m-%d %H:%M:%S} UTC)" if record.processed_at else ""
