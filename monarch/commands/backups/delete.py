"""``delete_backup``."""

from __future__ import annotations

import click

from monarch.commands.backups.listing import moment
from monarch.commands.console.lines import show
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.console.text import count, printable, size
from monarch.commands.parsing.arguments import BACKUP, this_project


@click.command("delete_backup")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=BACKUP)
@yes_option
def delete_backup(names: tuple[str, ...], yes: bool) -> None:
    """Delete backups, whole or not.

    This cannot be undone. A file that monarch did not make is deleted with --yes only if NAME is the whole
    name of the file.

    \b
    Examples:
      monarch delete_backup app__2026_11_27
      monarch delete_backup app__2026_11_26 app__2026_11_27 --yes
    """
    from monarch.backups.retention.deletion import refuse_protected, refuse_rekeyed

    project = this_project()
    catalog = project.backups
    backups = []
    for name in dict.fromkeys(names):
        found = catalog.archives(catalog.named(name) if yes else catalog.get(name), name)
        refuse_rekeyed(found)
        for backup in found:
            refuse_protected(backup)
        backups += [backup for backup in found if backup not in backups]
    for backup in backups:
        of = f"of {backup.environment}, " if backup.environment else ""
        state = "" if backup.restorable else f", {backup.state.value}"
        if backup.state is backup.state.FOREIGN:
            state = f", {backup.state.value}: {printable(backup.why or '')}"
        show(f"  {backup.archive}: {of}{moment(backup.taken_at)} UTC, {size(backup.bytes)}{state}", err=True)
    number = count(len({backup.name for backup in backups}), "backup")
    confirm(f"Delete {number} from {catalog.store.place}: are you SURE?", yes)
    project.delete_backups(
        *backups, report=lambda backup: show(f"Deleted {backup.archive}."), progress=ProgressLines()
    )
