"""What ``migrate`` would run on several databases, and the question before it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.questions import breathe_all, when_possible
from monarch.commands.console.text import count
from monarch.commands.migrations.plans import migrations_as_json
from monarch.commands.several.outcomes import show_failure
from monarch.errors import MonarchError, SomeFailed

if TYPE_CHECKING:
    from monarch.databases.environment import Environment
    from monarch.databases.several.targets import ChosenDatabase
    from monarch.migrations.plan import PlannedMigration
    from monarch.project import Project

# The arguments of `Project.migrate` that select migrations.
_SELECTION = ("retry", "to", "only", "strict_order")


@dataclass(frozen=True)
class Plan:
    """What would run on one database, or the ``error`` why nothing would."""

    environment: Environment
    steps: tuple[PlannedMigration, ...] = ()
    error: MonarchError | None = None


def read_plans(project: Project, targets: Sequence[ChosenDatabase], how: dict[str, Any]) -> list[Plan]:
    """Return what would run on each of ``targets``. Writes nothing."""
    selection = {name: how[name] for name in _SELECTION}
    found = []
    for target in targets:
        environment = target.environment
        try:
            found.append(Plan(environment, project.plan(target.require().label, **selection)))
        except MonarchError as error:
            found.append(Plan(environment, error=error))
    return found


def show_plans(plans: Sequence[Plan], as_json: bool) -> None:
    """Print ``plans``.

    :raises SomeFailed: once all are printed, if there are errors among them.
    """
    if as_json:
        print_json([_as_json(plan) for plan in plans])
    else:
        rows = [(plan.environment.label, step.key, step.why.value) for plan in plans for step in plan.steps]
        if rows:
            print_table(("ENVIRONMENT", "MIGRATION", "WHY"), rows, states=(2,), keys=(1,))
        due = sum(bool(plan.steps) for plan in plans)
        show(f"{count(len(rows), 'migration')} would run on {due} of {count(len(plans), 'database')}.")
    failed = [(plan.environment.label, plan.error) for plan in plans if plan.error is not None]
    for number, (label, error) in enumerate(failed, 1):
        show_failure(label, f"{number} of {len(failed)}", error.message, error.hint)
    if failed:
        names = ", ".join(label for label, _ in failed)
        raise SomeFailed(
            f"{len(failed)} of {count(len(plans), 'database')} cannot be migrated: {names}.",
            "The lines above say why.",
            [error for _, error in failed],
        )


def _as_json(plan: Plan) -> dict[str, Any]:
    steps = migrations_as_json(plan.steps, plan.environment)
    error = plan.error.message if plan.error is not None else None
    return {"environment": plan.environment.label, "migrations": steps, "error": error}


def ask_once(project: Project, targets: Sequence[ChosenDatabase], how: dict[str, Any], *, yes: bool) -> None:
    """Show what would run, and ask before hazardous environments are changed.

    :raises Declined: on a wrong answer.
    :raises UsageError: without a terminal.
    """
    from monarch.settings.protection import why_hazardous

    environments = [target.environment for target in targets if target.error is None]
    if yes or not any(map(why_hazardous, environments)):
        return

    def ask() -> None:
        breathe_all(environments, "migrate")

    when_possible(ask)
    plans = [plan for plan in read_plans(project, targets, how) if plan.steps or plan.error is not None]
    rows = [(plan.environment.label, str(len(plan.steps)), _reason(plan)) for plan in plans]
    if any(plan.steps for plan in plans):
        print_table(("ENVIRONMENT", "PENDING", "FIRST"), rows, right=(1,), keys=(2,))
        ask()


def _reason(plan: Plan) -> str:
    return plan.steps[0].key if plan.error is None else plan.error.message
