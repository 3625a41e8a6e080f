"""``rollback``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import show
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import asking, asks, confirm, when_possible, yes_option
from monarch.commands.console.streams import own_stdout
from monarch.commands.console.text import count
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    MIGRATION,
    WholeNumber,
    plan_json_option,
    plan_option,
    require_plan,
    this_project,
)
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.databases.environment import Environment
    from monarch.project import Project
    from monarch.project.runs import ShownPlan


@click.command("rollback")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("migration", type=MIGRATION, required=False)
@click.option("--to", metavar="MIGRATION", type=MIGRATION, help="Undo all that are newer; this one stays.")
@click.option("--steps", metavar="N", type=WholeNumber(), help="Undo the N newest.")
@click.option("--batch", is_flag=True, help="Undo what the last run of migrate did.")
@plan_option("Show what would be undone, and change nothing.")
@plan_json_option
@yes_option
def rollback(
    environment: str, migration: str | None, plan: bool, as_json: bool, yes: bool, **several: Any
) -> None:
    """Undo the newest migration on ENVIRONMENT, or MIGRATION.

    Calls its own rollback(). Afterwards it is New, and runs again with the next `migrate`. With --to, --steps
    or --batch undoes several, the newest first. All are checked before the first one, the plan is shown, and
    the first that fails stops the rest.

    \b
    Examples:
      monarch rollback production add_indexes
      monarch rollback production --to add_indexes --plan
      monarch rollback development --batch
    """
    require_plan(plan, as_json)
    _require_one_way(migration, several)
    project = this_project()
    if plan:
        with own_stdout():  # modules may print when they are imported
            shown = project.plan_rollback(environment, migration, progress=ProgressLines(), **several)
        _print_plan(shown, environment, as_json)
    elif _selected(several):
        _roll_back_several(project, environment, yes, several)
    else:
        _roll_back(project, environment, migration, yes)


def _require_one_way(migration: str | None, several: dict[str, Any]) -> None:
    """Check that one way to select migrations is used.

    :raises UsageError: if two are.
    """
    ways = [] if migration is None else ["MIGRATION"]
    ways += _selected(several)
    if len(ways) > 1:
        raise UsageError(
            f"{ways[0]} and {ways[1]} both say what to undo.",
            "Use one of them: MIGRATION undoes one, --to, --steps and --batch undo several.",
        )


def _selected(several: dict[str, Any]) -> list[str]:
    """Return the options that were given; an empty text, such as that of an unset variable, is one."""
    return [f"--{name}" for name, value in several.items() if value not in (None, False)]


def _print_plan(shown: ShownPlan[Any], environment: str, as_json: bool) -> None:
    from monarch.commands.migrations.plans import (
        last_run_as_json,
        print_plan,
        rollbacks_as_json,
        show_rollbacks,
    )

    rows, run = rollbacks_as_json(shown.plan), last_run_as_json(shown.plan)
    print_plan(shown, environment, show_rollbacks, rows, as_json, last_run=run)


def _roll_back(project: Project, environment: str, migration: str | None, yes: bool) -> None:
    from monarch.commands.migrations.plans import preview, show_rollbacks

    target = project.environment(environment)
    ask = asking(target, "roll back a migration on", yes)
    show_first = preview(show_rollbacks, environment) if asks(target, yes) else None
    with ProgressBar() as bar:
        done = project.rollback(environment, migration, bar, confirm=ask, preview=show_first)
    show(f"{done.key} is rolled back on {environment}, and is New there.")


def _roll_back_several(project: Project, environment: str, yes: bool, several: dict[str, Any]) -> None:
    from monarch.commands.migrations.plans import preview, show_rollbacks

    ask = when_possible(_asking(project.environment(environment), yes))
    show_first = None if yes else preview(show_rollbacks, environment)
    with ProgressBar() as bar:
        done = project.rollback_several(
            environment, progress=bar, confirm=ask, preview=show_first, **several
        ).done
    if done:
        verb = "is" if len(done) == 1 else "are"
        show(f"{count(len(done), 'migration')} {verb} rolled back on {environment}, and New there.")
    else:
        show(f"Nothing newer than {several['to']} has run on {environment}: nothing to roll back.")


def _asking(target: Environment, yes: bool) -> Callable[[], None]:
    """The breath-o-lizer of a hazardous environment, or else a question: several are a lot to lose."""
    if asks(target, yes):
        return asking(target, "roll back these migrations on", yes)
    return lambda: confirm(f"Roll back these migrations on {target.label}: are you SURE?", yes)
