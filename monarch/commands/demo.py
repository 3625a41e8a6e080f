"""``demo``."""

from __future__ import annotations

import click


@click.command("demo")
@click.argument("folder", default="monarch_demo")
def demo(folder: str) -> None:
    """Show all of it on a sample project in a new FOLDER.

    Starts two MongoDB servers of its own, fills them with sample data, and runs the real commands one after
    the other. The project stays there to play with; delete the folder when you are done.

    \b
    Examples:
      monarch demo
      monarch demo /tmp/monarch_demo
    """
    from monarch.demo import run_demo

    run_demo(folder, lambda line: click.secho(line, bold=line.startswith("$"), fg=_colour(line)))


def _colour(line: str) -> str | None:
    return "yellow" if line.startswith("#") else None
