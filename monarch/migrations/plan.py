"""What is to run, decided from the files and the history alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from monarch.databases.history import UNFINISHED, Action, MigrationState, Record
from monarch.errors import LockedError, MigrationError, ProjectError
from monarch.migrations.files import MigrationFile, checksum, find_migration, name_of


class Reason(Enum):
    """Why a migration is to run."""

    NEW = "new"
    LATE = "late: older than what has run"
    RETRY = "again: it did not finish"
    CHANGED = "again: repeatable, and its file has changed"


@dataclass(frozen=True)
class RunSelection:
    """What a person wants of a run. ``to`` and ``only`` are names of migrations.

    With ``retry`` what did not finish runs as well; with ``strict_order`` nothing that is older than what
    has run.
    """

    retry: bool = False
    to: str | None = None
    only: tuple[str, ...] = ()
    strict_order: bool = False


@dataclass(frozen=True)
class PlannedMigration:
    """A migration that is to run. ``seen`` is what the history says of it."""

    file: MigrationFile
    why: Reason
    seen: Record | None = None

    @property
    def key(self) -> str:
        return self.file.key

    @property
    def action(self) -> Action:
        """How the journal calls it."""
        return Action.RETRY if self.why is Reason.RETRY else Action.RUN


class AlreadyRunning(LockedError):
    """Somebody runs one of the migrations just now."""


def pending(
    files: tuple[MigrationFile, ...], records: Mapping[str, Record], environment: str, wanted: RunSelection
) -> tuple[PlannedMigration, ...]:
    """The migrations to run, in the order of their files; those that repeat come behind the others.

    :raises BeingRun: if another run is at one of them.
    :raises ProjectError: if two have one name, unless both have run; or if ``wanted`` names none.
    :raises MigrationError: if one did not finish and nobody said to retry, naming it and the ways on;
        if one is older than what has run and the order is strict; or if the database has a history and
        the checkout has no migrations at all.
    """
    if records and not files:
        raise MigrationError(
            f"There are no migrations here, but {environment!r} has run {len(records)}.",
            "Is this the right folder, and the checkout complete?",
        )
    _refuse_duplicates(files, records)
    refuse_if_any_is_running(records, environment)
    newest = newest_completed(records)
    steps = [step for file in _choose(files, wanted) for step in _step(file, records.get(file.key), newest)]
    _refuse_to_pass(steps, files, records, environment, wanted)
    _refuse_renamed(steps, files, records, environment)
    late = [step.key for step in steps if step.key < newest and step.why is not Reason.CHANGED]
    if late and wanted.strict_order:
        raise MigrationError(
            f"Older than what {environment!r} has run, and the order is strict: {', '.join(late)}.",
            "Rename them to a time that is later (monarch generate shows how), or leave out --strict-order.",
        )
    # Those of whose repeating the history knows; of the others their classes tell, once they are loaded.
    return (
        *(s for s in steps if s.why is not Reason.CHANGED),
        *(s for s in steps if s.why is Reason.CHANGED),
    )


def newest_completed(records: Mapping[str, Record]) -> str:
    """The key of the newest migration that has run to its end, or an empty one."""
    once = (record for record in records.values() if record.repeats is None)
    return max((record.key for record in once if record.state is MigrationState.COMPLETED), default="")


def is_due(file: MigrationFile, record: Record | None) -> bool:
    """Whether ``file`` has not run yet, or is to run again."""
    if record is None or record.state is not MigrationState.COMPLETED:
        return True
    return record.repeats is not None and record.repeats != checksum(file)


def _choose(files: tuple[MigrationFile, ...], wanted: RunSelection) -> tuple[MigrationFile, ...]:
    chosen = files
    if wanted.only:
        named = {find_migration(files, name) for name in wanted.only}
        chosen = tuple(file for file in files if file in named)
    if wanted.to is not None:
        last = find_migration(files, wanted.to)
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
    wanted: RunSelection,
) -> None:
    """Nothing goes past what did not finish."""
    here = {file.key for file in files}
    chosen = {step.key for step in steps}
    for record in sorted(records.values(), key=lambda record: record.key):
        if record.state not in UNFINISHED:
            continue
        if record.key in chosen:
            if not wanted.retry or is_half_rolled_back(record):
                raise stands_in_the_way(record, environment)
        elif any(key > record.key for key in chosen) or (not wanted.only and wanted.to is None):
            raise stands_in_the_way(record, environment, here=record.key in here)


def _refuse_renamed(
    steps: list[PlannedMigration],
    files: tuple[MigrationFile, ...],
    records: Mapping[str, Record],
    environment: str,
) -> None:
    """A new one of the name of one that has run and is gone: mostly that one, which would run twice."""
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
                f"{step.key} has the name of {old}, which has run on {environment!r} and is not here: it "
                "looks like that one, renamed, and would run twice.",
                f"If it is that one: `monarch mark {environment} {step.key} --as completed`. If not, give it "
                "a name of its own.",
            )


def _refuse_duplicates(files: tuple[MigrationFile, ...], records: Mapping[str, Record]) -> None:
    """Two of one name: mostly one file renamed, that would run twice. What has run both times may stay."""
    by_name: dict[str, MigrationFile] = {}
    for file in files:
        first = by_name.setdefault(file.name.casefold(), file)
        for one in (first, file) if first is not file else ():
            record = records.get(one.key)
            if record is None or record.state is not MigrationState.COMPLETED:
                raise ProjectError(
                    f"Two migrations are called {file.name!r}: {first.path.name} and {file.path.name}.",
                    "Rename the one that has not run anywhere yet.",
                )


def refuse_if_any_is_running(records: Mapping[str, Record], environment: str) -> None:
    """Check that no migration is running.

    :raises AlreadyRunning: if one is.
    """
    for record in records.values():
        refuse_if_running(record, environment)


def refuse_if_running(record: Record, environment: str) -> None:
    """Let nothing touch a migration while a process that we can see is running it.

    :raises BeingRun: naming the process.
    """
    if record.state is MigrationState.PROCESSING and record.attempt is not None:
        raise AlreadyRunning(
            f"{record.key} is being run on {environment!r} by {record.attempt.who}{_since(record)}.",
            "Wait until it is done, then try again.",
        )


def is_half_rolled_back(record: Record) -> bool:
    """Whether it was its way back that did not come to its end."""
    return record.attempt is not None and record.attempt.action is Action.ROLLBACK


def stands_in_the_way(record: Record, environment: str, *, here: bool = True) -> MigrationError:
    """The error for whoever would go past a migration that did not finish; ``here`` if its file is."""
    attempt = record.attempt
    since = _since(record)
    ways = ways_on(record.key, environment, record)
    if not here:
        return MigrationError(
            f"{record.key} did not finish on {environment!r}{since}, and its file is not here.",
            "Check out the version that has it, and finish it there. If it is gone for good: "
            f"`monarch mark {environment} {record.key} --as new`.",
        )
    if record.state is MigrationState.FAILED:
        why = f": {attempt.error}" if attempt and attempt.error else "."
        return MigrationError(
            f"{record.key} failed on {environment!r}{since}, and nothing goes past it{why}", ways
        )
    by = f" by {attempt.who}" if attempt else ""
    if attempt is not None and attempt.outcome is MigrationState.INTERRUPTED:
        message = f"{record.key} was interrupted on {environment!r}{by}{since}, and nothing goes past it."
        return MigrationError(message, ways)
    return MigrationError(
        f"{record.key} is Interrupted: it was left in Processing on {environment!r}{by}{since}. "
        "It was cut off, unless it still runs on another machine. Nothing goes past it.",
        f"Make sure that it does not run, and look what it has done. {ways}",
    )


def ways_on(key: str, environment: str, record: Record | None = None) -> str:
    """How to go on after a migration that did not finish, with the exact commands; and how to go back."""
    attempt = record.attempt if record else None
    if record is not None and is_half_rolled_back(record):
        return f"It was being rolled back. Mend it, then `monarch rollback {environment} {key}`."
    return (
        f"Mend it, then `monarch migrate_one {key} {environment}`,"
        f" or `monarch migrate {environment} --retry` to go on with the rest too."
        f"{way_back(attempt.backup if attempt else None, environment)}"
    )


def way_back(backup: str | None, environment: str) -> str:
    """How to get back to the backup that was taken before, if one was."""
    return f" To go back to before: `monarch restore {backup}:{environment}`." if backup else ""


def _since(record: Record) -> str:
    return f" (since {record.processed_at:%Y-%m-%d %H:%M:%S} UTC)" if record.processed_at else ""
