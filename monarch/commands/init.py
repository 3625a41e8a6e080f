"""``init``."""

from __future__ import annotations

import click

from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.parsing.arguments import this_project


@click.command("init")
@yes_option
def init(yes: bool) -> None:
    """Make migrations/settings.py for this project.

    Asks before it puts new settings in the place of those that are there, and keeps the old file.
    """
    project = this_project()
    if project.has_settings():
        confirm("migrations/settings.py is there already. Put a new one in its place?", yes)
    for path in project.init():
        kept = " (your old settings)" if path.suffix == ".old" else ""
        click.echo(f"Wrote {path.relative_to(project.root)}{kept}")
    click.echo("Now tell migrations/settings.py where your databases are. Then: monarch generate NAME")
