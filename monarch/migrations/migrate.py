"""Running migrations on a database; `monarch.migrations.backwards` rolls them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.databases.history import UNFINISHED, MigrationState, Record
from monarch.databases.lease import Lease
from monarch.errors import MigrationError, NoTransactions
from monarch.migrations.files.classes import Loaded, load_all
from monarch.migrations.files.find import MigrationFile
from monarch.migrations.files.kinds import wrong_kind
from monarch.migrations.plan import (
    AlreadyRunning,
    MigrationPlan,
    PlannedMigration,
    Reason,
    RunSelection,
    is_due,
    newest_completed,
    pending,
    refuse_if_running,
    refuse_other_steps,
    without_running,
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
class DatabaseRun:
    """What running and rolling back migrations have in common.

    The ``files`` of the project at ``root`` work on the ``database`` of ``environment``. ``confirm`` is
    called once a change is known to be possible, before anything is written. It may be called twice.
    ``preview`` is called before it with the plan; only what that says is then done.
    """

    root: Path
    files: tuple[MigrationFile, ...]
    environment: Environment
    database: Database
    hooks: Hooks
    origin: Origin
    progress: Progress
    confirm: Question = ask_nothing
    preview: Callable[[Any], object] | None = None

    def ask(self, plan: object) -> None:
        """Show ``plan`` if that is wanted, and ask."""
        if self.preview is not None:
            self.preview(plan)
        self.confirm()

    def history(self) -> Mapping[str, Record]:
        """Read the history; ask, and finish a copy first that was cut off."""
        return whole_history(self.database, self.environment.label, self.progress, self.confirm)

    def hold(
        self, purpose: str, wait: float | None, deadline: float | None = None
    ) -> AbstractContextManager[Lease]:
        """Hold the lease of the database; see `hold`."""
        return hold(self.database, purpose, self.progress, wait=wait, deadline=deadline, origin=self.origin)

    def executor(
        self, lease: Lease, client: MigrationClient, backup: str | None = None, deadline: float | None = None
    ) -> Executor:
        """Return what runs migrations through ``client``."""
        # Imported when a migration runs: most deployments bring none.
        from monarch.migrations.execution import RunContext
        from monarch.migrations.executor import Executor

        context = RunContext(self.root, self.environment, self.origin, self.progress, backup, deadline)
        return Executor(context, self.database.recorder(lease), client)

    def load(self, files: Iterable[MigrationFile], loaded: dict[str, Loaded]) -> None:
        """Add to ``loaded`` the classes of ``files`` that are not there yet.

        :raises ProjectError: if one is of another kind of database.
        :raises MigrationError: if one needs a transaction, and the server has none.
        """
        loaded |= load_all(tuple(file for file in files if file.key not in loaded), self.root)
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


@dataclass(frozen=True)
class MigrationRun(DatabaseRun):
    """A run of migrations. Its ``preview`` takes a `MigrationPlan`."""

    def plan(self, selection: RunSelection) -> MigrationPlan:
        """Return what `migrate` would run now. Writes nothing."""
        with self.database.reading():
            records = self.database.history.read()
        steps = pending(self.files, records, self.environment.label, selection)
        return MigrationPlan(self._in_order(steps, {}))

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
        clock = DeadlineClock(deadline)
        # A copy that was cut off is finished before there is a plan.
        records = whole_history(self.database, name, self.progress, clock.stopped(self.confirm))
        loaded: dict[str, Loaded] = {}
        try:
            steps = pending(self.files, records, name, selection)
        except AlreadyRunning:
            if wait == 0:
                raise
            plan = self._plan_beside(records, selection, loaded)
        else:
            if not steps and all(record.settled for record in records.values()):
                return self._result((), records)
            if steps and not records:
                self._note_if_empty()
            # Loaded now, so that a file that cannot be is reported before any waiting.
            plan = MigrationPlan(self._in_order(steps, loaded))
        clock.stopped(lambda: self.ask(plan))()
        with self.hold(f"migrate {name}", wait, clock.left()) as lease:
            # Again: another run may have run some of them until now.
            records = self.database.history.read()
            steps = pending(self.files, records, name, selection)
            if self.preview is not None:
                refuse_other_steps(plan, steps, name)
            return self._run(self._in_order(steps, loaded), loaded, records, lease, clock.end, back_up)

    def _plan_beside(
        self, records: _Records, selection: RunSelection, loaded: dict[str, Loaded]
    ) -> MigrationPlan:
        """Return what there will be to do once the run is done that runs a migration now."""
        if self.preview is None:
            return MigrationPlan(())
        steps = pending(self.files, without_running(records), self.environment.label, selection)
        running = tuple(key for key, one in records.items() if one.state is MigrationState.PROCESSING)
        return MigrationPlan(self._in_order(steps, loaded), running)

    def plan_one(self, file: MigrationFile) -> MigrationPlan:
        """Return what `migrate_one` would run now. Writes nothing."""
        with self.database.reading():
            records = self.database.history.read()
        return self._plan_one(file, records, {})

    def migrate_one(self, file: MigrationFile, *, wait: float | None = 0) -> MigrationResult:
        """Run one migration, regardless of its recorded state.

        :raises LockedError: if another run holds the database.
        """
        name = self.environment.label
        loaded: dict[str, Loaded] = {}
        plan = self._plan_one(file, self.history(), loaded)
        self.ask(plan)
        with self.hold(f"migrate_one {file.key} {name}", wait) as lease:
            records = self.database.history.read()
            now = self._plan_one(file, records, loaded)
            if self.preview is not None:
                refuse_other_steps(plan, now.steps, name)
            (done,) = self._run(now.steps, loaded, records, lease, command="migrate_one").done
        return done

    def _plan_one(self, file: MigrationFile, records: _Records, loaded: dict[str, Loaded]) -> MigrationPlan:
        seen = records.get(file.key)
        if seen is not None:
            refuse_if_running(seen, self.environment.label)
        why = Reason.LATE if file.key < newest_completed(records) else Reason.NEW
        if seen is not None and seen.state in UNFINISHED:
            why = Reason.RETRY
        elif seen is not None and seen.state is MigrationState.COMPLETED:
            why = Reason.AGAIN
        return MigrationPlan(self._in_order((PlannedMigration(file, why, seen),), loaded))

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
                done = self.executor(lease, client, backup, deadline).run(steps, loaded)
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

    def _in_order(
        self, steps: tuple[PlannedMigration, ...], loaded: dict[str, Loaded]
    ) -> tuple[PlannedMigration, ...]:
        """Return ``steps`` with their classes, which are ``loaded``, the repeatable ones after the others."""
        self.load((step.file for step in steps), loaded)
        found = (replace(step, loaded=loaded[step.key]) for step in steps)
        return tuple(sorted(found, key=lambda step: loaded[step.key].kind.repeatable))

    def _result(
        self, done: tuple[MigrationResult, ...], records: _Records, backup: str | None = None
    ) -> RunResult:
        here = {file.key for file in self.files}
        ran = {one.key for one in done}
        due = [file.key for file in self.files if is_due(file, records.get(file.key))]
        left = tuple(key for key in due if key not in ran)
        known = {key for key, record in records.items() if record.state is not MigrationState.NEW}
        return RunResult(done, len(self.files), tuple(sorted(known - here)), backup, left)
