"""Record which migrations have run on a database, and accept edited files, without running anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    """A migration that a person has marked: its state before, and now.

    ``edited``: its file has changed since it ran, which is to be accepted. ``gone``: its file is not here.
    """

    key: str
    was: MigrationState
    now: MigrationState
    edited: bool = False
    gone: bool = False


# What marking would change.
MarkPlan = tuple[MarkResult, ...]


@dataclass(frozen=True)
class Marker:
    """The migrations in ``files``, on the ``database`` that people call ``environment``.

    ``confirm`` is called once a marking is known to be possible, before anything is written; ``preview``
    before it with the plan, and nothing else is recorded then.
    """

    files: tuple[MigrationFile, ...]
    environment: str
    database: Database
    origin: Origin
    progress: Progress
    confirm: Question = ask_nothing
    preview: Callable[[MarkPlan], object] | None = None

    def plan(self, names: tuple[str, ...], state: MigrationState | None) -> MarkPlan:
        """Return what `mark` would record, or without ``state`` what `accept` would. Writes nothing."""
        with self.database.reading():
            records = self.database.history.read()
            return self._accepted(names, records) if state is None else self._marked(names, state, records)

    def plan_all(self, state: MigrationState | None) -> MarkPlan:
        """`plan` for `mark_all`, or without ``state`` for `accept_all`."""
        if state is not None:
            return self.plan(self._all(), state)
        with self.database.reading():
            records = self.database.history.read()
            return self._accepted(self._to_accept(records), records)

    def mark(self, names: tuple[str, ...], state: MigrationState) -> tuple[MarkResult, ...]:
        """Record that migrations are Completed or New, without running anything.

        :raises ProjectError: if one is known neither here nor there.
        :raises LockedError: if another run holds the database.
        """
        shown = self._marked(names, state, self._history())
        if not shown:
            return ()
        self._ask(shown)
        with self._hold() as lease:
            records = self.database.history.read()
            marked = self._marked(names, state, records)
            self._refuse_changed(shown, marked)
            recorder = self.database.recorder(lease)
            here = {file.key: file for file in self.files}
            for key in (one.key for one in marked):
                file = here.get(key)
                repeats = _repeats(file, records.get(key))
                recorder.mark(key, state, checksum(file) if file else None, self.origin, repeats)
            return marked

    def accept(self, names: tuple[str, ...]) -> tuple[MarkResult, ...]:
        """Record that the files of migrations that have run were edited, or deleted, on purpose.

        :raises MigrationError: if one of them has not run.
        """
        shown = self._accepted(names, self._history())
        if not shown:
            return ()
        self._ask(shown)
        with self._hold() as lease:
            records = self.database.history.read()
            accepted = self._accepted(names, records)
            self._refuse_changed(shown, accepted)
            recorder = self.database.recorder(lease)
            here = {file.key: file for file in self.files}
            for key in (one.key for one in accepted):
                file = here.get(key)
                repeats = _repeats(file, records.get(key))
                recorder.accept(key, checksum(file) if file else None, self.origin, repeats)
            return accepted

    def mark_all(self, state: MigrationState) -> tuple[MarkResult, ...]:
        """`mark` every migration of this checkout."""
        return self.mark(self._all(), state)

    def accept_all(self) -> tuple[MarkResult, ...]:
        """`accept` every migration that has run and whose file was edited since, or is gone."""
        return self.accept(self._to_accept(self._history()))

    def _all(self) -> tuple[str, ...]:
        return tuple(file.key for file in self.files)

    def _to_accept(self, records: _Records) -> tuple[str, ...]:
        rows = list_status(self.files, records, self.database.history.checksums())
        completed = [row for row in rows if row.state is MigrationState.COMPLETED]
        return tuple(row.key for row in completed if row.edited or row.gone)

    def _ask(self, plan: MarkPlan) -> None:
        if self.preview is not None:
            self.preview(plan)
        self.confirm()

    def _refuse_changed(self, shown: MarkPlan, now: MarkPlan) -> None:
        if self.preview is not None and now != shown:
            raise MigrationError(
                f"The history of {self.environment!r} or a file has changed since the plan was shown. "
                "Nothing was recorded.",
                "Run the command again. It shows the new plan.",
            )

    def _history(self) -> _Records:
        return whole_history(self.database, self.environment, self.progress, self.confirm)

    def _marked(self, names: tuple[str, ...], state: MigrationState, records: _Records) -> MarkPlan:
        """Return what the migrations that ``names`` mean will be, none of which is running."""
        keys = tuple(self._key(name, records) for name in names)
        for key in keys:
            if key in records:
                refuse_if_running(records[key], self.environment)
        here = self._all()
        return tuple(
            MarkResult(key, _state(records, key), state, gone=key not in here) for key in dict.fromkeys(keys)
        )

    def _accepted(self, names: tuple[str, ...], records: _Records) -> MarkPlan:
        """Return the migrations that ``names`` mean, all of which have run."""
        keys = tuple(self._key(name, records) for name in names)
        for key in keys:
            if _state(records, key) is not MigrationState.COMPLETED:
                raise MigrationError(
                    f"{key} is {_state(records, key).value} on {self.environment!r}: there is no "
                    "edit to accept.",
                    "Nothing was recorded.",
                )
        done = MigrationState.COMPLETED
        rows = list_status(self.files, records, self.database.history.checksums())
        found = {row.key: row for row in rows}
        return tuple(
            MarkResult(key, done, done, found[key].edited, gone=found[key].file is None)
            for key in dict.fromkeys(keys)
        )

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
