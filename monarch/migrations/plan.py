"""What is to run, decided from the files and the history alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from monarch.errors import MigrationError
from monarch.history import Record, State
from monarch.migrations.files import MigrationFile


@dataclass(frozen=True)
class Status:
    """One line of ``list_migrations``. ``file`` is None where only the database knows of it."""

    key: str
    state: State
    processed_at: datetime | None
    file: MigrationFile | None


def list_status(files: tuple[MigrationFile, ...], records: Mapping[str, Record]) -> tuple[Status, ...]:
    """Every migration that the checkout or the database knows, in order of their keys."""
    known = {file.key: file for file in files}
    rows = []
    for key in sorted({*known, *records}):
        record = records.get(key)
        state = record.state if record else State.NEW
        rows.append(Status(key, state, record.processed_at if record else None, known.get(key)))
    return tuple(rows)


def pending(
    files: tuple[MigrationFile, ...],
    records: Mapping[str, Record],
    environment: str,
    *,
    retry: bool = False,
) -> tuple[MigrationFile, ...]:
    """The migrations to run, in order. With ``retry`` those that did not finish are among them.

    :raises MigrationError: if one did not finish and nobody said to retry, naming it and the ways on;
        or if the database has a history and the checkout has no migrations at all.
    """
    if records and not files:
        raise MigrationError(
            f"There are no migrations here, but {environment!r} has run {len(records)}.",
            "Is this the right folder, and the checkout complete?",
        )
    due = []
    for status in list_status(files, records):
        if status.state is State.COMPLETED:
            continue
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


def _stands_in_the_way(status: Status, environment: str) -> MigrationError:
    if status.state is State.FAILED:
        what = "failed"
    else:
        what = "was left in Processing: its run was cut off, or is still going on,"
    since = f" (since {status.processed_at:%Y-%m-%d %H:%M:%S} UTC)" if status.processed_at else ""
    return MigrationError(
        f"{status.key} {what} on {environment!r}{since}. Nothing goes past it.",
        f"Look what it has done, then: monarch migrate_one {status.key} {environment}"
        f"   or: monarch migrate {environment} --retry",
    )
