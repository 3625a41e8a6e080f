"""``verify_migration``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import asking, yes_option
from monarch.commands.console.streams import own_stdout
from monarch.commands.console.text import count, duration
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    MIGRATION,
    engine_option,
    json_option,
    this_project,
)
from monarch.databases import find_kind

if TYPE_CHECKING:
    from monarch.databases.environment import Environment
    from monarch.migrations.trial import TrialResult


@click.command("verify_migration")
@click.argument("migration", type=MIGRATION)
@click.argument("environment", type=ENVIRONMENT)
@engine_option
@json_option
@yes_option
def verify_migration(migration: str, environment: str, engine: str, as_json: bool, yes: bool) -> None:
    """Run MIGRATION twice on a scratch copy of ENVIRONMENT.

    Exits with 1 if the second run changes anything. The copy is a separate database on the server of
    ENVIRONMENT, and is dropped afterwards.

    \b
    Examples:
      monarch verify_migration add_indexes development
      monarch verify_migration add_indexes staging --json
    """
    project = this_project()
    ask = asking(project.environment(environment), "make a scratch copy beside", yes)
    with own_stdout(), ProgressBar() as bar:
        verified = project.verify_migration(migration, environment, engine=engine, progress=bar, confirm=ask)
    _show_verified(verified, project.environment(environment), as_json)
    if not verified.idempotent:
        click.get_current_context().exit(1)


def _show_verified(verified: TrialResult, environment: Environment, as_json: bool) -> None:
    if as_json:
        names = ("key", "idempotent", "had_run", "changed", "error", "elsewhere", "source_changed")
        print_json({name: getattr(verified, name) for name in names} | {"seconds": verified.first.seconds})
        return
    _, part = find_kind(environment.kind).words
    took, wrote = duration(verified.first.seconds), count(verified.first.documents, part)
    show(f"{verified.key} ran in {took}, and wrote {wrote}.")
    if verified.had_run:
        show("Note: it had run there before, so this was not its first run. Test that on an older copy.")
    if verified.elsewhere:
        others = ", ".join(verified.elsewhere)
        show(f"It wrote to other databases: {others}. That is not undone, and not verified.")
    if verified.source_changed:
        collections = ", ".join(verified.source_changed)
        show(f"Meanwhile {collections} of the environment itself changed, by the migration or by others.")
    if verified.error is not None:
        show(f"The second run failed: {verified.error}")
    elif verified.changed:
        show(f"The second run changed {', '.join(verified.changed)}: it is not idempotent.")
    elif verified.idempotent:
        show("The second run changed nothing: it can be run again.")
    else:
        show("Use self.database alone, and verify again when nobody else writes: so there is no verdict.")
