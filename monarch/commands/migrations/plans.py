"""What running, rolling back and marking migrations would do: for people and for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.text import count
from monarch.commands.migrations.entries import iso_time, shown_time
from monarch.commands.reports.plans import before_question, nothing_changed, show_target, target_as_json
from monarch.databases.history import MigrationState
from monarch.migrations.plan import Reason

if TYPE_CHECKING:
    from monarch.databases.environment import Environment
    from monarch.migrations.backwards.batch import LastRun
    from monarch.migrations.backwards.rollback import PlannedRollback, RollbackPlan
    from monarch.migrations.mark import MarkPlan, MarkResult
    from monarch.migrations.plan import MigrationPlan, PlannedMigration
    from monarch.project.runs import Preview, ShownPlan


def preview(show_plan: Callable[[Any, str], None], environment: str) -> Preview:
    """Return what shows a plan before the question, by ``show_plan``, and then its target."""

    def show_first(shown: ShownPlan[Any]) -> None:
        with before_question():
            show_plan(shown.plan, environment)
            show_target(shown.target, err=False)

    return show_first


def print_plan(
    shown: ShownPlan[Any],
    environment: str,
    show_plan: Callable[[Any, str], None],
    rows: list[dict[str, Any]],
    as_json: bool,
    **more: Any,
) -> None:
    """Print a plan that no question follows: by ``show_plan``, or as JSON with ``rows`` and ``more``."""
    if as_json:
        print_json({"target": target_as_json(shown.target), "migrations": rows, **more})
        return
    show_plan(shown.plan, environment)
    show_target(shown.target, err=False)
    nothing_changed()


def show_migrations(plan: MigrationPlan, environment: str, *, backup: bool = False) -> None:
    """Print which migrations would run, and why; with ``backup``, that one is taken before."""
    for key in plan.running:
        show(f"Another run is running {key} now. This one waits for it, and leaves out what that one does.")
    if not plan.steps:
        show(f"Nothing would run on {environment}.")
        return
    rows = [(step.key, step.why.value, ", ".join(_remarks(step)) or "-") for step in plan.steps]
    print_table(("MIGRATION", "WHY", "REMARKS"), rows, states=(1,), keys=(0,))
    show(f"{count(len(plan.steps), 'migration')} would run on {environment}, in this order.")
    if backup:
        show("Before them, a backup would be taken and verified.")


def _remarks(step: PlannedMigration) -> list[str]:
    remarks = {"repeatable": step.repeatable, "no rollback()": not step.can_roll_back}
    return [remark for remark, applies in remarks.items() if applies]


def migrations_as_json(steps: tuple[PlannedMigration, ...], environment: Environment) -> list[dict[str, Any]]:
    """Return what ``--json`` prints of the migrations that would run."""
    return [
        {
            "key": step.key,
            "file": step.file.shown_path,
            "why": step.why.value,
            "state": step.state.value,
            "late": step.why is Reason.LATE,
            "repeatable": step.repeatable,
            "can_roll_back": step.can_roll_back,
            "environment": environment.label,
            "database": environment.db_name,
            "server": environment.server or None,
        }
        for step in steps
    ]


def show_rollbacks(plan: RollbackPlan, environment: str) -> None:
    """Print which migrations would be rolled back."""
    if plan.batch is not None:
        show(_describe_run(plan.batch, environment))
    if not plan.steps:
        show(f"Nothing would be rolled back on {environment}.")
        return
    rows = [
        (step.key, shown_time(step.record.processed_at), ", ".join(step.remarks) or "-")
        for step in plan.steps
    ]
    print_table(("MIGRATION", "PROCESSED AT (UTC)", "REMARKS"), rows, keys=(0,))
    show(f"{count(len(plan.steps), 'migration')} would be rolled back on {environment}, in this order.")


def _describe_run(run: LastRun, environment: str) -> str:
    when = f" began at {shown_time(run.began)} UTC" if run.began else ""
    where = f" on {run.environment}" if run.environment not in (None, environment) else ""
    who = f" by {run.user}@{run.host}" if run.host else ""
    return f"The last run{where}{who}{when or ' has no time'}."


def last_run_as_json(plan: RollbackPlan) -> dict[str, Any] | None:
    """Return what ``--json`` prints of the run that ``--batch`` would undo; None if that is not selected."""
    run = plan.batch
    if run is None:
        return None
    return {
        "began_at": iso_time(run.began),
        "user": run.user,
        "host": run.host,
        "environment": run.environment,
    }


def rollbacks_as_json(plan: RollbackPlan) -> list[dict[str, Any]]:
    """Return what ``--json`` prints of the migrations that would be rolled back."""
    return [_rollback_as_json(step) for step in plan.steps]


def _rollback_as_json(step: PlannedRollback) -> dict[str, Any]:
    return {
        "key": step.key,
        "file": step.file.shown_path,
        "state": step.record.state.value,
        "processed_at": iso_time(step.record.processed_at),
        "repeatable": step.loaded.kind.repeatable,
        "can_roll_back": step.loaded.can_roll_back,
        "marked_by_hand": step.by_hand,
        "edited": step.edited,
    }


def show_marks(plan: MarkPlan, environment: str) -> None:
    """Print what would be recorded of which migrations."""
    if not plan:
        show(f"Nothing would be recorded on {environment}.")
        return
    rows = [(one.key, one.was.value, one.now.value, _effect(one)) for one in plan]
    print_table(("MIGRATION", "STATE", "MARK", "THEN"), rows, states=(1, 2), keys=(0,))
    show(f"{count(len(plan), 'migration')} would be marked on {environment}. Nothing would run.")


def _effect(one: MarkResult) -> str:
    if one.gone:
        return "its file is not here"
    if one.was is one.now:
        return "-"
    return "migrate runs it" if one.now is MigrationState.NEW else "migrate skips it"


def show_accepted(plan: MarkPlan, environment: str) -> None:
    """Print which edits would be accepted."""
    if not plan:
        show(f"Nothing would be accepted on {environment}: no file was edited or deleted.")
        return
    print_table(("MIGRATION", "ITS FILE"), [(one.key, _change(one)) for one in plan], keys=(0,))
    show(
        f"{count(len(plan), 'migration')} would be accepted as it is now on {environment}. Nothing would run."
    )


def _change(one: MarkResult) -> str:
    if one.gone:
        return "is gone"
    return "was edited" if one.edited else "is the one that ran"


def marks_as_json(plan: MarkPlan) -> list[dict[str, Any]]:
    """Return what ``--json`` prints of what would be recorded."""
    return [{**vars(one), "was": one.was.value, "now": one.now.value} for one in plan]
