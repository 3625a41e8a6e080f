"""Deciding what to run, from the files and the history alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from monarch.databases.history import UNFINISHED, Action, MigrationState, Record
from monarch.errors import LockedError, MigrationError, ProjectError
from monarch.migrations.files.find import MigrationFile, checksum, find_migration
from monarch.migrations.files.names import name_of
from monarch.migrations.unfinished import blocked_by, is_half_rolled_back, since

if TYPE_CHECKING:
    from monarch.migrations.files.classes import Loaded


class Reason(Enum):
    """Why a migration will run."""

    NEW = "new"
    LATE = "late: older than what has run"
    RETRY = "again: it did not finish"
    CHANGED = "again: repeatable, and its file has changed"
    AGAIN = "again: it has run already"


@dataclass(frozen=True)
class RunSelection:
    """What a person selects for a run. ``to``, the last one, and ``only`` are names of migrations.

    With ``retry``, migrations that did not finish run too. With ``strict_order`` nothing runs if a pending
    migration is older than what has run.
    """

    retry: bool = False
    to: str | None = None
    only: tuple[str, ...] = ()
    strict_order: bool = False


@dataclass(frozen=True)
class PlannedMigration:
    """A migration that will run. ``seen`` is its record in the history, ``loaded`` its class."""

    file: MigrationFile
    why: Reason
    seen: Record | None = None
    loaded: Loaded | None = None

    @property
    def key(self) -> str:
        return self.file.key

    @property
    def action(self) -> Action:
        """Its action in the journal."""
        return Action.RETRY if self.why is Reason.RETRY else Action.RUN

    @property
    def state(self) -> MigrationState:
        """Its state now."""
        return self.seen.state if self.seen is not None else MigrationState.NEW

    @property
    def repeatable(self) -> bool:
        return self.loaded is not None and self.loaded.kind.repeatable

    @property
    def can_roll_back(self) -> bool:
        """Whether it has a ``rollback``."""
        return self.loaded is not None and self.loaded.can_roll_back


@dataclass(frozen=True)
class MigrationPlan:
    """What a run would do: its ``steps``, in order.

    ``running`` are migrations that another run is running now; it may also do some of the steps.
    """

    steps: tuple[PlannedMigration, ...]
    running: tuple[str, ...] = ()


class AlreadyRunning(LockedError):
    """Another run is running one of the migrations."""


def pending(
    files: tuple[MigrationFile, ...], records: Mapping[str, Record], environment: str, selection: RunSelection
) -> tuple[PlannedMigration, ...]:
    """The migrations to run, in the order of their files; repeatable ones come after the others.

    :raises AlreadyRunning: if another run is running one of them.
    :raises ProjectError: if two have one name, unless both have run; or if the selection names none.
    :raises MigrationError: if one did not finish and is not retried; if one is older than what has run and
        the order is strict; or if the database has a history and the checkout has no migrations at all.
    """
    if records and not files:
        raise MigrationError(
            f"There are no migrations here, but {environment!r} has run {len(records)}.",
            "Is this the right folder, and the checkout complete?",
        )
    _refuse_duplicates(files, records)
    refuse_if_any_is_running(records, environment)
    newest = newest_completed(records)
    steps = [
        step for file in _choose(files, selection) for step in _step(file, records.get(file.key), newest)
    ]
    _refuse_to_pass(steps, files, records, environment, selection)
    _refuse_renamed(steps, files, records, environment)
    late = [step.key for step in steps if step.key < newest and step.why is not Reason.CHANGED]
    if late and selection.strict_order:
        raise MigrationError(
            f"Older than what {environment!r} has run, and the order is strict: {', '.join(late)}.",
            "Rename them to a later time (monarch generate shows the form), or omit --strict-order.",
        )
    # Repeatable migrations in the history. The classes of the others are not loaded yet.
    return (
        *(s for s in steps if s.why is not Reason.CHANGED),
        *(s for s in steps if s.why is Reason.CHANGED),
    )


def newest_completed(records: Mapping[str, Record]) -> str:
    """The key of the newest migration that completed, or an empty string."""
    once = (record for record in records.values() if record.repeats is None)
    return max((record.key for record in once if record.state is MigrationState.COMPLETED), default="")


def is_due(file: MigrationFile, record: Record | None) -> bool:
    """Whether ``file`` has not completed yet, or has to run again."""
    if record is None or record.state is not MigrationState.COMPLETED:
        return True
    return record.repeats is not None and record.repeats != checksum(file)


def _choose(files: tuple[MigrationFile, ...], selection: RunSelection) -> tuple[MigrationFile, ...]:
    chosen = files
    if selection.only:
        named = {find_migration(files, name) for name in selection.only}
        chosen = tuple(file for file in files if file in named)
    if selection.to is not None:
        last = find_migration(files, selection.to)
        chosen = tuple(file for file in chosen if file.key <= last.key)
    return chosen


def _step(file: MigrationFile, record: Record | None, newest: str) -> tuple[PlannedMigration, ...]:
    if not is_due(file, record):
        return ()
    if record is not None and record.state in UNFINISHED:
        return (PlannedMigration(file, Reason.RETRY, record),)
    if record is not None and record.state is MigrationState.COMPLETED:
        return (PlannedMigration(file, Reason.CHANGED, record),)
    return (PlannedMigration(file, Reason.LATE if file.key < newest else Reason.NEW, record),)


def _refuse_to_pass(
    steps: list[PlannedMigration],
    files: tuple[MigrationFile, ...],
    records: Mapping[str, Record],
    environment: str,
    selection: RunSelection,
) -> None:
    """Refuse to run anything after a migration that did not finish."""
    here = {file.key: file for file in files}
    chosen = {step.key for step in steps}
    for record in sorted(records.values(), key=lambda record: record.key):
        if record.state not in UNFINISHED:
            continue
        if record.key in chosen:
            if not selection.retry or is_half_rolled_back(record):
                raise blocked_by(record, environment, here[record.key])
        elif any(key > record.key for key in chosen) or (not selection.only and selection.to is None):
            raise blocked_by(record, environment, here.get(record.key))


def _refuse_renamed(
    steps: list[PlannedMigration],
    files: tuple[MigrationFile, ...],
    records: Mapping[str, Record],
    environment: str,
) -> None:
    """Refuse a new migration with the name of one that has run and is gone: it would run twice."""
    here = {file.key for file in files}
    gone: dict[str, str] = {}
    for key, record in records.items():
        name = name_of(key)
        if name and key not in here and record.state is MigrationState.COMPLETED:
            gone[name.casefold()] = key
    for step in steps:
        old = gone.get(step.file.name.casefold())
        if old is not None and step.why in (Reason.NEW, Reason.LATE):
            raise ProjectError(
                f"{step.key} has the name of {old}, which has run on {environment!r} and is not here. It "
                "looks like that one, renamed, and would run twice.",
                f"If it is that one, run `monarch mark {environment} {step.key} --as completed`. If not, "
                "give it another name.",
            )


def _refuse_duplicates(files: tuple[MigrationFile, ...], records: Mapping[str, Record]) -> None:
    """Refuse two of one name, unless both have run: mostly a renamed copy, which would run twice."""
    by_name: dict[str, MigrationFile] = {}
    for file in files:
        first = by_name.setdefault(file.name.casefold(), file)
        for one in (first, file) if first is not file else ():
            record = records.get(one.key)
            if record is None or record.state is not MigrationState.COMPLETED:
                raise ProjectError(
                    f"Two migrations are called {file.name!r}: {first.shown_path} and {file.shown_path}.",
                    "Rename the one that has not run anywhere yet.",
                )


def refuse_if_any_is_running(records: Mapping[str, Record], environment: str) -> None:
    """Check that no migration is running.

    :raises AlreadyRunning: if one is.
    """
    for record in records.values():
        refuse_if_running(record, environment)


def refuse_if_running(record: Record, environment: str) -> None:
    """Refuse to touch a migration while a process that is known to live runs it.

    :raises AlreadyRunning: naming the process.
    """
    if record.state is MigrationState.PROCESSING and record.attempt is not None:
        raise AlreadyRunning(
            f"{record.key} is being run on {environment!r} by {record.attempt.who}{since(record)}.",
            "Wait until it is done, and try again. If it hangs, end that process, and see "
            f"`monarch list_migrations {environment}`.",
        )


def without_running(records: Mapping[str, Record]) -> Mapping[str, Record]:
    """Return ``records`` as they will be if the migrations that run now complete."""
    return {
        key: replace(record, state=MigrationState.COMPLETED, attempt=None)
        if record.state is MigrationState.PROCESSING
        else record
        for key, record in records.items()
    }


def refuse_other_steps(shown: MigrationPlan, steps: tuple[PlannedMigration, ...], environment: str) -> None:
    """Check that all ``steps`` were in the plan that a person has seen; another run may have done the rest.

    :raises MigrationError: if one was not, or for another reason.
    """
    known = {(step.key, step.why, step.state) for step in shown.steps}
    if others := [step.key for step in steps if (step.key, step.why, step.state) not in known]:
        raise MigrationError(
            f"The history of {environment!r} has changed since the plan was shown: {others[0]} would run, "
            "too, or for another reason. Nothing has run.",
            "Run the command again. It shows the new plan.",
        )
