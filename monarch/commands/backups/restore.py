"""``restore``."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import aside, note, show
from monarch.commands.console.output import print_copied, print_json, print_renamed, showing_result, summary
from monarch.commands.console.passages import described, print_passage, raw_hazard
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import breathe, confirm, only, replacing, when_possible, yes_option
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import duration, engine_label
from monarch.commands.parsing.arguments import (
    check_option,
    choice_options,
    engine_option,
    json_option,
    plan_option,
    raw_option,
    this_project,
)
from monarch.commands.parsing.pairs import BACKUP_AND_ENVIRONMENT, Pair
from monarch.commands.reports.plans import MOST, before_question
from monarch.commands.reports.transfers import show_plan, show_transfer

if TYPE_CHECKING:
    from monarch.backups.plans.transfer import TransferPlan
    from monarch.backups.state import Backup
    from monarch.copies.transfer import TransferResult
    from monarch.project import Project


@click.command("restore")
@click.argument("pair", metavar="BACKUP:ENVIRONMENT", type=BACKUP_AND_ENVIRONMENT)
@engine_option
@click.option(
    "--in-place",
    is_flag=True,
    help="Drop the old contents first: less space, no way back (PostgreSQL: one transaction).",
)
@choice_options
@raw_option
@check_option
@plan_option("Show what would be restored, and change nothing.")
@json_option
@yes_option
def restore(pair: Pair, in_place: bool, plan: bool, as_json: bool, yes: bool, **how: Any) -> None:
    """Restore a backup to the database of an environment.

    Replaces the contents of the database with those of BACKUP. The backup is verified first; then it is
    built in staging collections and swapped in at the end (except with --in-place). If BACKUP is the name of
    an environment, its newest good backup is restored. If ENVIRONMENT has several databases, the one that
    BACKUP is of is meant. If BACKUP is of a private environment and ENVIRONMENT
    is not private, documents are masked by migrations/privacy.py on the way.

    \b
    Examples:
      monarch restore production:development
      monarch restore production:development --plan
      monarch restore production:development --only users --into-existing
    """
    project = this_project()
    _require_target(project, pair)  # what is wrong with it is reported first
    backup = project.find_backup(pair.source)
    target = project.restore_target(backup, pair.target)
    if pair.source.rpartition("/")[2] not in (backup.name, backup.archive):
        aside(f"The newest good backup of {pair.source} is {backup.name}.")
    if plan:
        _show_plan(project, backup, target.label, {**how, "in_place": in_place}, as_json)
        return
    passage = project.passage_of(backup, target.label, raw=how["raw"])

    def ask() -> None:
        bar.clear()
        what = (
            f"replace {'(in place) ' if in_place else ''}{'some of ' * how['into_existing']}the contents of"
        )
        breathe(target, what, yes, raw_hazard(passage, backup.name))
        contents = f"{only(how['only'])}{_description(backup)}{described(passage)}"
        confirm(replacing(target, contents, in_place=in_place, into_existing=how["into_existing"]), yes)

    show_result = partial(_show, backup, environment=target.label)
    with showing_result(show_result, as_json), ProgressBar() as bar:
        asking = None if yes else when_possible(ask)
        how |= {"in_place": in_place, "preview": partial(_show_first, bar, backup)}
        restored = project.restore(backup, target.label, progress=bar, confirm=asking, **how)
    show_result(restored, as_json)


def _require_target(project: Project, pair: Pair) -> None:
    """Check that there is an environment to restore to.

    :raises UnknownEnvironment: if not; the hint knows if both names are swapped.
    """
    from monarch.databases.foreign import as_argument
    from monarch.errors import MonarchError, UnknownEnvironment

    try:
        project.has_several(pair.target)
    except UnknownEnvironment as error:
        with suppress(MonarchError):
            backup = project.backups.find(pair.target)
            known = {environment.name for environment in project.environments()}
            if backup is not None and pair.source in known:
                swapped = as_argument(f"{backup.name}:{pair.source}")
                error.hint = f"{pair.target!r} is a backup. Did you mean: monarch restore {swapped}"
        raise


def _show_plan(project: Project, backup: Backup, target: str, how: dict[str, Any], as_json: bool) -> None:
    how.pop("check_all")  # nothing is written
    with prints_aside(as_json):
        planned = project.plan_restore(backup, target, **how, progress=ProgressLines())
    ends = {"backup": backup.name, "archive": backup.archive, "to": target}
    show_plan(
        planned, ends, f"{_description(backup)}, to {target}", in_place=how["in_place"], as_json=as_json
    )


def _show_first(bar: ProgressBar, backup: Backup, planned: TransferPlan) -> None:
    bar.clear()
    with before_question():
        show_transfer(planned, f"{_description(backup)}, to {planned.target.environment.label}", MOST)


def _description(backup: Backup) -> str:
    if backup.state is backup.state.FOREIGN:
        return f"{backup.archive}, written {backup.taken_at:%Y-%m-%d %H:%M} UTC ({backup.why})"
    of = f" of {backup.environment}" if backup.environment else ""
    if backup.masked:
        of = f"{of}, masked"
    if backup.query_set:
        of = f", the subset {backup.query_set}{of}"
    return f"{backup.name}{of}, taken {backup.taken_at:%Y-%m-%d %H:%M} UTC"


def _show(backup: Backup, restored: TransferResult, as_json: bool, *, environment: str) -> None:
    if as_json:
        print_json(
            {
                "backup": backup.name,
                "archive": backup.archive,
                "to": environment,
                "engine": restored.engine,
                "versions": restored.versions,
                "seconds": restored.seconds,
                "excluded": restored.excluded,
                "renamed": dict(restored.renamed),
                "passage": restored.passage.value,
                "notes": restored.notes,
                "collections": [vars(copied) for copied in restored.collections],
            }
        )
        return
    print_copied(restored.collections)
    took = f"in {duration(restored.seconds)}, by {engine_label(restored.engine, restored.versions)}"
    if restored.excluded:
        show(f"Left out: {', '.join(restored.excluded)}.")
    print_renamed(restored.renamed)
    for text in restored.notes:
        note(text)
    print_passage(restored)
    show(f"Restored {backup.name} to {environment}: {summary(restored.collections)} {took}.")
