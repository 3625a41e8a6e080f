"""``init``."""

from __future__ import annotations

import click

from monarch.commands.console.lines import show
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.parsing.arguments import this_project
from monarch.databases import DEFAULT_KIND, KINDS


@click.command("init")
@click.option(
    "--kind",
    type=click.Choice(tuple(KINDS)),
    default=DEFAULT_KIND,
    show_default=True,
    help="The kind of database that they are for.",
)
@yes_option
def init(kind: str, yes: bool) -> None:
    """Make migrations/settings.py for this project.

    Asks before it replaces existing settings, and keeps the old file.

    \b
    Examples:
      monarch init
      monarch init --kind postgres
      monarch init --yes
    """
    project = this_project()
    if project.has_settings():
        confirm("migrations/settings.py already exists. Replace it with a new one?", yes)
    for path in project.init(kind):
        kept = " (your old settings)" if path.suffix == ".old" else ""
        show(f"Wrote {path.relative_to(project.root)}{kept}")
    show("Now enter your databases in migrations/settings.py. Then: monarch generate NAME")
