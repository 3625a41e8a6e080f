"""Rolling back what has run on the environments of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monarch.errors import UsageError
from monarch.progress import SILENT, Progress, Question, ask_nothing
from monarch.project.runs import Preview, ProjectRuns, ShownPlan

if TYPE_CHECKING:
    from monarch.migrations.backwards.choose import RollbackSelection
    from monarch.migrations.backwards.rollback import RollbackPlan, RollbackResult
    from monarch.migrations.execution import MigrationResult


class ProjectRollbacks(ProjectRuns):
    """Undoing migrations by their own ``rollback``."""

    def rollback(
        self,
        environment: str,
        migration: str | None = None,
        progress: Progress = SILENT,
        *,
        wait: float | None = 0,
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> MigrationResult:
        """Undo the newest migration that has run, or the named one, by its own ``rollback``.

        :param preview: called before ``confirm`` with what `plan_rollback` returns.
        :raises MigrationError: if there is none, or it has no ``rollback``.
        """
        from monarch.migrations.backwards.rollback import RollbackRun

        with self._run(RollbackRun, environment, progress, confirm, preview) as run:
            return run.rollback(migration, wait=wait)

    def rollback_several(
        self,
        environment: str,
        *,
        to: str | None = None,
        steps: int | None = None,
        batch: bool = False,
        progress: Progress = SILENT,
        wait: float | None = 0,
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> RollbackResult:
        """Undo several migrations, the newest first; repeatable ones before the others.

        All are checked before the first one is undone. If one fails, those after it are not begun.

        :param to: the migration that stays; all that are newer are undone.
        :param steps: how many of the newest are undone.
        :param batch: what the last run of `migrate` did is undone.
        :param preview: called before ``confirm`` with what `plan_rollback` returns.
        :return: with what was undone as ``done``; nothing if nothing is newer than ``to``.
        :raises MigrationError: if one has no ``rollback``, its file is not here, or it fails.
        :raises UsageError: if not exactly one of ``to``, ``steps`` and ``batch`` is given.
        """
        from monarch.migrations.backwards.rollback import RollbackRun

        selection = _selection(to, steps, batch)
        with self._run(RollbackRun, environment, progress, confirm, preview) as run:
            return run.rollback_several(selection, wait=wait)

    def plan_rollback(
        self,
        environment: str,
        migration: str | None = None,
        *,
        to: str | None = None,
        steps: int | None = None,
        batch: bool = False,
        progress: Progress = SILENT,
    ) -> ShownPlan[RollbackPlan]:
        """Return what `rollback` would undo, or with one of the options `rollback_several`. Writes nothing.

        It raises what they raise.
        """
        from monarch.migrations.backwards.rollback import RollbackRun

        several = to is not None or steps is not None or batch
        if several and migration is not None:
            raise UsageError("A migration is named, and several are selected.", "Use one of the two.")
        selected = _selection(to, steps, batch) if several else migration
        return self._planned(RollbackRun, environment, lambda run: run.plan(selected), progress)


def _selection(to: str | None, steps: int | None, batch: bool) -> RollbackSelection:
    from monarch.migrations.backwards.choose import RollbackSelection

    if (to is not None) + (steps is not None) + batch != 1:
        raise UsageError("Several migrations are selected in no way, or in two.", "Use to, steps or batch.")
    if steps is not None and steps < 1:
        raise UsageError(f"{steps} migrations cannot be rolled back.", "Use a whole number from 1.")
    return RollbackSelection(to, steps, batch)
