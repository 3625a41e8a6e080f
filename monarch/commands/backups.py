"""``backup``, ``list_backups``, ``show_backup``, ``verify_backup`` and ``delete_backup``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.collections import print_collections, print_copied, summary
from monarch.commands.console.output import count, duration, print_json, print_table, printable, shell, size
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.parsing.arguments import BACKUP, ENVIRONMENT, this_project
from monarch.commands.parsing.engines import by, engine_option
from monarch.commands.querysets import aside, query_set_options
from monarch.errors import DamagedError, MonarchError, StoreError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.backups.catalog import Backup
    from monarch.backups.create import BackupResult
    from monarch.backups.manifest import Manifest
    from monarch.backups.verification import VerifiedBackup

CODECS = ("zst", "gz")


@click.command("backup")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--name", metavar="NAME", help="What its name begins with, in place of the database's.")
@click.option("--codec", type=click.Choice(CODECS), default="zst", show_default=True, help="Its compression.")
@click.option("--level", type=int, help="How hard that tries: zst 1 to 19 (3), gz 1 to 3 (2).")
@engine_option
@click.option("--allow-empty", is_flag=True, help="Back up a database that holds nothing, too.")
@query_set_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def backup(environment: str, as_json: bool, **how: Any) -> None:
    """Back up the database of ENVIRONMENT.

    It goes as one compressed archive into the store of migrations/settings.py (BACKUPS), migration
    history included, and gets a name of its own. It counts once its manifest lies beside it.
    """
    with aside(as_json), ProgressBar() as bar:
        taken = this_project().backup(environment, **how, progress=bar)
    _show_taken(taken, as_json)


def _show_taken(taken: BackupResult, as_json: bool) -> None:
    manifest = taken.manifest
    if as_json:
        print_json(
            {
                "name": taken.name,
                "place": taken.place,
                **_members(manifest),
                "seconds": taken.seconds,
                "collections": [vars(copied) for copied in taken.collections],
            }
        )
        return
    print_copied(taken.collections)
    what = f"{summary(taken.collections)}, packed into {size(manifest.size)}"
    took = f"in {duration(taken.seconds)}, by {by(manifest.engine, manifest.versions)}"
    click.echo(f"Backed up {manifest.environment} as {taken.name}: {what}, {took}.")
    click.echo(f"It lies in {taken.place}. To restore it: monarch restore {shell(taken.name)}:ENVIRONMENT")


@click.command("list_backups")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_backups(as_json: bool) -> None:
    """List the backups, the oldest first.

    Only good ones, and legacy ones of monarch 0.1, can be restored.
    """
    project = this_project()
    backups = project.list_backups()
    if as_json:
        print_json([_row(backup) for backup in backups])
        return
    if not backups:
        click.echo(f"There are no backups in {project.backups.store.place}.")
        return
    headers: tuple[str, ...] = ("NAME", "ENVIRONMENT", "TAKEN (UTC)", "SIZE", "DOCUMENTS", "STATE")
    rows = [_cells(backup) for backup in backups]
    if any(backup.query_set for backup in backups):
        headers = (*headers, "QUERY SET")
        rows = [(*row, backup.query_set or "-") for row, backup in zip(rows, backups, strict=True)]
    print_table(headers, rows, right=(3, 4))
    for backup in backups:
        if backup.why and backup.state is not backup.state.RUNNING:
            click.echo(f"Note: {printable(backup.name)} is {backup.state.value}: {_advice(backup)}", err=True)


@click.command("show_backup")
@click.argument("name", type=BACKUP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def show_backup(name: str, as_json: bool) -> None:
    """Show what is written down of the backup NAME. Reads only its manifest."""
    backup, manifest = this_project().show_backup(name)
    if as_json:
        collections = [vars(held) for held in manifest.collections] if manifest else None
        print_json({**(_members(manifest) if manifest else {}), **_row(backup), "collections": collections})
        return
    for label, value in _facts(backup, manifest):
        click.echo(f"{label:<13}{printable(value)}")
    if manifest is not None:
        click.echo()
        print_collections(manifest.collections)


@click.command("verify_backup")
@click.argument("names", metavar="[NAME]...", nargs=-1, type=BACKUP)
@click.option("--all", "all_of_them", is_flag=True, help="Verify every backup.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def verify_backup(names: tuple[str, ...], all_of_them: bool, as_json: bool) -> None:
    """Read backups to their end, and see that they are as they were written.

    Compares the SHA-256 of the archive, every document's frame, every collection's checksum, and
    the numbers in the manifest. Touches no database.
    """
    if bool(names) == all_of_them:
        wrong = "There are names, and --all." if names else "Which backup?"
        raise UsageError(wrong, "Say names, or --all for every one.")
    project = this_project()
    with ProgressBar() as bar:
        report = partial(_show_verified, bar, as_json)
        verified = project.verify_backups(*names, progress=bar, report=report)
    if as_json:
        print_json([_verified_as_json(one) for one in verified])
    _require_good(verified)
    if not verified:
        raise MonarchError(
            f"There are no backups in {project.backups.store.place}.",
            "Check BACKUPS in migrations/settings.py.",
        )
    if not as_json and all_of_them:
        click.echo(f"{count(len(verified), 'backup')}, all of them good.")


def _show_verified(bar: ProgressBar, as_json: bool, verified: VerifiedBackup) -> None:
    if as_json:
        return
    bar.clear()
    name = printable(verified.backup.name)
    if verified.good:
        took = duration(verified.seconds)
        what = f"{summary(verified.collections)}, read in {took}"
        click.echo(f"{click.style('good', fg='green')} {name}: {what}")
        return
    verdict = ("unread", "yellow") if verified.good is None else ("BROKEN", "red")
    click.echo(f"{click.style(verdict[0], fg=verdict[1])} {name}: {printable(verified.why or '')}")


def _verified_as_json(verified: VerifiedBackup) -> dict[str, Any]:
    backup = verified.backup
    return {"name": backup.name, "archive": backup.archive, "good": verified.good, "why": verified.why}


def _require_good(verified: tuple[VerifiedBackup, ...]) -> None:
    names = {
        good: [printable(one.backup.name) for one in verified if one.good is good]
        for good in (True, False, None)
    }
    of = count(len(verified), "backup")
    if names[False]:
        newest = (
            f"The newest good one of these is {names[True][-1]!r}."
            if names[True]
            else "None of these is good."
        )
        raise DamagedError(
            f"{len(names[False])} of {of} cannot be restored: {', '.join(names[False])}.", newest
        )
    if names[None]:
        why = next(printable(one.why or "") for one in verified if one.good is None)
        unread = f"{len(names[None])} of {of} could not be read: {', '.join(names[None])}. {why}"
        raise StoreError(unread, "This tells nothing about their contents. Fix the cause and run it again.")


@click.command("delete_backup")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=BACKUP)
@yes_option
def delete_backup(names: tuple[str, ...], yes: bool) -> None:
    """Delete backups, whole or not. There is no way back."""
    project = this_project()
    backups = [project.backups.get(name) for name in dict.fromkeys(names)]
    for backup in backups:
        of = f"of {backup.environment}, " if backup.environment else ""
        state = "" if backup.restorable else f", {backup.state.value}"
        click.echo(
            f"  {backup.archive}: {of}{_time(backup.taken_at)} UTC, {size(backup.bytes)}{state}", err=True
        )
    confirm(f"Delete {count(len(backups), 'backup')} from {project.backups.store.place}: are you SURE?", yes)
    project.delete_backups(*backups, report=lambda backup: click.echo(f"Deleted {backup.archive}."))


def _advice(backup: Backup) -> str:
    """Why a backup is not good; and how to be rid of it, where it surely is not."""
    if backup.state is backup.state.UNREADABLE:
        return f"{backup.why}."
    if backup.state is backup.state.BEGUN:
        return f"{backup.why}. If it was, to remove it: monarch delete_backup {shell(backup.name)}"
    perhaps = ""
    if backup.state is backup.state.INCOMPLETE or backup.has_manifest:
        perhaps = " Its archive may be whole all the same: see the README, Getting data back by hand."
    return f"{backup.why}.{perhaps} To remove it: monarch delete_backup {shell(backup.name)}"


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def _row(backup: Backup) -> dict[str, Any]:
    return {
        "name": backup.name,
        "archive": backup.archive,
        "state": backup.state.value,
        "environment": backup.environment,
        "taken_at": backup.taken_at.isoformat(),
        "bytes": backup.bytes,
        "documents": backup.documents,
        "query_set": backup.query_set,
        "why": backup.why,
    }


def _cells(backup: Backup) -> tuple[str, ...]:
    return (
        backup.name,
        backup.environment or "-",
        _time(backup.taken_at),
        size(backup.bytes),
        "-" if backup.documents is None else f"{backup.documents:,}",
        backup.state.value,
    )


def _members(manifest: Manifest) -> dict[str, Any]:
    """What a manifest says, but its collections."""
    members = {**vars(manifest), "taken_at": manifest.taken_at.isoformat()}
    members["finished_at"] = manifest.finished_at.isoformat()
    del members["collections"]
    return members


def _facts(backup: Backup, manifest: Manifest | None) -> list[tuple[str, str]]:
    state = backup.state.value + (f": {backup.why}" if backup.why else "")
    facts = [("Name", backup.name), ("State", state), ("Archive", f"{backup.archive}, {size(backup.bytes)}")]
    if manifest is None:
        return [*facts, ("Written", f"{_time(backup.taken_at)} UTC")]
    took = (manifest.finished_at - manifest.taken_at).total_seconds()
    return [
        *facts,
        ("Environment", manifest.environment),
        ("Database", f"{manifest.database} ({manifest.server})"),
        ("Taken", f"{_time(manifest.taken_at)} UTC, in {duration(took)}"),
        ("Holds", summary(manifest.collections)),
        ("As of", "one moment" if manifest.one_moment else "the moments at which each part of it was read"),
        ("Query set", manifest.query_set or "none: all of it"),
        *(("  option", option) for option in manifest.query_options),
        *(("  chosen by", filters) for filters in manifest.query_filters),
        ("Made by", f"monarch {manifest.monarch}, {by(manifest.engine, manifest.versions)}"),
        ("Packed", f"{manifest.codec}, level {manifest.level}"),
        ("SHA-256", manifest.sha256),
    ]
