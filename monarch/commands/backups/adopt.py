"""``adopt_backup``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.backups.create import show_taken
from monarch.commands.console.output import showing_result
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.parsing.arguments import ENVIRONMENT, json_option, this_project
from monarch.commands.parsing.whereabouts import from_here

if TYPE_CHECKING:
    from datetime import datetime


def _parse_taken(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    from monarch.backups.foreign.adoption import parse_taken

    return parse_taken(text)


@click.command("adopt_backup")
@click.argument("path", type=click.Path(readable=False, allow_dash=True))
@click.option(
    "--environment",
    metavar="ENV",
    type=ENVIRONMENT,
    help="Whose backup it is; without it, that of the environment with this database.",
)
@click.option("--database", metavar="NAME", help="Which database of the dump, if it has several.")
@click.option("--name", metavar="NAME", help="Begin the backup's name with this, not with the database's.")
@click.option(
    "--taken",
    metavar="DATE",
    callback=_parse_taken,
    help="When it was dumped, such as 2026-11-28T04:00 in UTC; by default when its file was written.",
)
@click.option("--without-oplog", is_flag=True, help="Leave out the oplog of a dump that has one.")
@json_option
def adopt_backup(
    path: str,
    environment: str | None,
    database: str | None,
    name: str | None,
    taken: datetime | None,
    without_oplog: bool,
    as_json: bool,
) -> None:
    """Take over what mongodump wrote, as a backup.

    PATH is an archive, a folder, a zip of one, or - for an archive on standard input; gzipped or not. It may
    also be the name of a foreign archive in the store. It is read to its end and checked, and written as a
    normal backup into the store that BACKUPS in migrations/settings.py names. PATH stays as it is, and no
    database is touched.

    \b
    Examples:
      monarch adopt_backup nightly.archive.gz
      monarch adopt_backup dump --database app --environment production
      monarch adopt_backup - --name old_server --taken 2026-11-28
    """
    project = this_project()
    with showing_result(show_taken, as_json), ProgressBar() as bar:
        taken_over = project.adopt_backup(
            from_here(path),
            environment,
            database=database,
            name=name,
            taken_at=taken,
            without_oplog=without_oplog,
            progress=bar,
        )
    show_taken(taken_over, as_json)
