"""``backup``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.backups.retention import protect_now, prune_now
from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_copied, print_json, showing_result, summary
from monarch.commands.console.passages import print_passage
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.text import duration, engine_label, shell, size
from monarch.commands.parsing.arguments import (
    WholeNumber,
    check_option,
    engine_option,
    environments_argument,
    json_option,
    query_set_options,
    this_project,
)
from monarch.commands.several.backup import Pace, back_up_each
from monarch.commands.several.backup_outcomes import Extras, taken_as_json
from monarch.errors import HookFailed, MonarchError

if TYPE_CHECKING:
    from monarch.backups.create import BackupResult
    from monarch.project import Project

CODECS = ("zst", "gz")


@click.command("backup")
@environments_argument
@click.option("--name", metavar="NAME", help="Begin the backup's name with this, not with the database's.")
@click.option("--codec", type=click.Choice(CODECS), default="zst", show_default=True, help="Compression.")
@click.option("--level", type=int, help="Compression level: zst 1-19 (default 3), gz 1-3 (default 2).")
@engine_option
@click.option("--allow-empty", is_flag=True, help="Also back up a database without collections.")
@query_set_options
@click.option("--masked", is_flag=True, help="Mask the documents, so that the backup may be handed out.")
@check_option
@click.option("--verify", is_flag=True, help="Read it back from the store when it is complete.")
@click.option("--protect", is_flag=True, help="Protect it, as protect_backup does: nothing deletes it.")
@click.option("--prune", is_flag=True, help="Then prune the backups of ENVIRONMENT by 'keep' in BACKUPS.")
@click.option("--jobs", "-j", metavar="N", type=WholeNumber(), default=1, help="How many databases at once.")
@click.option("--fail-fast", is_flag=True, help="Begin no more databases after one has failed.")
@json_option
def backup(
    environments: tuple[str, ...],
    as_json: bool,
    verify: bool,
    protect: bool,
    prune: bool,
    jobs: int,
    fail_fast: bool,
    **how: Any,
) -> None:
    """Back up the database of ENVIRONMENT.

    The backup is one compressed archive, including the migration history, in the store that BACKUPS in
    migrations/settings.py names. It is complete once its manifest is written beside it. A backup of a private
    environment is as private as that; with --masked its documents are masked by migrations/privacy.py.

    If ENVIRONMENT has several databases, each is backed up, as ENVIRONMENT__DATABASE. ENVIRONMENT/DATABASE
    means one of them. Several environments, and patterns such as `'eu-*'`, are backed up one after the other,
    also after one has failed.

    \b
    Examples:
      monarch backup production
      monarch backup production --name before_release --protect --verify
      monarch backup production --query-set RecentOrdersQuerySet -o days=30
    """
    project = this_project()
    if not project.is_one(*environments):
        pace = Pace(jobs, keep_going=not fail_fast)
        back_up_each(project, environments, Extras(verify, protect, prune, as_json), pace, how)
        return
    _back_up_one(project, environments[0], Extras(verify, protect, prune, as_json), how)


def _back_up_one(project: Project, environment: str, extras: Extras, how: dict[str, Any]) -> None:
    verify, protect, prune, as_json = extras.verify, extras.protect, extras.prune, extras.as_json
    if prune:
        project.pruning(environment).require_policy()
    failed: MonarchError | None = None
    try:
        with showing_result(show_taken, as_json), ProgressBar() as bar:
            taken = project.backup(environment, **how, verify=verify, progress=bar)
    except MonarchError as error:
        if error.result is None:
            raise
        taken, failed = error.result, error
    else:
        show_taken(taken, as_json)
    try:
        if protect:
            protect_now(project, taken.name, None, aside=as_json)
        # A hook that fails says nothing about the backup; what is not as it was written replaces no other.
        if prune and (failed is None or isinstance(failed, HookFailed)):
            request = project.pruning(environment, taken=[taken.manifest.archive])
            prune_now(request, f"{taken.name} is complete", aside=as_json)
    except MonarchError:
        if failed is not None:  # there are two errors, and one exit code
            note(failed.message)
        raise
    if failed is not None:
        raise failed


def show_taken(taken: BackupResult, as_json: bool) -> None:
    """Show what was written: a backup that was taken, or taken over."""
    manifest, verified = taken.manifest, taken.verified
    if as_json:
        print_json(taken_as_json(taken))
        return
    print_copied(taken.transfer.collections)
    what = f"{summary(taken.transfer.collections)}, compressed to {size(manifest.size)}"
    took = f"in {duration(taken.transfer.seconds)}, by {engine_label(manifest.engine, manifest.versions)}"
    for text in taken.transfer.notes:
        note(text)
    print_passage(taken.transfer)
    adopted = manifest.engine == "adopted"
    verb = f"Took over a backup of {manifest.environment}" if adopted else f"Backed up {manifest.environment}"
    show(f"{verb} as {taken.name}: {what}, {took}.")
    if verified is not None and verified.good:
        show(
            f"It was read back from {taken.place} in {duration(verified.seconds)}, and is as it was written."
        )
    show(f"It is in {taken.place}. To restore it: monarch restore {shell(taken.name)}:ENVIRONMENT")
