"""``demo``."""

from __future__ import annotations

import click

from monarch.commands.console.lines import show
from monarch.databases import DEFAULT_KIND
from monarch.demo.samples import SAMPLES


@click.command("demo")
@click.argument("folder", default="monarch_demo")
@click.option(
    "--kind",
    type=click.Choice(tuple(SAMPLES)),
    default=DEFAULT_KIND,
    show_default=True,
    help="The kind of database that it shows.",
)
def demo(folder: str, kind: str) -> None:
    """Show all of it on a sample project in a new FOLDER.

    Starts two small database servers of its own, fills them with sample data, and runs the real commands one
    after the other. The project stays there to play with; delete the folder when you are done.

    \b
    Examples:
      monarch demo
      monarch demo /tmp/monarch_demo
      monarch demo --kind postgres
    """
    from monarch.demo.story import run_demo

    run_demo(folder, kind, _show)


def _show(line: str) -> None:
    show((line, "yellow") if line.startswith("#") else line, bold=line.startswith("$"))
