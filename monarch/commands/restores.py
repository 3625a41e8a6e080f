"""``restore``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.collections import print_copied, summary
from monarch.commands.console.output import duration, print_json
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import breathe, confirm, yes_option
from monarch.commands.parsing.arguments import this_project
from monarch.commands.parsing.engines import by, engine_option
from monarch.commands.parsing.pairs import BACKUP_AND_ENVIRONMENT, Pair

if TYPE_CHECKING:
    from monarch.backups.catalog import Backup
    from monarch.backups.restore import RestoreResult


@click.command("restore")
@click.argument("pair", metavar="BACKUP:ENVIRONMENT", type=BACKUP_AND_ENVIRONMENT)
@engine_option
@click.option("--in-place", is_flag=True, help="Drop what is there first: needs less room, has no way back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@yes_option
def restore(pair: Pair, engine: str, in_place: bool, as_json: bool, yes: bool) -> None:
    """Restore a backup into the database of an environment.

    What that holds is replaced by what BACKUP holds. The backup is read to its end first; then it is
    built beside what is there and swapped in at the end (but with --in-place). For BACKUP, the name of an
    environment means the newest good backup of that.
    """
    project = this_project()
    target = project.environment(pair.target)
    backup = project.find_backup(pair.source)
    if pair.source not in (backup.name, backup.archive):
        click.echo(f"The newest good backup of {pair.source} is {backup.name}.", err=True)
    breathe(target, f"replace {'(in place) ' if in_place else ''}the contents of", yes)
    where = f"{target.db_name} on {pair.target} ({target.server})"
    first = ", dropping all of it first, with no way back" if in_place else ""
    confirm(f"Replace {where} by {_told(backup)}{first}: are you SURE?", yes)
    with ProgressBar() as bar:
        restored = project.restore(backup, pair.target, engine=engine, in_place=in_place, progress=bar)
    _show(restored, pair.target, as_json)


def _told(backup: Backup) -> str:
    of = f" of {backup.environment}" if backup.environment else ""
    if backup.query_set:
        of = f", the part {backup.query_set}{of}"
    return f"{backup.name}{of}, taken {backup.taken_at:%Y-%m-%d %H:%M} UTC"


def _show(restored: RestoreResult, environment: str, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "backup": restored.backup.name,
                "archive": restored.backup.archive,
                "to": environment,
                "engine": restored.engine,
                "versions": restored.versions,
                "seconds": restored.seconds,
                "collections": [vars(copied) for copied in restored.collections],
            }
        )
        return
    print_copied(restored.collections)
    took = f"in {duration(restored.seconds)}, by {by(restored.engine, restored.versions)}"
    click.echo(f"Restored {restored.backup.name} to {environment}: {summary(restored.collections)} {took}.")
