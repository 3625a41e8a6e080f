"""What is to run, decided from the files and the history alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from monarch.errors import LockedError, MigrationError, ProjectError
from monarch.history import Record, State
from monarch.migrations.files import MigrationFile


@dataclass(frozen=True)
class Status:
    """One line of ``list_migrations``. ``file`` is None where only the database knows of it."""

    key: str
    state: State
    processed_at: datetime | None
    file: MigrationFile | None
    record: Record | None = None


def list_status(files: tuple[MigrationFile, ...], records: Mapping[str, Record]) -> tuple[Status, ...]:
    """Every migration that the checkout or the database knows, in order of their keys."""
    known = {file.key: file for file in files}
    rows = []
    for key in sorted({*known, *records}):
        record = records.get(key)
        state = record.state if record else State.NEW
        when = record.processed_at if record else None
        rows.append(Status(key, state, when, known.get(key), record))
    return tuple(rows)


def pending(
    files: tuple[MigrationFile, ...],
    records: Mapping[str, Record],
    environment: str,
    *,
    retry: bool = False,
) -> tuple[MigrationFile, ...]:
    """The migrations to run, in order. With ``retry`` those that did not finish are among them.

    :raises LockedError: if another run is at one of them.
    :raises ProjectError: if two have one name, unless both have run.
    :raises MigrationError: if one did not finish and nobody said to retry, naming it and the ways on;
        or if the database has a history and the checkout has no migrations at all.
    """
    if records and not files:
        raise MigrationError(
            f"There are no migrations here, but {environment!r} has run {len(records)}.",
            "Is this the right folder, and the checkout complete?",
        )
    _refuse_duplicates(files, records)
    due = []
    for status in list_status(files, records):
        if status.state is State.COMPLETED:
            continue
        if status.record is not None:
            refuse_if_running(status.record, environment)
        if status.state in (State.FAILED, State.PROCESSING) and not retry:
            raise _stands_in_the_way(status, environment)
        if status.file is not None:
            due.append(status.file)
        elif status.state is not State.NEW:
            raise MigrationError(
                f"{status.key} did not finish on {environment!r}, and its file is not here.",
                "Check out the version that has it, and finish it there.",
            )
    return tuple(due)


def _refuse_duplicates(files: tuple[MigrationFile, ...], records: Mapping[str, Record]) -> None:
    """Two of one name: mostly one file renamed, that would run twice. What has run both times may stay."""
    by_name: dict[str, MigrationFile] = {}
    for file in files:
        first = by_name.setdefault(file.name.casefold(), file)
        for one in (first, file) if first is not file else ():
            record = records.get(one.key)
            if record is None or record.state is not State.COMPLETED:
                raise ProjectError(
                    f"Two migrations are called {file.name!r}: {first.path.name} and {file.path.name}.",
                    "Rename the one that has not run anywhere yet.",
                )


def refuse_if_running(record: Record, environment: str) -> None:
    """Let nothing touch a migration while a process that we can see is running it.

    :raises LockedError: naming the process.
    """
    if record.state is State.PROCESSING and record.attempt is not None and record.attempt.alive:
        raise LockedError(
            f"{record.key} is being run on {environment!r} by {record.attempt.who}{_since(record)}.",
            "Wait until it is done, then try again.",
        )


def _stands_in_the_way(status: Status, environment: str) -> MigrationError:
    record = status.record
    attempt = record.attempt if record else None
    since = _since(record) if record else ""
    if status.state is State.FAILED:
        why = f": {attempt.error}" if attempt and attempt.error else "."
        return MigrationError(
            f"{status.key} failed on {environment!r}{since}, and nothing goes past it{why}",
            ways_on(status.key, environment),
        )
    by = f" by {attempt.who}" if attempt else ""
    return MigrationError(
        f"{status.key} was left in Processing on {environment!r}{by}{since}. It was cut off, unless it still "
        "runs on another machine. Nothing goes past it.",
        f"Make sure that it does not run, and look what it has done. {ways_on(status.key, environment)}",
    )


def ways_on(key: str, environment: str) -> str:
    """How to go on after a migration that did not finish, with the exact commands."""
    return (
        f"Mend it, then `monarch migrate_one {key} {environment}`,"
        f" or `monarch migrate {environment} --retry` to go on with the rest too."
    )


def _since(record: Record) -> str:
    return f" (since {record.processed_at:%Y-%m-%d %H:%M:%S} UTC)" if record.processed_at else ""
