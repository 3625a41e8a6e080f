"""``generate``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import show, tip
from monarch.commands.parsing.arguments import this_project
from monarch.commands.parsing.new_files import (
    FOLDER_IN_MIGRATIONS,
    TEMPLATE,
    asking_for_kind,
    kind_option,
    one_name,
)
from monarch.commands.parsing.whereabouts import from_here
from monarch.databases import DEFAULT_KIND, KINDS, find_kind
from monarch.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from monarch.project import Project


@click.command("generate")
@click.argument("words", metavar="NAME", nargs=-1, required=True)
@kind_option
@click.option(
    "--in",
    "folder",
    metavar="FOLDER",
    type=FOLDER_IN_MIGRATIONS,
    help="Write it to this folder in migrations/.",
)
@click.option(
    "--from",
    "template",
    metavar="TEMPLATE",
    type=TEMPLATE,
    help="Make it from this file, template of the project, or migration.",
)
def generate(words: tuple[str, ...], kind: str | None, folder: str | None, template: str | None) -> None:
    """Write a new migration called NAME.

    `create` is the same. NAME may be in words: "Add email index" is add_email_index. If there is a
    migrations/migration.py.tmpl, it is used instead of monarch's. Without --kind it is for the kind of
    database that the settings have; if they have several, it asks.

    \b
    Examples:
      monarch generate add_indexes
      monarch create "Rename users" --kind postgres --in 2026
      monarch generate move_orders --from move_users
    """
    project = this_project()
    # Not pathlib's, which raises what the reading of the template explains.
    if template is not None and os.path.exists(from_here(template)):  # noqa: PTH110
        template = from_here(template)
    name = one_name(words, project, "generate")
    if template is not None and kind is not None:
        raise UsageError("Both --kind and --from are given.", "Omit --kind: the template decides it.")
    is_guess = kind is None and template is None and _is_any_kind(project)
    path = asking_for_kind(lambda kind: project.generate(name, kind, folder=folder, template=template), kind)
    show(f"Wrote {path.relative_to(project.root)}")
    if is_guess:
        others = " or ".join(f"--kind {other}" for other in KINDS if other != DEFAULT_KIND)
        title = find_kind(DEFAULT_KIND).title
        tip(f"No environment has a 'uri' here, so it is for {title}. Otherwise remove it, and add {others}.")


def _is_any_kind(project: Project) -> bool:
    """Whether the settings can be read, but do not tell the kind of any database on this machine."""
    try:
        return bool(project.environments()) and not project.kinds()
    except SettingsError:  # a migration can be written before they are right
        return False
