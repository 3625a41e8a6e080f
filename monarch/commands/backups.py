"""``backup``, ``list_backups``, ``show_backup`` and ``delete_backup``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import (
    print_collections,
    print_copied,
    print_json,
    print_table,
    summary,
)
from monarch.commands.console.passages import print_passage
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import (
    argument,
    count,
    duration,
    engine_label,
    printable,
    shell,
    size,
    timestamp,
)
from monarch.commands.parsing.arguments import (
    BACKUP,
    ENVIRONMENT,
    check_option,
    engine_option,
    json_option,
    query_set_options,
    this_project,
)
from monarch.databases import LEGACY_KIND, find_kind

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.backups.create import BackupResult
    from monarch.backups.manifest import Manifest
    from monarch.backups.state import Backup

CODECS = ("zst", "gz")


@click.command("backup")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--name", metavar="NAME", help="Begin the backup's name with this, not with the database's.")
@click.option("--codec", type=click.Choice(CODECS), default="zst", show_default=True, help="Compression.")
@click.option("--level", type=int, help="Compression level: zst 1-19 (default 3), gz 1-3 (default 2).")
@engine_option
@click.option("--allow-empty", is_flag=True, help="Also back up a database without collections.")
@query_set_options
@click.option("--masked", is_flag=True, help="Mask the documents, so that the backup may be handed out.")
@check_option
@json_option
def backup(environment: str, as_json: bool, **how: Any) -> None:
    """Back up the database of ENVIRONMENT.

    The backup is one compressed archive, including the migration history, in the store that BACKUPS in
    migrations/settings.py names. It is complete once its manifest is written beside it. A backup of a private
    environment is as private as that; with --masked its documents are masked by migrations/privacy.py.

    \b
    Examples:
      monarch backup production
      monarch backup production --name before_release --codec gz
      monarch backup production --query-set RecentOrdersQuerySet -o days=30
    """
    with prints_aside(as_json), ProgressBar() as bar:
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
                "seconds": taken.transfer.seconds,
                "notes": taken.transfer.notes,
                "collections": [vars(copied) for copied in taken.transfer.collections],
            }
        )
        return
    print_copied(taken.transfer.collections)
    what = f"{summary(taken.transfer.collections)}, compressed to {size(manifest.size)}"
    took = f"in {duration(taken.transfer.seconds)}, by {engine_label(manifest.engine, manifest.versions)}"
    for text in taken.transfer.notes:
        note(text)
    print_passage(taken.transfer)
    show(f"Backed up {manifest.environment} as {taken.name}: {what}, {took}.")
    show(f"It is in {taken.place}. To restore it: monarch restore {shell(taken.name)}:ENVIRONMENT")


@click.command("list_backups")
@json_option
def list_backups(as_json: bool) -> None:
    """List the backups, the oldest first.

    Only good backups, and legacy ones of monarch 0.1, can be restored; and foreign ones, which monarch did
    not make, if they hold one database.

    \b
    Examples:
      monarch list_backups
      monarch list_backups --json
    """
    project = this_project()
    backups = project.list_backups()
    if as_json:
        print_json([_row(backup) for backup in backups])
        return
    if not backups:
        show(f"There are no backups in {project.backups.store.place}.")
        return
    parts = {_part(backup) for backup in backups if backup.documents is not None}
    contents = "CONTENTS" if len(parts) > 1 else f"{next(iter(parts), 'document').upper()}S"
    headers: tuple[str, ...] = ("NAME", "ENVIRONMENT", "TAKEN (UTC)", "SIZE", contents, "STATE")
    rows = [_cells(backup, named=contents == "CONTENTS") for backup in backups]
    if any(backup.query_set for backup in backups):
        headers = (*headers, "QUERY SET")
        rows = [(*row, backup.query_set or "-") for row, backup in zip(rows, backups, strict=True)]
    print_table(headers, rows, right=(3, 4))
    for backup in backups:
        if backup.why and backup.state is not backup.state.RUNNING:
            note(f"{printable(backup.name)} is {backup.state.value}: {_advice(backup)}")


@click.command("show_backup")
@click.argument("name", type=BACKUP)
@json_option
def show_backup(name: str, as_json: bool) -> None:
    """Show the manifest of the backup NAME.

    The archive itself is not read.

    \b
    Examples:
      monarch show_backup app__2026_11_28
      monarch show_backup app__2026_11_28 --json
    """
    backup, manifest = this_project().show_backup(name)
    if as_json:
        collections = [vars(one) for one in manifest.collections] if manifest else None
        print_json({**(_members(manifest) if manifest else {}), **_row(backup), "collections": collections})
        return
    for label, value in _facts(backup, manifest):
        show(f"{label:<13}{printable(value)}")
    if manifest is not None:
        show()
        print_collections(manifest.collections)


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
    project = this_project()
    find = project.backups.named if yes else project.backups.get
    backups = [find(name) for name in dict.fromkeys(names)]
    for backup in backups:
        of = f"of {backup.environment}, " if backup.environment else ""
        state = "" if backup.restorable else f", {backup.state.value}"
        if backup.state is backup.state.FOREIGN:
            state = f", {backup.state.value}: {printable(backup.why or '')}"
        show(f"  {backup.archive}: {of}{_time(backup.taken_at)} UTC, {size(backup.bytes)}{state}", err=True)
    confirm(f"Delete {count(len(backups), 'backup')} from {project.backups.store.place}: are you SURE?", yes)
    project.delete_backups(*backups, report=lambda backup: show(f"Deleted {backup.archive}."))


def _advice(backup: Backup) -> str:
    """Why a backup is not good, and how to remove it if that is certain."""
    if backup.state is backup.state.UNREADABLE:
        return f"{backup.why}."
    if backup.state is backup.state.BEGUN:
        return f"{backup.why}. If it was cut off, remove it: monarch delete_backup {argument(backup.name)}"
    if backup.state is backup.state.FOREIGN:
        return f"{backup.why}. To check it: monarch verify_backup {argument(backup.archive)}"
    perhaps = ""
    if backup.state is backup.state.INCOMPLETE or backup.has_manifest:
        perhaps = " Its archive may still be whole: see the manual, Recovering by hand."
    return f"{backup.why}.{perhaps} To remove it: monarch delete_backup {argument(backup.name)}"


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def _row(backup: Backup) -> dict[str, Any]:
    return {
        "name": backup.name,
        "archive": backup.archive,
        "state": backup.state.value,
        "environment": backup.environment,
        "taken_at": timestamp(backup.taken_at),
        "bytes": backup.bytes,
        "documents": backup.documents,
        "query_set": backup.query_set,
        "private": backup.private,
        "masked": backup.masked,
        "why": backup.why,
    }


def _part(backup: Backup) -> str:
    """What the database of ``backup`` holds, one of it."""
    return find_kind(backup.kind or LEGACY_KIND).words[1]


def _cells(backup: Backup, *, named: bool) -> tuple[str, ...]:
    """The cells of ``backup`` in a table; ``named`` says whether its number names what it counts."""
    if backup.documents is None:
        number = "-"
    else:
        number = count(backup.documents, _part(backup)) if named else f"{backup.documents:,}"
    buckets = f" + {count(backup.buckets, 'bucket')}" if backup.buckets else ""
    return (
        backup.name,
        backup.environment or "-",
        _time(backup.taken_at),
        size(backup.bytes),
        f"{number}{buckets}",
        backup.state.value,
    )


def _members(manifest: Manifest) -> dict[str, Any]:
    """The members of a manifest, without its collections."""
    members = {**vars(manifest), "taken_at": timestamp(manifest.taken_at)}
    members["finished_at"] = timestamp(manifest.finished_at)
    del members["collections"]
    return members


def _facts(backup: Backup, manifest: Manifest | None) -> list[tuple[str, str]]:
    state = backup.state.value + (f": {backup.why}" if backup.why else "")
    facts = [("Name", backup.name), ("State", state), ("Archive", f"{backup.archive}, {size(backup.bytes)}")]
    if manifest is None:
        return [*facts, ("Written", f"{_time(backup.taken_at)} UTC")]
    privacy = "masked" if manifest.masked else "private, not masked" if manifest.private else None
    took = (manifest.finished_at - manifest.taken_at).total_seconds()
    return [
        *facts,
        ("Environment", manifest.environment),
        ("Database", f"{manifest.database} ({manifest.server})"),
        ("Taken", f"{_time(manifest.taken_at)} UTC, in {duration(took)}"),
        ("Contents", summary(manifest.collections)),
        ("As of", "one snapshot" if manifest.one_moment else "the times at which each part was read"),
        *([("Privacy", privacy)] if privacy else []),
        ("Query set", manifest.query_set or "none: everything"),
        *(("  option", option) for option in manifest.query_options),
        *(("  filter", filters) for filters in manifest.query_filters),
        ("Made by", f"monarch {manifest.monarch}, {engine_label(manifest.engine, manifest.versions)}"),
        ("Compression", f"{manifest.codec}, level {manifest.level}"),
        ("SHA-256", manifest.sha256),
    ]
