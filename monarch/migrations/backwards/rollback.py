"""Rolling back migrations on a database, one or several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monarch.databases.history import Action, MigrationState, Record
from monarch.databases.lease import Lease
from monarch.errors import MigrationError, MonarchError, RunInterrupted
from monarch.migrations.backwards.batch import LastRun, find_batch, find_runs
from monarch.migrations.backwards.choose import (
    RollbackSelection,
    choose_rollback,
    choose_rollbacks,
    find_half_done,
)
from monarch.migrations.execution import MigrationResult
from monarch.migrations.files.classes import Loaded
from monarch.migrations.files.find import MigrationFile, find_migration
from monarch.migrations.migrate import DatabaseRun
from monarch.migrations.plan import refuse_if_any_is_running
from monarch.settings.hooks import HookContext, HookedRun

_Records = Mapping[str, Record]
# Keys in an error; of more it says their number.
_MOST_NAMED = 5


@dataclass(frozen=True)
class PlannedRollback:
    """A migration that will be rolled back. ``record`` is that in the history, ``loaded`` its class.

    ``by_hand``: a person has marked it as Completed, monarch has not run it. ``edited``: its file has changed
    since it ran.
    """

    file: MigrationFile
    record: Record
    loaded: Loaded
    by_hand: bool = False
    edited: bool = False

    @property
    def key(self) -> str:
        return self.file.key

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks about it, for people."""
        remarks = {
            "repeatable": self.loaded.kind.repeatable,
            "its rollback did not finish": self.record.state is not MigrationState.COMPLETED,
            "marked by hand": self.by_hand,
            "file edited since it ran": self.edited,
        }
        return tuple(remark for remark, applies in remarks.items() if applies)


@dataclass(frozen=True)
class RollbackPlan:
    """What would be rolled back, in order. ``batch`` is the run that did it, if that was selected."""

    steps: tuple[PlannedRollback, ...]
    batch: LastRun | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(step.key for step in self.steps)


@dataclass(frozen=True)
class RollbackResult:
    """What was rolled back, in order."""

    done: tuple[MigrationResult, ...]


@dataclass(frozen=True)
class RollbackRun(DatabaseRun):
    """Rolls migrations back by their own ``rollback``. Its ``preview`` takes a `RollbackPlan`.

    What `plan` raises, `rollback` and `rollback_several` raise too.
    """

    def plan(self, selected: str | RollbackSelection | None = None) -> RollbackPlan:
        """Return what would be rolled back: one migration, or with a `RollbackSelection` several.

        Writes nothing.

        :raises MigrationError: if there is none, or one has no ``rollback``, or its file is not here, or
            another one did not finish.
        :raises ProjectError: if the file of one cannot be loaded.
        """
        with self.database.reading():
            return self._plan(selected, self.database.history.read(), {}, described=True)

    def rollback(self, migration: str | None = None, *, wait: float | None = 0) -> MigrationResult:
        """Undo the newest migration that has run, or the named one.

        :raises MigrationError: also if it is another one after the question than before.
        """
        return self._run(migration, wait).done[0]

    def rollback_several(self, selection: RollbackSelection, *, wait: float | None = 0) -> RollbackResult:
        """Undo the migrations of the ``selection``, the newest first. Stops at the first that fails.

        :raises MigrationError: also if they are other ones after the question than before.
        """
        return self._run(selection, wait)

    def _run(self, selected: str | RollbackSelection | None, wait: float | None) -> RollbackResult:
        name = self.environment.label
        if isinstance(selected, str):
            find_migration(self.files, selected)  # before the server is asked
        records = self.history()
        loaded: dict[str, Loaded] = {}
        shown = None
        if wait == 0 or self.preview is not None:  # a run that is waited for may change the history
            shown = self._plan(selected, records, loaded, described=self.preview is not None)
            if not shown.steps:
                return RollbackResult(())
            self.ask(shown)
        else:
            self.confirm()
        with self.hold(f"rollback {name}", wait) as lease:
            plan = self._plan(selected, self.database.history.read(), loaded)
            if shown is not None and plan.keys != shown.keys:
                raise _changed(plan, shown, name)
            if not plan.steps:
                return RollbackResult(())
            context = HookContext(self.environment, plan.keys, "rollback")
            hooked = HookedRun(self.root, self.hooks, context, self.progress)
            try:
                hooked.call("before_rollback", "Nothing was rolled back.")
                result = RollbackResult(self._undo(plan, selected, lease))
                hooked.call("after_rollback", "What was selected is rolled back, and recorded.", result)
            except BaseException as error:
                hooked.failed(error)
                raise
            return result

    def _plan(
        self,
        selected: str | RollbackSelection | None,
        records: _Records,
        loaded: dict[str, Loaded],
        *,
        described: bool = False,
    ) -> RollbackPlan:
        """Return what to roll back, with all remarks if ``described``; add the classes to ``loaded``."""
        name, history, batch = self.environment.label, self.database.history, None
        refuse_if_any_is_running(records, name)
        if isinstance(selected, RollbackSelection):
            if selected.batch:
                find_half_done(records, {file.key: file for file in self.files}, name)  # or it is blocked
                batch = find_batch(history.entries(), records, name)
            files = choose_rollbacks(self.files, records, name, selected, batch)
        else:
            file = None if selected is None else find_migration(self.files, selected)
            files = (choose_rollback(self.files, records, name, file),)
        self.load(files, loaded)
        _require_rollback(files, loaded, name)
        runs = find_runs(history.entries()) if described else {}
        checksums = history.checksums() if described else {}
        steps = [
            PlannedRollback(
                file,
                records[file.key],
                loaded[file.key],
                by_hand=file.key in runs and runs[file.key] is None,
                edited=checksums.get(file.key) not in (None, loaded[file.key].checksum),
            )
            for file in files
        ]
        return RollbackPlan(tuple(sorted(steps, key=_order)), batch)

    def _undo(
        self, plan: RollbackPlan, selected: str | RollbackSelection | None, lease: Lease
    ) -> tuple[MigrationResult, ...]:
        done: list[MigrationResult] = []
        if len(plan.steps) > 1:
            self.progress.rolling_back(self.environment.label, plan.keys)
        try:
            with self.database.work() as client:
                executor = self.executor(lease, client)
                for step in plan.steps:
                    if self.progress.must_stop():  # a signal, which the migration before swallowed
                        raise RunInterrupted("Interrupted.")
                    done.append(executor.run_one(step.file, step.loaded, Action.ROLLBACK, step.record))
        except MonarchError as error:
            if isinstance(error.result, MigrationResult):  # a signal came while it was recorded
                done.append(error.result)
            if isinstance(selected, RollbackSelection) and len(plan.steps) > 1:
                _tell_what_is_left(error, plan, len(done), selected, self.environment.label)
            raise
        return tuple(done)


