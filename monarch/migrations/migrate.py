"""Changing what has run on a database: migrating, and going back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.databases.history import UNFINISHED, Action, MigrationState, Record
from monarch.databases.lease import Lease, LeaseHeld
from monarch.errors import DeadlineReached, MigrationError, MonarchError
from monarch.migrations.executor import Executor, MigrationResult, RunContext
from monarch.migrations.files import (
    Loaded,
    MigrationFile,
    find_migration,
    load_all,
)
from monarch.migrations.migration import Migration
from monarch.migrations.plan import (
    AlreadyRunning,
    PlannedMigration,
    Reason,
    RunSelection,
    is_due,
    is_half_rolled_back,
    pending,
    refuse_if_running,
    stands_in_the_way,
)
from monarch.migrations.waiting import hold, whole_history
from monarch.progress import Progress
from monarch.settings.hooks import HookContext, Hooks
from monarch.settings.paths import SETTINGS
from monarch.system.ci import Origin
from monarch.system.modules import describe_error, importable

_Records = Mapping[str, Record]
_Loaded = Mapping[str, Loaded]


@dataclass(frozen=True)
class RunResult:
    """What a run of migrations did.

    ``known`` is how many migrations the checkout has, ``left`` which of them are to run still, because they
    were not wanted; ``backup`` was taken before the first one ran.
    """

    done: tuple[MigrationResult, ...]
    known: int
    only_in_database: tuple[str, ...] = ()
    backup: str | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class MigrationRun:
    """The migrations of the project at ``root``, its ``files``, on the ``database`` of ``environment``."""

    root: Path
    files: tuple[MigrationFile, ...]
    environment: Environment
    database: Database
    hooks: Hooks
    origin: Origin
    progress: Progress

    def plan(self, wanted: RunSelection) -> tuple[PlannedMigration, ...]:
        """What `migrate` would run now, in order. Writes nothing."""
        steps = pending(self.files, self.database.history.read(), self.environment.name, wanted)
        return _in_order(steps, load_all(tuple(step.file for step in steps), self.root))

    def migrate(
        self,
        wanted: RunSelection,
        *,
        wait: float | None = None,
        deadline: float | None = None,
        back_up: Callable[[], str] | None = None,
    ) -> RunResult:
        """Run what is pending, as far as it is ``wanted``.

        Waits ``wait`` seconds for another run, or with None as long as it takes. No migration begins
        ``deadline`` seconds from now or later. ``back_up`` takes a backup before the first one runs, and
        returns its name.

        :raises LockedError: if another run holds the database for longer.
        :raises MigrationError: if one fails, or an earlier one that did not finish stands in the way.
        :raises DeadlineReached: if there is no time for the next one.
        """
        until = None if deadline is None else time.monotonic() + deadline
        records = self._whole_history()
        name = self.environment.name
        loaded: dict[str, Loaded] = {}
        try:
            steps = pending(self.files, records, name, wanted)
        except AlreadyRunning:
            if wait == 0:
                raise
        else:
            if not steps and all(record.settled for record in records.values()):
                return self._migrated((), records)
            self._load(steps, loaded)  # what cannot be loaded is told before anybody is waited for
        with self._held_until(f"migrate {name}", wait, deadline) as lease:
            # Again: until now somebody else may have run some of them.
            records = self.database.history.read()
            steps = pending(self.files, records, name, wanted)
            self._load(steps, loaded)
            return self._run(_in_order(steps, loaded), loaded, records, lease, until, back_up)

    def migrate_one(self, file: MigrationFile, *, wait: float | None = 0) -> MigrationResult:
        """Run one migration, whatever its recorded state is.

        :raises LockedError: if another run holds the database.
        """
        self._refuse_if_running(self._whole_history(), (file.key,))
        loaded: dict[str, Loaded] = {}
        self._load((PlannedMigration(file, Reason.NEW),), loaded)
        with self._held(f"migrate_one {file.key} {self.environment.name}", wait) as lease:
            records = self.database.history.read()
            self._refuse_if_running(records, (file.key,))
            seen = records.get(file.key)
            retried = seen is not None and seen.state in UNFINISHED
            step = PlannedMigration(file, Reason.RETRY if retried else Reason.NEW, seen)
            (done,) = self._run((step,), loaded, records, lease, None, None).done
        return done

    def rollback(self, name: str | None = None, *, wait: float | None = 0) -> MigrationResult:
        """Undo the newest migration that has run, or the one called ``name``, by its own ``rollback``.

        :raises MigrationError: if there is none, or it has no ``rollback``, or another one has not finished.
        """
        wanted = None if name is None else find_migration(self.files, name)
        self._whole_history()
        with self._held(f"rollback {self.environment.name}", wait) as lease:
            records = self.database.history.read()
            self._refuse_if_running(records, tuple(records))
            file = self._to_roll_back(wanted, records)
            loaded: dict[str, Loaded] = {}
            self._load((PlannedMigration(file, Reason.NEW),), loaded)
            if loaded[file.key].kind.rollback is Migration.rollback:
                raise MigrationError(
                    f"{file.key} has no rollback(), so there is no way back from it.",
                    f"Write `def rollback(self):` in {file.shown_path}, or restore a backup.",
                )
            with self.database.work() as work:
                runner = Executor(self._run_of(), self.database.recorder(lease), work)
                return runner.run_one(file, loaded[file.key], Action.ROLLBACK, records[file.key])

    def _run(
        self,
        steps: tuple[PlannedMigration, ...],
        loaded: _Loaded,
        records: _Records,
        lease: Lease,
        until: float | None,
        back_up: Callable[[], str] | None,
    ) -> RunResult:
        if not steps:
            self.database.recorder(lease).settle()
            return self._migrated((), records)
        context = HookContext(self.environment, tuple(step.key for step in steps))
        try:
            self._call("before_migrate", "Nothing has run.", context)
            backup = None if back_up is None else back_up()
            if backup is not None:
                self.progress.backed_up(backup)
            run = self._run_of(backup, until)
            with self.database.work() as work:
                done = Executor(run, self.database.recorder(lease), work).run(steps, loaded)
            migrated = self._migrated(done, records, backup)
            self._call("after_migrate", "All migrations are done and recorded.", context, migrated)
        except BaseException as error:
            self._tell_failure(context, error)
            raise
        return migrated

    def _call(self, name: str, so_far: str, *arguments: Any) -> None:
        hook = getattr(self.hooks, name)
        if hook is None:
            return
        try:
            with importable(self.root):
                hook(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # SystemExit too: one that says `exit(0)` has not done what a run may go on after.
            raise MigrationError(f"{name}() failed: {describe_error(error)}. {so_far}", _MEND) from error

    def _tell_failure(self, context: HookContext, error: BaseException) -> None:
        """What fails here is told, and does not hide why it was called."""
        try:
            self._call("on_failure", "", context, error)
        except MonarchError as failed:
            self.progress.noted(failed.message.strip())

    def _load(self, steps: tuple[PlannedMigration, ...], loaded: dict[str, Loaded]) -> None:
        """Add to ``loaded`` the classes of what is to run and is not there yet.

        :raises MigrationError: if one wants a transaction, and the server has none.
        """
        loaded |= load_all(tuple(step.file for step in steps if step.key not in loaded), self.root)
        wants = [key for key, one in loaded.items() if one.kind.transaction]
        if wants and not self.database.can_transact():
            raise MigrationError(
                f"{wants[0]} wants a transaction, and the server of {self.environment.name!r} has none: it "
                "is neither a replica set nor a sharded cluster. Nothing has run.",
                "Make it a replica set, of one member if you like, or take out `transaction = True`.",
            )

    def _run_of(self, backup: str | None = None, until: float | None = None) -> RunContext:
        return RunContext(self.root, self.environment, self.origin, self.progress, backup, until)

    def _migrated(
        self, done: tuple[MigrationResult, ...], records: _Records, backup: str | None = None
    ) -> RunResult:
        here = {file.key for file in self.files}
        ran = {one.key for one in done}
        due = [file.key for file in self.files if is_due(file, records.get(file.key))]
        left = tuple(key for key in due if key not in ran)
        known = {key for key, record in records.items() if record.state is not MigrationState.NEW}
        return RunResult(done, len(self.files), tuple(sorted(known - here)), backup, left)

    def _to_roll_back(self, wanted: MigrationFile | None, records: _Records) -> MigrationFile:
        name = self.environment.name
        again = [r for r in records.values() if r.state in UNFINISHED and is_half_rolled_back(r)]
        for record in sorted(records.values(), key=lambda record: record.key):
            if record.state in UNFINISHED and record not in again:
                here = any(file.key == record.key for file in self.files)
                raise stands_in_the_way(record, name, here=here)
        candidates = again or [r for r in records.values() if r.state is MigrationState.COMPLETED]
        keys = {record.key for record in candidates}
        if wanted is not None:
            if wanted.key not in keys and again:
                raise stands_in_the_way(again[0], name)
            if wanted.key not in keys:
                raise MigrationError(f"{wanted.key} has not run on {name!r}: there is nothing to roll back.")
            return wanted
        newest = max(keys, default=None)
        if newest is None:
            raise MigrationError(f"Nothing has run on {name!r}: there is nothing to roll back.")
        file = next((file for file in self.files if file.key == newest), None)
        if file is None:
            raise MigrationError(
                f"{newest} is the newest on {name!r}, and its file is not here.",
                "Check out the version that has it, and roll it back there.",
            )
        return file

    def _refuse_if_running(self, records: _Records, keys: tuple[str, ...]) -> None:
        for key in keys:
            if key in records:
                refuse_if_running(records[key], self.environment.name)

    def _whole_history(self) -> _Records:
        return whole_history(self.database, self.environment.name, self.progress)

    @contextmanager
    def _held_until(self, purpose: str, wait: float | None, deadline: float | None) -> Iterator[Lease]:
        """The lease, waited for no longer than until the deadline."""
        if deadline is None or (wait is not None and wait <= deadline):
            with self._held(purpose, wait) as lease:
                yield lease
            return
        with ExitStack() as stack:
            try:
                lease = stack.enter_context(self._held(purpose, deadline))
            except LeaseHeld as held:
                raise DeadlineReached(f"The deadline came: {held.message}", held.hint) from held
            yield lease

    @contextmanager
    def _held(self, purpose: str, wait: float | None) -> Iterator[Lease]:
        with hold(self.database, purpose, self.progress, wait=wait, origin=self.origin) as lease:
            yield lease


_MEND = f"It stands in {SETTINGS}."


def _in_order(steps: tuple[PlannedMigration, ...], loaded: _Loaded) -> tuple[PlannedMigration, ...]:
    """Those that repeat come behind the others."""
    return tuple(sorted(steps, key=lambda step: loaded[step.key].kind.repeatable))
