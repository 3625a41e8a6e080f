"""``init``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.parsing.whereabouts import find
from monarch.databases import DEFAULT_KIND, KINDS
from monarch.errors import MonarchError


@click.command("init")
@click.option(
    "--kind",
    type=click.Choice(tuple(KINDS)),
    default=DEFAULT_KIND,
    show_default=True,
    help="The kind of database that they are for.",
)
@click.option("--folder", metavar="FOLDER", help="Call migrations/ otherwise, and note it in pyproject.toml.")
@yes_option
def init(kind: str, folder: str | None, yes: bool) -> None:
    """Make migrations/settings.py for this project.

    It is made in the current folder. If migrations/ there is that of Django or of another tool, name another
    folder. Asks before it replaces existing settings, and keeps the old file.

    \b
    Examples:
      monarch init
      monarch init --kind postgres
      monarch init --folder db_migrations
    """
    from monarch.project import Project

    place = find(upward=False)
    _note_project_above(place.root)
    project = Project(place.root)
    settings = Path(folder or place.folder) / place.settings_file
    if (project.root / settings).exists():
        confirm(f"{settings} already exists. Replace it with a new one?", yes)
    for path in project.init(kind, folder):
        kept = " (your old settings)" if path.suffix == ".old" else ""
        show(f"Wrote {path.relative_to(project.root)}{kept}")
    show(f"Now enter your databases in {settings}. Then: monarch generate NAME")


def _note_project_above(root: Path) -> None:
    from monarch.settings.search import find_place

    with suppress(MonarchError, OSError):
        above = find_place(root.parent)
        if above is not None:
            note(f"{above.root} is a project too. In {root.name}/ monarch will work on the new one.")
