"""``mark``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import show
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import asking, yes_option
from monarch.commands.console.text import count
from monarch.commands.parsing.arguments import ENVIRONMENT, MIGRATION, this_project
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.migrations.mark import MarkResult
    from monarch.progress import Question
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
@yes_option
def mark(
    environment: str,
    migrations: tuple[str, ...],
    state: str | None,
    accept_edit: bool,
    all_of_them: bool,
    yes: bool,
) -> None:
    """Record that migrations on ENVIRONMENT have run, or not.

    Runs nothing. `--as completed` records that they have run, `--as new` that they have not. Your name is
    recorded too.

    \b
    Examples:
      monarch mark production --all --as completed
      monarch mark production add_indexes --as new
      monarch mark production add_indexes --accept-edit
    """
    project = this_project()
    if bool(migrations) == all_of_them:
        wrong = "Both migrations and --all are given." if migrations else "No migration is named."
        raise UsageError(wrong, "Name the migrations, or use --all for all of this checkout.")
    if (state is None) != accept_edit:
        wrong = "Both --as and --accept-edit are given." if accept_edit else "No state is given."
        raise UsageError(wrong, "Use one of --as completed, --as new and --accept-edit.")
    ask = asking(project.environment(environment), "change the history of", yes)
    if state is not None:
        marked, recorded = _mark(project, environment, migrations, state.capitalize(), ask)
    else:
        marked, recorded = _accept(project, environment, migrations, ask)
    for one in marked:
        was = "" if accept_edit else f", was {one.was.value}"
        show(f"{one.key}: {recorded} on {environment}{was}")
    show(f"{count(len(marked), 'migration')} {recorded}. Nothing was run.")


def _mark(
    project: Project, environment: str, migrations: tuple[str, ...], state: str, ask: Question
) -> tuple[tuple[MarkResult, ...], str]:
    """Mark ``migrations``, or all if there are none; return them, and what was recorded, in words."""
    from monarch.databases.history import MigrationState

    recorded, progress = MigrationState(state), ProgressLines()
    if migrations:
        marked = project.mark(environment, *migrations, state=recorded, progress=progress, confirm=ask)
    else:
        marked = project.mark_all(environment, state=recorded, progress=progress, confirm=ask)
    return marked, f"marked as {state}"


def _accept(
    project: Project, environment: str, migrations: tuple[str, ...], ask: Question
) -> tuple[tuple[MarkResult, ...], str]:
    """As `_mark`, but accept the edits of their files."""
    progress = ProgressLines()
    if migrations:
        marked = project.accept_edits(environment, *migrations, progress=progress, confirm=ask)
    else:
        marked = project.accept_all_edits(environment, progress, confirm=ask)
    return marked, "accepted as it is now"
