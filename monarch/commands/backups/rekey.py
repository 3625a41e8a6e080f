"""``rekey_backup``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.console.text import count, duration, size
from monarch.commands.parsing.arguments import BACKUP, json_option, plan_option, this_project
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.backups.catalog import BackupCatalog
    from monarch.backups.secrecy.rekey import PlannedRekey, RekeyedBackup

_STEPS = {
    "encrypt": "encrypt it, which it is not",
    "rekey": "encrypt it for other keys",
    "finish": "finish an earlier run",
    "nothing": "nothing to do",
}


@click.command("rekey_backup")
@click.argument("names", metavar="[NAME]...", nargs=-1, type=BACKUP)
@click.option("--all", "all_of_them", is_flag=True, help="All good backups.")
@plan_option("Show what would be done, and do nothing.")
@json_option
@yes_option
def rekey_backup(names: tuple[str, ...], all_of_them: bool, plan: bool, as_json: bool, yes: bool) -> None:
    """Encrypt backups anew, for the present recipients.

    The recipients are those of BACKUPS['encrypt'] in migrations/settings.py. Backups that are not encrypted
    are encrypted. Each new archive is written and read back before the old one is deleted. Needs a key that
    opens the old one, and room for one more archive.

    \b
    Examples:
      monarch rekey_backup app__2026_11_28
      monarch rekey_backup --all --plan
    """
    from monarch.backups.secrecy.rekey import plan_rekey, rekey_all

    if bool(names) == all_of_them:
        wrong = "Both names and --all are given." if names else "No backup is named."
        raise UsageError(wrong, "Name the backups, or use --all for all good ones.")
    catalog = this_project().backups
    planned = plan_rekey(catalog, names)
    todo = [one for one in planned if _STEPS[one.step.value] != _STEPS["nothing"]]
    if not as_json or not (plan or yes):
        _show_plan(catalog, planned)
    if plan or not todo:
        if as_json:
            print_json([_row(one) for one in planned])
        return
    _ask(todo, yes)
    with ProgressBar() as bar:
        done = rekey_all(this_project().root, catalog, todo, bar, partial(_show_done, bar, as_json))
    if as_json:
        print_json([{**_row(one.planned), **_result(one)} for one in done])


def _ask(todo: list[PlannedRekey], yes: bool) -> None:
    what = count(len(todo), "backup")
    confirm(f"Encrypt {what} anew, and delete the old archives: are you SURE?", yes)


def _show_plan(catalog: BackupCatalog, planned: tuple[PlannedRekey, ...]) -> None:
    show(f"For {', '.join(catalog.encryption.recipients)}:", err=True)
    for one in planned:
        rests = "".join(f"; deletes {other.archive} too" for other in one.others)
        text = f"{one.backup.archive}, {size(one.backup.bytes)}: {_STEPS[one.step.value]}{rests}"
        show(f"  {text}", err=True)


def _show_done(bar: ProgressBar, as_json: bool, done: RekeyedBackup) -> None:
    if not as_json:
        bar.clear()
        name, took = done.planned.backup.name, duration(done.seconds)
        show(f"Encrypted {name} anew: {done.archive}, {size(done.bytes)}, in {took}.")


def _row(planned: PlannedRekey) -> dict[str, Any]:
    return {
        "name": planned.backup.name,
        "archive": planned.backup.archive,
        "step": planned.step.value,
        "recipients_before": planned.recipients,
        "deletes": [other.archive for other in planned.others],
    }


def _result(done: RekeyedBackup) -> dict[str, Any]:
    return {"new_archive": done.archive, "bytes": done.bytes, "seconds": round(done.seconds, 3)}
