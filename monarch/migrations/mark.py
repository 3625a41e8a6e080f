"""Record which migrations have run on a database, and accept edited files, without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from monarch.databases.base import Database
from monarch.databases.history import MigrationState, Record
from monarch.databases.lease import Lease
from monarch.errors import MigrationError, ProjectError
from monarch.migrations.files.classes import says_repeatable
from monarch.migrations.files.find import MigrationFile, checksum, find_migration
from monarch.migrations.files.names import name_of, shown_key
from monarch.migrations.plan import refuse_if_running
from monarch.migrations.status import list_status
from monarch.migrations.waiting import hold, whole_history
from monarch.progress import Progress, Question, ask_nothing
from monarch.system.ci import Origin

_Records = Mapping[str, Record]


@dataclass(frozen=True)
class MarkResult:
    """A migration that a person has marked: its state before, and now."""

    key: str
    was: MigrationState
    now: MigrationState


@dataclass(frozen=True)
class Marker:
    """The migrations in ``files``, on the ``database`` that people call ``environment``.

    ``confirm`` is called once a marking is known to be possible, before anything is written.
    """

    files: tuple[MigrationFile, ...]
    environment: str
    database: Database
    origin: Origin
    progress: Progress
    confirm: Question = ask_nothing

    def mark(self, names: tuple[str, ...], state: MigrationState) -> tuple[MarkResult, ...]:
        """Record that migrations are Completed or New, without running anything.

        :raises ProjectError: if one is known neither here nor there.
        :raises LockedError: if another run holds the database.
        """
        self._markable(names, self._history())
        self.confirm()
        with self._hold() as lease:
            records = self.database.history.read()
            keys = self._markable(names, records)
            recorder = self.database.recorder(lease)
            here = {file.key: file for file in self.files}
            for key in keys:
                file = here.get(key)
                repeats = _repeats(file, records.get(key))
                recorder.mark(key, state, checksum(file) if file else None, self.origin, repeats)
            return tuple(MarkResult(key, _state(records, key), state) for key in keys)

    def accept(self, names: tuple[str, ...]) -> tuple[MarkResult, ...]:
        """Record that the files of migrations that have run were edited, or deleted, on purpose.

        :raises MigrationError: if one of them has not run.
        """
        self._acceptable(names, self._history())
        self.confirm()
        with self._hold() as lease:
            records = self.database.history.read()
            keys = self._acceptable(names, records)
            recorder = self.database.recorder(lease)
            here = {file.key: file for file in self.files}
            for key in keys:
                file = here.get(key)
                repeats = _repeats(file, records.get(key))
                recorder.accept(key, checksum(file) if file else None, self.origin, repeats)
            return tuple(MarkResult(key, MigrationState.COMPLETED, MigrationState.COMPLETED) for key in keys)

    def mark_all(self, state: MigrationState) -> tuple[MarkResult, ...]:
        """`mark` every migration of this checkout."""
        return self.mark(tuple(file.key for file in self.files), state)

    def accept_all(self) -> tuple[MarkResult, ...]:
        """`accept` every migration that has run and whose file was edited since, or is gone."""
        rows = list_status(self.files, self._history(), self.database.history.checksums())
        completed = [row for row in rows if row.state is MigrationState.COMPLETED]
        return self.accept(tuple(row.key for row in completed if row.edited or row.gone))

    def _history(self) -> _Records:
        return whole_history(self.database, self.environment, self.progress, self.confirm)

    def _markable(self, names: tuple[str, ...], records: _Records) -> tuple[str, ...]:
        """Return the keys that ``names`` mean, none of which is running."""
        keys = tuple(self._key(name, records) for name in names)
        for key in keys:
            if key in records:
                refuse_if_running(records[key], self.environment)
        return keys

    def _acceptable(self, names: tuple[str, ...], records: _Records) -> tuple[str, ...]:
        """Return the keys that ``names`` mean, all of which have run."""
        keys = tuple(self._key(name, records) for name in names)
        for key in keys:
            if _state(records, key) is not MigrationState.COMPLETED:
                raise MigrationError(
                    f"{key} is {_state(records, key).value} on {self.environment!r}: there is no "
                    "edit to accept.",
                    "Nothing was recorded.",
                )
        return keys

    def _key(self, name: str, records: _Records) -> str:
        """The key that ``name`` means, also of a migration whose file is gone."""
        try:
            return find_migration(self.files, name).key
        except ProjectError:
            gone = [key for key in records if name in (key, shown_key(key), name_of(key))]
            if len(gone) == 1:
                return gone[0]
            raise

    def _hold(self) -> AbstractContextManager[Lease]:
        return hold(self.database, f"mark {self.environment}", self.progress, origin=self.origin)


def _repeats(file: MigrationFile | None, record: Record | None) -> bool | None:
    """Whether a migration is repeatable; False if it no longer is, None if it never was."""
    if file is not None and says_repeatable(file):
        return True
    return False if record is not None and record.repeats is not None else None


def _state(records: _Records, key: str) -> MigrationState:
    return records[key].state if key in records else MigrationState.NEW
