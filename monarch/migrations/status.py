"""The state of each migration on an environment, and of all of them together. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monarch.databases import open_database
from monarch.databases.base import Database
from monarch.databases.history import UNFINISHED, HistoryReader, JournalEntry, MigrationState, Record
from monarch.errors import MonarchError
from monarch.migrations.files.find import MigrationFile, checksum, find_migration
from monarch.migrations.files.names import whole_key
from monarch.migrations.plan import is_due, newest_completed
from monarch.migrations.waiting import whole_history
from monarch.progress import Progress

if TYPE_CHECKING:
    from monarch.databases.several.targets import ChosenDatabase

_Known = Mapping[str, str | None]
# Environments that are read at the same time: each mostly waits for its server.
_AT_ONCE = 8


@dataclass(frozen=True)
class MigrationStatus:
    """One line of ``list_migrations``.

    ``file`` is None if the checkout does not have it. ``late``: it has not run, and newer ones have.
    ``edited``: it has run, and its file has changed since. ``gone``: it has run, and its file is missing,
    which no person has accepted. ``changed``: it is repeatable, and will run again.
    """

    key: str
    state: MigrationState
    processed_at: datetime | None
    file: MigrationFile | None
    record: Record | None = None
    late: bool = False
    edited: bool = False
    gone: bool = False
    changed: bool = False

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks about it beside its state."""
        remarks = {
            "late": self.late,
            "edited": self.edited,
            "file missing": self.gone,
            "file changed, runs again": self.changed,
        }
        return tuple(remark for remark, applies in remarks.items() if applies)


def list_status(
    files: tuple[MigrationFile, ...], records: Mapping[str, Record], known: _Known | None
) -> tuple[MigrationStatus, ...]:
    """Every migration that the checkout or the database has, in the order of their keys.

    ``known`` are the checksums of the files when they ran; without them edits are not reported.
    """
    here = {file.key: file for file in files}
    newest = newest_completed(records)
    accepted = {key for key, checksum_ in (known or {}).items() if checksum_ is None}
    rows = []
    for key in sorted({*here, *records}):
        record, file = records.get(key), here.get(key)
        state = record.state if record else MigrationState.NEW
        if file is None and state is MigrationState.NEW:
            continue  # a person marked it as New, and its file does not exist
        done = state is MigrationState.COMPLETED
        changed = done and file is not None and is_due(file, record)
        edited = False
        ran_with = None if known is None else known.get(key)
        if done and file is not None and not changed and ran_with is not None:
            edited = ran_with != checksum(file)
        rows.append(
            MigrationStatus(
                key,
                state,
                record.processed_at if record else None,
                file,
                record,
                late=state is MigrationState.NEW and file is not None and key < newest,
                edited=edited,
                gone=state is not MigrationState.NEW
                and file is None
                and known is not None
                and key not in accepted,
                changed=changed,
            )
        )
    return tuple(rows)


@dataclass(frozen=True)
class Verdict:
    """Whether an environment is up to date: the keys of migrations that are not, by the reason.

    ``ahead``: they have run there and are newer than all files of the checkout. ``gone``: they have run
    there, and their files are missing here.
    """

    environment: str
    unfinished: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    known: int = 0


def judge(environment: str, rows: tuple[MigrationStatus, ...]) -> Verdict:
    """The verdict on all of ``rows``."""
    newest = max((row.key for row in rows if row.file is not None), default="")
    missing = [row for row in rows if row.gone and row.state is MigrationState.COMPLETED]
    waits = [row for row in rows if (row.state is MigrationState.NEW and row.file is not None) or row.changed]
    return Verdict(
        environment,
        unfinished=tuple(
            r.key for r in rows if r.state in UNFINISHED and r.state is not MigrationState.PROCESSING
        ),
        running=tuple(row.key for row in rows if row.state is MigrationState.PROCESSING),
        pending=tuple(row.key for row in waits),
        late=tuple(row.key for row in waits if row.late),
        edited=tuple(row.key for row in rows if row.edited),
        gone=tuple(row.key for row in missing if row.key < newest),
        ahead=tuple(row.key for row in missing if row.key > newest),
        known=sum(row.file is not None for row in rows),
    )


def read_status(
    files: tuple[MigrationFile, ...], database: Database, environment: str, progress: Progress
) -> tuple[MigrationStatus, ...]:
    """Every migration with its state on ``database``, once a copy that was cut off there is finished."""
    records = whole_history(database, environment, progress)
    return list_status(files, records, database.history.checksums())


def check_status(files: tuple[MigrationFile, ...], history: HistoryReader, environment: str) -> Verdict:
    """Whether ``environment`` is up to date. Asks its server at most twice."""
    records = history.read()
    # To recognize a run that was cut off, `read` has already asked twice.
    cut_off = any(r.state is MigrationState.INTERRUPTED or not r.settled for r in records.values())
    return judge(environment, list_status(files, records, None if cut_off else history.checksums()))


@dataclass(frozen=True)
class EnvironmentStatus:
    """The migrations of one environment: ``rows``, or the ``error`` if they could not be read.

    ``hint`` and ``exit_code`` belong to the error. ``incomplete`` if a key of the environment has no value on
    this machine.
    """

    environment: str
    rows: tuple[MigrationStatus, ...]
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    incomplete: bool = False

    @property
    def verdict(self) -> Verdict | None:
        """Whether it is up to date; None if it could not be read."""
        return judge(self.environment, self.rows) if self.error is None else None


def read_all_status(
    files: Mapping[str, tuple[MigrationFile, ...]], targets: Sequence[ChosenDatabase], root: Path
) -> tuple[EnvironmentStatus, ...]:
    """The status of all ``targets`` of the project at ``root``, read at the same time.

    ``files`` are the migrations that run on each kind of database.
    """
    from concurrent.futures import ThreadPoolExecutor

    def read(target: ChosenDatabase) -> EnvironmentStatus:
        name = target.environment.label
        try:
            with open_database(target.require(), root) as database:
                history = database.history
                return EnvironmentStatus(
                    name,
                    list_status(files[target.environment.kind], history.read(), history.checksums()),
                )
        except MonarchError as error:
            incomplete = target.environment.missing is not None
            return EnvironmentStatus(name, (), error.message, error.hint, error.exit_code, incomplete)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(read, targets))


def read_journal(
    files: tuple[MigrationFile, ...],
    history: HistoryReader,
    migration: str | None,
    last: int | None,
    *,
    everything: bool = False,
) -> tuple[JournalEntry, ...]:
    """The journal: all of it, or that of one ``migration``, or only its ``last`` N entries.

    ``everything`` is as in `HistoryReader.entries`.

    :raises ProjectError: if there is no such migration.
    """
    key = None if migration is None else whole_key(migration)
    entries = history.entries(key, last=last, everything=everything)
    if migration is not None and not entries:  # A whole key is found even if its file is gone.
        entries = history.entries(find_migration(files, migration).key, last=last, everything=everything)
    return entries
