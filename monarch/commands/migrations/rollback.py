"""``rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import show
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import asking, yes_option
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    MIGRATION,
    this_project,
)

if TYPE_CHECKING:
    pass


@click.command("rollback")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("migration", type=MIGRATION, required=False)
@yes_option
def rollback(environment: str, migration: str | None, yes: bool) -> None:
    """Undo the newest migration on ENVIRONMENT, or MIGRATION.

    Calls its own rollback(). Afterwards it is New, and runs again with the next `migrate`.

    \b
    Examples:
      monarch rollback development
      monarch rollback production add_indexes
    """
    project = this_project()
    ask = asking(project.environment(environment), "roll back a migration on", yes)
    with ProgressBar() as bar:
        done = project.rollback(environment, migration, bar, confirm=ask)
    show(f"{done.key} is rolled back on {environment}, and is New there.")
