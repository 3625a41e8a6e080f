"""``generate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import note, show
from monarch.commands.parsing.arguments import (
    this_project,
)
from monarch.databases import DEFAULT_KIND, KINDS, find_kind
from monarch.errors import SettingsError

if TYPE_CHECKING:
    from monarch.project import Project


@click.command("generate")
@click.argument("name")
@click.option("--kind", type=click.Choice(tuple(KINDS)), help="The kind of database that it is for.")
def generate(name: str, kind: str | None) -> None:
    """Write a new migration called NAME.

    `create` is the same. If there is a migrations/migration.py.tmpl, it is used instead of monarch's.
    Without --kind it is for the kind of database that the settings have.

    \b
    Examples:
      monarch generate add_indexes
      monarch create rename_users
      monarch generate add_invoices --kind postgres
    """
    project = this_project()
    is_guess = kind is None and _is_any_kind(project)
    path = project.generate(name, kind)
    show(f"Wrote {path.relative_to(project.root)}")
    if is_guess:
        others = " or ".join(f"--kind {other}" for other in KINDS if other != DEFAULT_KIND)
        title = find_kind(DEFAULT_KIND).title
        note(f"No environment has a 'uri' here, so it is for {title}. Otherwise remove it, and add {others}.")


def _is_any_kind(project: Project) -> bool:
    """Whether the settings can be read, but do not tell the kind of any database on this machine."""
    try:
        return bool(project.environments()) and not project.kinds()
    except SettingsError:  # a migration can be written before they are right
        return False
