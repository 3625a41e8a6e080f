"""``delete_backup``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.backups.listing import backup_row, moment
from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.console.text import age, count, printable, size, timestamp
from monarch.commands.parsing.arguments import BACKUP, plan_option, this_project
from monarch.commands.reports.plans import before_question, nothing_changed, plan_json_option, require_plan

if TYPE_CHECKING:
    from monarch.backups.plans.deletion import DeletionPlan, Staying
    from monarch.backups.state import Backup


@click.command("delete_backup")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=BACKUP)
@plan_option("Show what would be deleted and what stays, and change nothing.")
@plan_json_option
@yes_option
def delete_backup(names: tuple[str, ...], plan: bool, as_json: bool, yes: bool) -> None:
    """Delete backups, whole or not.

    This cannot be undone. Before it asks, it shows which good backups of their environments stay. A file that
    monarch did not make is deleted with --yes only if NAME is the whole name of the file.

    \b
    Examples:
      monarch delete_backup app__2026_11_27
      monarch delete_backup app__2026_11_27 --plan
      monarch delete_backup app__2026_11_26 app__2026_11_27 --yes
    """
    from monarch.backups.plans.patience import PATIENCE

    require_plan(plan, as_json)
    project = this_project()
    backups = project.find_deletable(*names, whole_name=yes)
    if plan:
        _show_plan(project.plan_deletion(*backups, progress=ProgressLines()), as_json)
        return
    with before_question():
        if yes or not sys.stdin.isatty():  # nobody reads more
            _show_going(backups)
        else:
            _show_deletion(project.plan_deletion(*backups, seconds=PATIENCE, progress=ProgressLines()))
    number = count(len({backup.name for backup in backups}), "backup")
    confirm(f"Delete {number} from {project.backups.store.place}: are you SURE?", yes)
    project.delete_backups(
        *backups, report=lambda backup: show(f"Deleted {backup.archive}."), progress=ProgressLines()
    )


def _show_plan(plan: DeletionPlan, as_json: bool) -> None:
    if not as_json:
        number = count(len({backup.name for backup in plan.going}), "backup")
        show(f"{number} would be deleted from {plan.place}:")
        _show_deletion(plan)
        nothing_changed()
        return
    going = [{**backup_row(one), "newest_good": _is_newest(plan, one)} for one in plan.going]
    staying = None if plan.staying is None else [_staying_as_json(one) for one in plan.staying]
    read = sorted(one.archive for one in plan.going if one.archive in plan.read)
    print_json({"place": plan.place, "deleted": going, "stays": staying, "read": read, "why": plan.why})


def _is_newest(plan: DeletionPlan, backup: Backup) -> bool | None:
    return None if plan.staying is None else plan.is_newest(backup)


def _show_deletion(plan: DeletionPlan) -> None:
    _show_going(plan.going, plan)
    for one in plan.staying or ():
        of = f"{printable(one.environment)} ({printable(one.database)})"
        if one.newest is None or one.age is None:
            show((f"No good backup of {of} would be left.", "red"))
        else:
            newest = f"the newest is {printable(one.newest.name)}, {age(one.age)} old"
            show(f"{count(one.number, 'good backup')} of {of} would be left: {newest}.")
    if plan.staying is None:
        show((f"Which backups stay is not known: {printable(plan.why or '')}.", "yellow"))


def _show_going(backups: tuple[Backup, ...], plan: DeletionPlan | None = None) -> None:
    for backup in backups:
        of = f"of {backup.environment}, " if backup.environment else ""
        state = "" if backup.restorable else f", {backup.state.value}"
        if backup.state is backup.state.FOREIGN:
            state = f", {backup.state.value}: {printable(backup.why or '')}"
        line = f"  {backup.archive}: {of}{moment(backup.taken_at)} UTC, {size(backup.bytes)}{state}"
        if plan is None:
            show(line)
            continue
        part = f", the subset {backup.query_set}" if backup.query_set else ""
        masked = ", masked" if backup.masked else ""
        newest = ", the NEWEST GOOD ONE" if plan.is_newest(backup) else ""
        read = ", which is being read NOW" if backup.archive in plan.read else ""
        show(f"{line}{part}{masked}", (f"{newest}{read}", "yellow"))


def _staying_as_json(staying: Staying) -> dict[str, Any]:
    newest = staying.newest
    return {
        "environment": staying.environment,
        "database": staying.database,
        "good": staying.number,
        "newest": newest.name if newest else None,
        "taken_at": timestamp(newest.taken_at) if newest else None,
        "age_seconds": int(staying.age.total_seconds()) if staying.age is not None else None,
    }
