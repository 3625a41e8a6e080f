"""Changing what has run on a database: migrating, and rolling back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.databases.history import UNFINISHED, Action, MigrationState, Record
from monarch.databases.lease import Lease
from monarch.databases.migration import Migration
from monarch.errors import MigrationError, NoTransactions
from monarch.migrations.files.classes import Loaded, load_all
from monarch.migrations.files.find import MigrationFile, find_migration
from monarch.migrations.files.kinds import wrong_kind
from monarch.migrations.plan import (
    AlreadyRunning,
    PlannedMigration,
    Reason,
    RunSelection,
    choose_rollback,
    is_due,
    pending,
    refuse_if_any_is_running,
    refuse_if_running,
)
from monarch.migrations.waiting import DeadlineClock, hold, whole_history
from monarch.progress import Progress, Question, ask_nothing
from monarch.settings.hooks import HookContext, HookedRun, Hooks
from monarch.system.ci import Origin

if TYPE_CHECKING:
    from monarch.databases.base import MigrationClient
    from monarch.migrations.execution import MigrationResult
    from monarch.migrations.executor import Executor

_Records = Mapping[str, Record]


@dataclass(frozen=True)
class RunResult:
    """What a run of migrations did.

    ``known`` is how many migrations the checkout has, ``left`` are those that are still pending because they
    were not selected; ``backup`` was taken before the first one ran.
    """

    done: tuple[MigrationResult, ...]
    known: int
    only_in_database: tuple[str, ...] = ()
    backup: str | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class MigrationRun:
    """The migrations of the project at ``root``, its ``files``, on the ``database`` of ``environment``.

    ``confirm`` is called once a change is known to be possible, before anything is written. It may be called
    twice.
    """

    root: Path
    files: tuple[MigrationFile, ...]
    environment: Environment
    database: Database
    hooks: Hooks
    origin: Origin
    progress: Progress
    confirm: Question = ask_nothing

    def plan(self, selection: RunSelection) -> tuple[PlannedMigration, ...]:
        """List what `migrate` would run now, in order. Writes nothing."""
        with self.database.reading():
            records = self.database.history.read()
        steps = pending(self.files, records, self.environment.label, selection)
        return _in_order(steps, load_all(tuple(step.file for step in steps), self.root))

    def migrate(
        self,
        selection: RunSelection,
        *,
        wait: float | None = None,
        deadline: float | None = None,
        back_up: Callable[[], str] | None = None,
    ) -> RunResult:
        """Run what is pending of the ``selection``.

        Waits up to ``wait`` seconds for another run, or without limit if it is None. No migration begins
        later than ``deadline`` seconds from now, without those that a person takes to answer. ``back_up``
        takes a backup before the first one runs, and returns its name.

        :raises LockedError: if another run holds the database for longer.
        :raises MigrationError: if one fails, or an earlier one that did not finish blocks the rest.
        :raises DeadlineReached: if there is no time for the next one.
        """
        name = self.environment.label
        clock = DeadlineClock(deadline, self.confirm)
        records = whole_history(self.database, name, self.progress, clock.confirm)
        loaded: dict[str, Loaded] = {}
        try:
            steps = pending(self.files, records, name, selection)
        except AlreadyRunning:
            if wait == 0:
                raise
        else:
            if not steps and all(record.settled for record in records.values()):
                return self._result((), records)
            if steps and not records:
                self._note_if_empty()
            self._load(steps, loaded)  # so that a file that cannot be loaded is reported before any waiting
        clock.confirm()
        with self._hold(f"migrate {name}", wait, clock.left()) as lease:
            # Again: another run may have run some of them until now.
            records = self.database.history.read()
            steps = pending(self.files, records, name, selection)
            self._load(steps, loaded)
            return self._run(_in_order(steps, loaded), loaded, records, lease, clock.end, back_up)

    def migrate_one(self, file: MigrationFile, *, wait: float | None = 0) -> MigrationResult:
        """Run one migration, regardless of its recorded state.

        :raises LockedError: if another run holds the database.
        """
        name = self.environment.label
        records = self._history()
        if file.key in records:
            refuse_if_running(records[file.key], name)
        loaded: dict[str, Loaded] = {}
        self._load((PlannedMigration(file, Reason.NEW),), loaded)
        self.confirm()
        with self._hold(f"migrate_one {file.key} {name}", wait) as lease:
            records = self.database.history.read()
            seen = records.get(file.key)
            if seen is not None:
                refuse_if_running(seen, name)
            retried = seen is not None and seen.state in UNFINISHED
            step = PlannedMigration(file, Reason.RETRY if retried else Reason.NEW, seen)
            (done,) = self._run((step,), loaded, records, lease, command="migrate_one").done
        return done

    def rollback(self, migration: str | None = None, *, wait: float | None = 0) -> MigrationResult:
        """Undo the newest migration that has run, or the named one, by its own ``rollback``.

        :raises MigrationError: if there is none, or it has no ``rollback``, or another one did not finish, or
            it is another one after the question than before.
        """
        selected = None if migration is None else find_migration(self.files, migration)
        name = self.environment.label
        records = self._history()
        loaded: dict[str, Loaded] = {}
        expected = None
        if wait == 0:  # a run that is waited for may change the history
            expected = self._find_rollback(selected, records, loaded)
        self.confirm()
        with self._hold(f"rollback {name}", wait) as lease:
            records = self.database.history.read()
            file = self._find_rollback(selected, records, loaded)
            if expected not in (None, file):
                raise MigrationError(
                    f"Another run has changed the history of {name!r}: {file.key} would be rolled back, not "
                    f"{expected.key}. Nothing was rolled back.",
                    f"Check `monarch list_migrations {name}`, and try again.",
                )
            with self.database.work() as client:
                executor = self._executor(lease, client)
                return executor.run_one(file, loaded[file.key], Action.ROLLBACK, records[file.key])

    def _executor(
        self, lease: Lease, client: MigrationClient, backup: str | None = None, deadline: float | None = None
    ) -> Executor:
        # Imported when a migration runs: most deployments bring none.
        from monarch.migrations.execution import RunContext
        from monarch.migrations.executor import Executor

        context = RunContext(self.root, self.environment, self.origin, self.progress, backup, deadline)
        return Executor(context, self.database.recorder(lease), client)

    def _history(self) -> _Records:
        return whole_history(self.database, self.environment.label, self.progress, self.confirm)

    def _find_rollback(
        self, selected: MigrationFile | None, records: _Records, loaded: dict[str, Loaded]
    ) -> MigrationFile:
        """Return the migration to roll back, and add its class to ``loaded``."""
        refuse_if_any_is_running(records, self.environment.label)
        file = choose_rollback(self.files, records, self.environment.label, selected)
        self._load((PlannedMigration(file, Reason.NEW),), loaded)
        if loaded[file.key].kind.rollback is Migration.rollback:
            raise MigrationError(
                f"{file.key} has no rollback(), so it cannot be rolled back.",
                f"Write `def rollback(self):` in {file.shown_path}, or restore a backup.",
            )
        return file

    def _run(
        self,
        steps: tuple[PlannedMigration, ...],
        loaded: Mapping[str, Loaded],
        records: _Records,
        lease: Lease,
        deadline: float | None = None,
        back_up: Callable[[], str] | None = None,
        command: str = "migrate",
    ) -> RunResult:
        if not steps:
            self.database.recorder(lease).settle()
            return self._result((), records)
        context = HookContext(self.environment, tuple(step.key for step in steps), command)
        hooked = HookedRun(self.root, self.hooks, context, self.progress)
        backup = None
        try:
            hooked.call("before_migrate", "Nothing has run.")
            if back_up is not None:
                backup = back_up()
                self.progress.backed_up(backup)
            with self.database.work() as client:
                done = self._executor(lease, client, backup, deadline).run(steps, loaded)
            result = self._result(done, records, backup)
            hooked.call("after_migrate", "All migrations are done and recorded.", result)
        except BaseException as error:
            hooked.failed(error)
            raise
        return result

    def _note_if_empty(self) -> None:
        """Tell a person who may have misspelt the name of a database that it is empty, and which are not."""
        if self.database.contents().collections:
            return
        others = self.database.others()
        if others:
            shown = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
            self.progress.message(
                f"the database {self.environment.db_name} of {self.environment.label} is empty. "
                f"Its server also has: {shown}"
            )

    def _load(self, steps: tuple[PlannedMigration, ...], loaded: dict[str, Loaded]) -> None:
        """Add to ``loaded`` the classes of ``steps`` that are not there yet.

        :raises ProjectError: if one is of another kind of database.
        :raises MigrationError: if one needs a transaction, and the server has none.
        """
        loaded |= load_all(tuple(step.file for step in steps if step.key not in loaded), self.root)
        for key, one in loaded.items():
            if one.kind.database_kind not in (None, self.database.kind):
                kind = str(one.kind.database_kind)
                raise wrong_kind(key, kind, self.environment, " Nothing has run.")
        if transactional := [key for key, one in loaded.items() if one.kind.transaction]:
            try:
                self.database.require_transactions()
            except NoTransactions as error:
                raise MigrationError(
                    f"{transactional[0]} needs a transaction, but {error.message} Nothing has run.",
                    error.hint,
                ) from error

    def _result(
        self, done: tuple[MigrationResult, ...], records: _Records, backup: str | None = None
    ) -> RunResult:
        here = {file.key for file in self.files}
        ran = {one.key for one in done}
        due = [file.key for file in self.files if is_due(file, records.get(file.key))]
        left = tuple(key for key in due if key not in ran)
        known = {key for key, record in records.items() if record.state is not MigrationState.NEW}
        return RunResult(done, len(self.files), tuple(sorted(known - here)), backup, left)

    def _hold(
        self, purpose: str, wait: float | None, deadline: float | None = None
    ) -> AbstractContextManager[Lease]:
        return hold(self.database, purpose, self.progress, wait=wait, deadline=deadline, origin=self.origin)


def _in_order(
    steps: tuple[PlannedMigration, ...], loaded: Mapping[str, Loaded]
) -> tuple[PlannedMigration, ...]:
    """``steps`` with the repeatable ones after the others."""
    return tuple(sorted(steps, key=lambda step: loaded[step.key].kind.repeatable))
