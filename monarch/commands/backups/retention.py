"""``prune_backups``, ``protect_backup`` and ``unprotect_backup``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monarch.commands.backups.listing import moment, note_absence
from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import count, printable, size, timestamp
from monarch.commands.parsing.arguments import BACKUP, ENVIRONMENT, json_option, plan_option, this_project
from monarch.errors import MonarchError, PruningFailed

if TYPE_CHECKING:
    from monarch.backups.retention.judge import Judgement
    from monarch.backups.retention.prune import Pruned, PrunePlan, PruneRequest
    from monarch.project import Project
    from monarch.stores.base import Store

_RULES = {
    "last": "Keep the last N backups.",
    "hourly": "Keep the last one of each of the last N hours that have one.",
    "daily": "The same for days.",
    "weekly": "The same for weeks.",
    "monthly": "The same for months.",
    "yearly": "The same for years.",
}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _keep_options(function: _Function) -> _Function:
    within = "Keep all that are at most as old as this, from the newest on: 30d, 2y6m, 36h."
    function = click.option("--keep-within", metavar="PERIOD", help=within)(function)
    for name, text in reversed(_RULES.items()):
        function = click.option(f"--keep-{name}", name, type=int, metavar="N", help=text)(function)
    return function


@click.command("prune_backups")
@click.argument("environment", type=ENVIRONMENT, required=False)
@_keep_options
@plan_option("Show what would be deleted, and delete nothing.")
@yes_option
@json_option
def prune_backups(
    environment: str | None, keep_within: str | None, plan: bool, yes: bool, as_json: bool, **numbers: int
) -> None:
    """Delete the backups that no rule keeps.

    With ENVIRONMENT only those of that, else those of all environments.

    The rules are those of the options or, without any, those of 'keep' in BACKUPS. They mean what they mean
    in restic. The newest good backup always stays, and so do protected ones, those that an unfinished
    migration may need, and those that are being read.

    \b
    Examples:
      monarch prune_backups --plan
      monarch prune_backups production --keep-daily 7 --keep-weekly 5 --keep-monthly 12
      monarch prune_backups --yes
    """
    from monarch.backups.retention.policy import make_policy

    project = this_project()
    policy = make_policy(numbers, keep_within)
    with prints_aside(as_json), ProgressBar() as bar:
        request = project.pruning(environment, policy)
        found = request.plan(bar)
    going = found.going
    if not as_json:
        _show_plan(found, project.backups.store)
    pruned = None
    if going and not plan:
        place = project.backups.store.place
        confirm(f"Delete {count(len(going), 'backup')} from {place}: are you SURE?", yes)
        aside = as_json
        pruned = request.run(going, lambda one: show(f"Deleted {one.archive}.", err=aside), ProgressLines())
    elif not plan:
        request.sweep()
    _show_result(found, pruned, as_json)


@click.command("protect_backup")
@click.argument("name", type=BACKUP)
@click.option(
    "--until",
    metavar="DATE",
    help="Only until the end of this day, or until a time, in UTC: 2027-01-31, '2027-01-31 18:00'.",
)
def protect_backup(name: str, until: str | None) -> None:
    """Protect the backup NAME: nothing deletes it.

    No command of monarch does, for good or until a date.

    The file NAME.protected beside its archive says so.

    \b
    Examples:
      monarch protect_backup app__2026_11_28
      monarch protect_backup app__2026_11_28 --until 2027-01-31
      monarch protect_backup app__2026_11_28 --until '2027-01-31 18:00'
    """
    protect_now(this_project(), name, until)


@click.command("unprotect_backup")
@click.argument("name", type=BACKUP)
def unprotect_backup(name: str) -> None:
    """Let the backup NAME be deleted again.

    \b
    Examples:
      monarch unprotect_backup app__2026_11_28
      monarch list_backups
    """
    from monarch.backups.operations.in_store import recording
    from monarch.backups.retention import protecting
    from monarch.databases.history import Action

    project = this_project()
    catalog = project.backups
    found = catalog.get(name)
    command = f"unprotect_backup {found.name}"
    with recording(project.root, catalog.store, command, Action.UNPROTECT, found, ProgressLines()) as record:
        backup, was_protected = protecting.unprotect_backup(catalog, name)
        if not was_protected:
            record.discard()
    which = "may be deleted again" if was_protected else "is not protected"
    show(f"{printable(backup.name)} {which}.")


def protect_now(project: Project, name: str, until: str | None, *, aside: bool = False) -> None:
    """Protect the backup called ``name``, and say so; ``aside`` of the result of another command."""
    from datetime import UTC, datetime

    from monarch.backups.operations.in_store import recording
    from monarch.backups.retention import protecting
    from monarch.backups.retention.protection import Protection, parse_until, refuse_shorter
    from monarch.databases.history import Action
    from monarch.system.process_identity import who

    now, catalog = datetime.now(UTC), project.backups
    protection = Protection(parse_until(until, now) if until is not None else None, who(), now)
    found = catalog.get(name)
    present = [one.protection for one in catalog.archives(found, name) if one.protection is not None]
    refuse_shorter(found.name, present, protection)
    command = f"protect_backup {found.name}{f' --until {until}' if until is not None else ''}"
    with recording(project.root, catalog.store, command, Action.PROTECT, found, ProgressLines()):
        backup = protecting.protect_backup(catalog, name, protection)
    show(f"{printable(backup.name)} is {protection}.", err=aside)


def prune_now(request: PruneRequest, done: str, *, aside: bool) -> None:
    """Prune after a backup, without a question: the policy of the settings is the answer.

    :param done: what is complete, for the error, as the beginning of a sentence.

    :raises PruningFailed: if that fails; older backups may be left.
    """
    try:
        _prune_now(request, aside=aside)
    except MonarchError as error:
        message = f"{printable(done)}, but pruning older backups failed: {error.message}"
        raise PruningFailed(message, error.hint) from error


def _prune_now(request: PruneRequest, *, aside: bool) -> None:
    with ProgressBar() as bar:
        found = request.plan(bar)
    for name, error in found.unreachable:
        note(f"Backups of {name} stay: {error.message}")
    reporting = ProgressLines()
    pruned = request.run(found.going, lambda one: show(f"Deleted {one.archive}.", err=aside), reporting)
    for backup, error in pruned.refused:
        note(f"{printable(backup.archive)} was not deleted: {error.message}")
    stays = len(found.judgements) - len(pruned.deleted)
    show(f"Pruned {count(len(pruned.deleted), 'backup')}; {stays} are left.", err=aside)
    for _, error in found.unreachable:
        raise error


def _show_plan(plan: PrunePlan, store: Store) -> None:
    if not plan.judgements:
        show(f"There are no good backups to judge in {store.place}.")
        note_absence(store)
        return
    print_table(
        ("NAME", "ENVIRONMENT", "TAKEN (UTC)", "SIZE", "", "WHY"),
        [_cells(judgement) for judgement in plan.judgements],
        right=(3,),
        states=(4,),
    )
    for name, error in plan.unreachable:
        note(f"Backups of {name} stay: {error.message}")


def _cells(judgement: Judgement) -> tuple[str, ...]:
    backup = judgement.backup
    return (
        backup.name,
        backup.environment or "-",
        moment(backup.taken_at),
        size(backup.bytes),
        "goes" if judgement.goes else "stays",
        ", ".join(judgement.kept) or "no rule keeps it",
    )


def _show_result(plan: PrunePlan, pruned: Pruned | None, as_json: bool) -> None:
    """Print the end of it.

    :raises MonarchError: if an environment could not be asked.
    """
    refused = {backup.archive: error for backup, error in pruned.refused} if pruned else {}
    deleted = {backup.archive for backup in pruned.deleted} if pruned else set()
    if as_json:
        print_json([_row(one, deleted, refused) for one in plan.judgements])
    for archive, error in refused.items():
        note(f"{printable(archive)} was not deleted: {error.message}")
    if not as_json:
        stays = len(plan.judgements) - len(plan.going) + len(refused)
        if pruned:
            freed = sum(backup.bytes for backup in pruned.deleted)
            show(f"Deleted {count(len(deleted), 'backup')}, {size(freed)}. {stays:,} are left.")
        elif plan.judgements:
            would = f"{count(len(plan.going), 'backup')} would go" if plan.going else "Nothing goes"
            show(f"{would}; {stays:,} stay.")
    for _, error in plan.unreachable:
        raise error


def _row(judgement: Judgement, deleted: set[str], refused: dict[str, Any]) -> dict[str, Any]:
    backup = judgement.backup
    return {
        "name": backup.name,
        "archive": backup.archive,
        "environment": backup.environment,
        "database": backup.database,
        "taken_at": timestamp(backup.taken_at),
        "bytes": backup.bytes,
        "goes": judgement.goes,
        "kept": judgement.kept,
        "deleted": backup.archive in deleted,
        "refused": refused[backup.archive].message if backup.archive in refused else None,
    }
