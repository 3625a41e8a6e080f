"""``mark``."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import show
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import asking, asks, confirm, yes_option
from monarch.commands.console.text import count
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    MIGRATION,
    plan_json_option,
    plan_option,
    require_plan,
    this_project,
)
from monarch.databases.history import MigrationState
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.migrations.mark import MarkResult
    from monarch.project import Project


_STATES = ("completed", "new")


@click.command("mark")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("migrations", metavar="[MIGRATION]...", type=MIGRATION, nargs=-1)
@click.option("--as", "state", type=click.Choice(_STATES), help="The state to record.")
@click.option("--accept-edit", is_flag=True, help="Accept that their files were edited or deleted.")
@click.option(
    "--all",
    "all_of_them",
    is_flag=True,
    help="All migrations of this checkout; with --accept-edit all that were edited or deleted.",
)
@plan_option("Show what would be recorded, and change nothing.")
@plan_json_option
@yes_option
def mark(
    environment: str,
    migrations: tuple[str, ...],
    state: str | None,
    accept_edit: bool,
    all_of_them: bool,
    plan: bool,
    as_json: bool,
    yes: bool,
) -> None:
    """Record that migrations on ENVIRONMENT have run, or not.

    Runs nothing. `--as completed` records that they have run, `--as new` that they have not. Your name is
    recorded too.

    \b
    Examples:
      monarch mark production --all --as completed --plan
      monarch mark production add_indexes --as new
      monarch mark production add_indexes --accept-edit
    """
    require_plan(plan, as_json)
    project = this_project()
    if bool(migrations) == all_of_them:
        wrong = "Both migrations and --all are given." if migrations else "No migration is named."
        raise UsageError(wrong, "Name the migrations, or use --all for all of this checkout.")
    if (state is None) != accept_edit:
        wrong = "Both --as and --accept-edit are given." if accept_edit else "No state is given."
        raise UsageError(wrong, "Use one of --as completed, --as new and --accept-edit.")
    recorded = None if state is None else MigrationState(state.capitalize())
    if plan:
        _print_plan(project, environment, migrations, recorded, as_json)
        return
    marked = _record(project, environment, migrations, recorded, yes)
    what = "accepted as it is now" if recorded is None else f"marked as {recorded.value}"
    for one in marked:
        was = "" if accept_edit else f", was {one.was.value}"
        show(f"{one.key}: {what} on {environment}{was}")
    show(f"{count(len(marked), 'migration')} {what}. Nothing was run.")


def _print_plan(
    project: Project,
    environment: str,
    migrations: tuple[str, ...],
    state: MigrationState | None,
    as_json: bool,
) -> None:
    from monarch.commands.migrations.plans import marks_as_json, print_plan, show_accepted, show_marks

    shown = project.plan_mark(environment, *migrations, state=state, progress=ProgressLines())
    show_plan = show_accepted if state is None else show_marks
    print_plan(shown, environment, show_plan, marks_as_json(shown.plan), as_json)


def _record(
    project: Project,
    environment: str,
    migrations: tuple[str, ...],
    state: MigrationState | None,
    yes: bool,
) -> tuple[MarkResult, ...]:
    """Mark ``migrations``, or all if there are none; without ``state``, accept the edits of their files."""
    target, progress = project.environment(environment), ProgressLines()
    ask, show_first = asking(target, "change the history of", yes), None
    if asks(target, yes):
        from monarch.commands.migrations.plans import preview, show_accepted, show_marks

        show_first = preview(show_accepted if state is None else show_marks, environment)
    elif state is MigrationState.NEW and not migrations and not yes and sys.stdin.isatty():
        from monarch.commands.migrations.plans import preview, show_marks

        again = f"Mark all migrations of {environment} as New, so that they run again: are you SURE?"
        ask, show_first = partial(confirm, again, yes), preview(show_marks, environment)
    how: dict[str, Any] = {"progress": progress, "confirm": ask, "preview": show_first}
    if state is None:
        if migrations:
            return project.accept_edits(environment, *migrations, **how)
        return project.accept_all_edits(environment, **how)
    if migrations:
        return project.mark(environment, *migrations, state=state, **how)
    return project.mark_all(environment, state=state, **how)