def _order(step: PlannedRollback) -> tuple[bool, bool]:
    """One that was begun comes first; then repeatable ones, which `migrate` runs after the others."""
    return step.record.state is MigrationState.COMPLETED, not step.loaded.kind.repeatable


def _require_rollback(
    files: tuple[MigrationFile, ...], loaded: Mapping[str, Loaded], environment: str
) -> None:
    without = [file for file in files if not loaded[file.key].can_roll_back]
    if not without:
        return
    file = without[0]
    named = ", ".join(one.key for one in without[:_MOST_NAMED])
    if len(without) > _MOST_NAMED:
        named += f" and {len(without) - _MOST_NAMED} more"
    if len(files) == 1:
        raise MigrationError(
            f"{file.key} has no rollback(), so it cannot be rolled back.",
            f"Write `def rollback(self):` in {file.shown_path}, or restore a backup.",
        )
    raise MigrationError(
        f"{named}: no rollback(), so these {len(files)} migrations cannot be "
        "rolled back. Nothing was rolled back.",
        f"Write `def rollback(self):` in {file.shown_path}, or restore a backup. If nothing is to be undone, "
        f"run `monarch mark {environment} {file.key} --as new`.",
    )


def _changed(plan: RollbackPlan, shown: RollbackPlan, environment: str) -> MigrationError:
    if len(plan.keys) == len(shown.keys) == 1:
        what = f"{plan.keys[0]} would be rolled back, not {shown.keys[0]}"
    else:
        what = "other migrations would be rolled back than before"
    return MigrationError(
        f"Another run has changed the history of {environment!r}: {what}. Nothing was rolled back.",
        f"Check `monarch list_migrations {environment}`, and try again.",
    )


def _tell_what_is_left(
    error: MonarchError, plan: RollbackPlan, done: int, selection: RollbackSelection, environment: str
) -> None:
    """Add to ``error`` what is rolled back and what is not, and how to go on."""
    left = plan.keys[done:]
    if not left:
        return
    named = ", ".join(left[:_MOST_NAMED])
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    error.message = f"{error.message.rstrip('.')}."
    error.message += (
        f" Rolled back and recorded: {done} of {len(plan.steps)} migrations. Left: {named}{more}."
    )
    way_on = f"To roll back the rest too: monarch rollback {environment} {selection.option(len(left))}"
    error.hint = f"{error.hint.rstrip('.')}. {way_on}" if error.hint else way_on
