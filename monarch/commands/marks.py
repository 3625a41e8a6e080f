"""``mark`` and ``unlock``: what only a person can know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.output import Told, count, duration
from monarch.commands.console.questions import breathe, confirm, yes_option
from monarch.commands.parsing.arguments import ENVIRONMENT, MIGRATION, this_project
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.databases.lease import Holder

_STATES = ("completed", "new")


@click.command("mark")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("migrations", metavar="[MIGRATION]...", type=MIGRATION, nargs=-1)
@click.option("--as", "state", type=click.Choice(_STATES), help="What they are from now on.")
@click.option("--accept-edit", is_flag=True, help="Their files are meant to be as they are, or to be gone.")
@click.option(
    "--all",
    "all_of_them",
    is_flag=True,
    help="All that are here; with --accept-edit all that were edited or are gone.",
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
    """Record what you know of migrations on ENVIRONMENT.

    Nothing is run. `--as completed` says that they have run, `--as new` that they have not. Who says so is
    recorded.
    """
    from monarch.databases.history import MigrationState

    project = this_project()
    if bool(migrations) == all_of_them:
        wrong = "There are names, and --all." if migrations else "Which migrations?"
        raise UsageError(wrong, "Name them, or say --all for all that are here.")
    if (state is None) != accept_edit:
        wrong = "There is --as, and --accept-edit." if accept_edit else "What is to be recorded?"
        raise UsageError(wrong, "Say one of --as completed, --as new and --accept-edit.")
    breathe(project.environment(environment), "change the history of", yes)
    if state is None:
        said = "accepted as it is now"
        if all_of_them:
            marked = project.accept_all_edits(environment, Told())
        else:
            marked = project.accept_edits(environment, *migrations, progress=Told())
    else:
        said, now = f"marked as {state.capitalize()}", MigrationState(state.capitalize())
        if all_of_them:
            marked = project.mark_all(environment, state=now, progress=Told())
        else:
            marked = project.mark(environment, *migrations, state=now, progress=Told())
    for one in marked:
        was = "" if accept_edit else f", was {one.was.value}"
        click.echo(f"{one.key}: {said} on {environment}{was}")
    click.echo(f"{count(len(marked), 'migration')} {said}. Nothing was run.")


@click.command("unlock")
@click.argument("environment", type=ENVIRONMENT)
@yes_option
def unlock(environment: str, yes: bool) -> None:
    """Take the lock of ENVIRONMENT from a run that will not come back.

    The lock ends by itself 30 seconds after its run has died or was cut off; this is for what no clock can
    know. A run that is still there stops before it records anything more.
    """
    project = this_project()
    holder = project.holder(environment)
    if holder is None or holder.expired:
        click.echo(f"Nobody holds {environment}.")
        return
    click.echo(f"{environment} is held by {_told(holder)}.", err=True)
    breathe(project.environment(environment), "unlock", yes)
    confirm("Take it away from that run: are you SURE?", yes)
    if project.unlock(environment, holder):
        click.echo(f"Unlocked {environment}. See what was left: monarch list_migrations {environment}")
    else:
        click.echo(f"It was given back meanwhile. Nothing was changed on {environment}.")


def _told(holder: Holder) -> str:
    alive = ", which is on this machine and STILL RUNS" if holder.alive else ""
    return f"{holder.who}{alive}: {holder.purpose}, for {duration(holder.seconds)}"
