"""``demo``."""

from __future__ import annotations

import click


@click.command("demo")
@click.argument("folder", default="monarch_demo")
def demo(folder: str) -> None:
    """Show how it all goes, on a sample project in a new FOLDER.

    Two MongoDB servers of its own, sample data, and the real commands one after another. The
    project stays there to play with; delete the folder when you are done.
    """
    from monarch.demo import run_demo

    run_demo(folder, lambda line: click.secho(line, bold=line.startswith("$"), fg=_colour(line)))


def _colour(line: str) -> str | None:
    return "yellow" if line.startswith("#") else None
