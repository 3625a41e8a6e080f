"""``init``."""

from __future__ import annotations

import click

from monarch.commands.console.lines import show
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.parsing.arguments import this_project


@click.command("init")
@yes_option
def init(yes: bool) -> None:
    """Make migrations/settings.py for this project.

    Asks before it replaces existing settings, and keeps the old file.

    \b
    Examples:
      monarch init
      monarch init --yes
    """
    project = this_project()
    if project.has_settings():
        confirm("migrations/settings.py already exists. Replace it with a new one?", yes)
    for path in project.init():
        kept = " (your old settings)" if path.suffix == ".old" else ""
        show(f"Wrote {path.relative_to(project.root)}{kept}")
    show("Now enter your databases in migrations/settings.py. Then: monarch generate NAME")
