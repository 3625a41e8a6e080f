"""Deciding which migrations to roll back, from the files and the history alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monarch.databases.history import UNFINISHED, MigrationState, Record
from monarch.errors import MigrationError, ProjectError
from monarch.migrations.backwards.batch import LastRun
from monarch.migrations.files.find import MigrationFile, find_migration
from monarch.migrations.files.names import name_of, shown_key
from monarch.migrations.unfinished import blocked_by, is_half_rolled_back

_Records = Mapping[str, Record]


@dataclass(frozen=True)
class RollbackSelection:
    """What a person selects to be rolled back; one of these.

    All that is newer than the migration ``to``, which stays; the newest ``steps`` migrations; or with
    ``batch`` what the last run of `migrate` did.
    """

    to: str | None = None
    steps: int | None = None
    batch: bool = False

    def option(self, left: int) -> str:
        """Return the option that selects what is ``left``, after some were rolled back."""
        if self.to is not None:
            return f"--to {self.to}"
        return "--batch" if self.batch else f"--steps {left}"


def choose_rollback(
    files: tuple[MigrationFile, ...],
    records: _Records,
    environment: str,
    selected: MigrationFile | None,
) -> MigrationFile:
    """The migration to roll back: ``selected``, or the newest that completed. A rollback is finished first.

    :raises MigrationError: if it has not run, its file is not here, or another one did not finish.
    """
    here = {file.key: file for file in files}
    half_done = find_half_done(records, here, environment)
    keys = set(half_done) or _completed(records)
    if selected is not None:
        if selected.key not in keys and half_done:
            raise blocked_by(records[half_done[0]], environment, here.get(half_done[0]))
        if selected.key not in keys:
            raise MigrationError(
                f"{selected.key} has not run on {environment!r}: there is nothing to roll back."
            )
        return selected
    newest = max(keys, default=None)
    if newest is None:
        raise MigrationError(f"Nothing has run on {environment!r}: there is nothing to roll back.")
    if newest not in here:
        raise MigrationError(
            f"{newest} is the newest on {environment!r}, and its file is not here.",
            "Check out the version that has it, and roll it back there.",
        )
    return here[newest]


def choose_rollbacks(
    files: tuple[MigrationFile, ...],
    records: _Records,
    environment: str,
    selection: RollbackSelection,
    batch: LastRun | None,
) -> tuple[MigrationFile, ...]:
    """The migrations to roll back, the newest first. A rollback that did not finish comes before them.

    ``batch`` is what the last run did, if that is selected.

    :raises MigrationError: if the file of one is not here, if there are not so many, or if a migration
        did not finish that is none of them, or that did not finish for another reason than a rollback.
    :raises ProjectError: if the selection names no migration, or one that has not run.
    """
    here = {file.key: file for file in files}
    half_done = find_half_done(records, here, environment)
    first = sorted(half_done, reverse=True)
    ordered = [*first, *sorted(_completed(records), reverse=True)]
    if selection.to is not None:
        last = _to_stay(selection.to, files, records, environment)
        chosen = [key for key in ordered if key > last]
    elif batch is not None:
        chosen = [key for key in ordered if key in batch.keys]
    else:
        chosen = _newest(ordered, selection.steps or 1, environment)
    for key in half_done:
        if key not in chosen:
            raise blocked_by(records[key], environment, here.get(key))
    if missing := [key for key in chosen if key not in here]:
        raise _missing(missing, environment)
    return tuple(here[key] for key in chosen)


def find_half_done(records: _Records, here: Mapping[str, MigrationFile], environment: str) -> tuple[str, ...]:
    """Return the keys of those whose rollback did not finish; ``here`` are the files by their keys.

    :raises MigrationError: if another one did not finish.
    """
    unfinished = sorted((r for r in records.values() if r.state in UNFINISHED), key=lambda r: r.key)
    for record in unfinished:
        if not is_half_rolled_back(record):
            raise blocked_by(record, environment, here.get(record.key))
    return tuple(record.key for record in unfinished)


def _completed(records: _Records) -> set[str]:
    return {key for key, record in records.items() if record.state is MigrationState.COMPLETED}


def _to_stay(name: str, files: tuple[MigrationFile, ...], records: _Records, environment: str) -> str:
    """Return the key of the migration that stays. Its file may be gone: it is not needed."""
    try:
        key = find_migration(files, name).key
    except ProjectError:
        gone = [key for key in records if name in (key, shown_key(key), name_of(key))]
        if len(gone) != 1:
            raise
        key = gone[0]
    record = records.get(key)
    if record is not None and record.state in UNFINISHED:
        raise MigrationError(
            f"{key} has been rolled back in part on {environment!r}, so it cannot stay.",
            f"Finish that first: monarch rollback {environment} {key}",
        )
    if record is None or record.state is not MigrationState.COMPLETED:
        raise MigrationError(
            f"{key} has not run on {environment!r}, so nothing can go back to it.",
            f"Choose one that is Completed: monarch list_migrations {environment}",
        )
    return key


def _newest(ordered: list[str], number: int, environment: str) -> list[str]:
    if not ordered:
        raise MigrationError(f"Nothing has run on {environment!r}: there is nothing to roll back.")
    if number > len(ordered):
        raise MigrationError(
            f"Only {len(ordered)} of {number} migrations can be rolled back on {environment!r}: no more have "
            "run. Nothing was rolled back.",
            f"To roll back all of them, use --steps {len(ordered)}.",
        )
    return ordered[:number]


def _missing(keys: list[str], environment: str) -> MigrationError:
    others = f" (and of {len(keys) - 1} more)" if len(keys) > 1 else ""
    return MigrationError(
        f"{keys[0]} has run on {environment!r}, and its file{others} is not here. Nothing was rolled back.",
        "Check out the version that has it, and roll back there. If the file is gone for good, undo it by "
        f"hand, and run `monarch mark {environment} {keys[0]} --as new`.",
    )
