"""``list_backups`` and ``show_backup``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import (
    print_collections,
    print_json,
    print_json_list,
    print_table,
    summary,
)
from monarch.commands.console.text import (
    argument,
    count,
    duration,
    engine_label,
    printable,
    size,
    timestamp,
)
from monarch.commands.looks.states import in_colour
from monarch.commands.parsing.arguments import BACKUP, ENVIRONMENT, json_option, this_project
from monarch.databases import LEGACY_KIND, find_kind

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.backups.manifest import Manifest
    from monarch.backups.state import Backup
    from monarch.stores.base import Store


@click.command("list_backups")
@click.argument("environment", type=ENVIRONMENT, required=False)
@json_option
def list_backups(environment: str | None, as_json: bool) -> None:
    """List the backups, the oldest first.

    With ENVIRONMENT only those of it, as their manifests tell. Only good backups, and legacy ones of
    monarch 0.1, can be restored; and foreign ones, which monarch did not make, if they hold one database.

    \b
    Examples:
      monarch list_backups
      monarch list_backups production --json
    """
    project = this_project()
    backups = project.list_backups(environment)
    if as_json:
        print_json_list(map(backup_row, backups))
        return
    if not backups:
        of = f" of {environment}" if environment else ""
        show(f"There are no backups{of} in {project.backups.store.place}.")
        note_absence(project.backups.store)
        return
    parts = {_part(backup) for backup in backups if backup.documents is not None}
    contents = "CONTENTS" if len(parts) > 1 else f"{next(iter(parts), 'document').upper()}S"
    headers: tuple[str, ...] = ("NAME", "ENVIRONMENT", "TAKEN (UTC)", "SIZE", contents, "STATE")
    rows = [_cells(backup, named=contents == "CONTENTS") for backup in backups]
    if any(backup.query_set for backup in backups):
        headers = (*headers, "QUERY SET")
        rows = [(*row, backup.query_set or "-") for row, backup in zip(rows, backups, strict=True)]
    print_table(headers, rows, right=(3, 4), states=(5,))
    _explain(backups)


def _explain(backups: tuple[Backup, ...]) -> None:
    """Say why backups are not good, and why one has several archives."""
    from monarch.backups.secrecy.generations import group_archives

    groups = [group for group in group_archives(backups) if len(group) > 1]
    several = {backup.archive for group in groups for backup in group}
    for backup in backups:
        if backup.why and backup.state is not backup.state.RUNNING:
            # Its name means the good one.
            name = backup.archive if backup.archive in several else backup.name
            note(f"{printable(name)} is {backup.state.value}: {_advice(backup, name)}")
    for group in groups:
        archives, name = ", ".join(printable(one.archive) for one in group), argument(group[0].name)
        if any(one.busy for one in group):
            advice = f"rekey_backup is at it, or was cut off. When it has ended: monarch rekey_backup {name}"
        else:
            advice = f"rekey_backup has not finished it. To finish it: monarch rekey_backup {name}"
        note(f"{printable(group[0].name)} has {len(group)} archives, {archives}: {advice}")


def note_absence(store: Store) -> None:
    """Note if ``store`` has no backups because its place does not exist."""
    absence = store.absence()
    if absence is not None:
        note(f"{absence}. If there should be backups, check BACKUPS in migrations/settings.py.")


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
        print_json(
            {
                **(manifest_members(manifest) if manifest else {}),
                **backup_row(backup),
                "collections": collections,
            }
        )
        return
    for label, value in _facts(backup, manifest):
        state, colon, why = value.partition(":") if label == "State" else ("", "", value)
        # Options of query sets are among them.
        show(f"{label:<13}", *(in_colour(state) if state else ()), f"{colon}{printable(why)}", recorded=False)
    if manifest is not None:
        show()
        print_collections(manifest.collections)


def _advice(backup: Backup, name: str) -> str:
    """Why the backup called ``name`` is not good, and how to remove it if that is certain."""
    if backup.state is backup.state.UNREADABLE:
        return f"{backup.why}."
    if backup.state is backup.state.BEGUN:
        return f"{backup.why}. If it was cut off, remove it: monarch delete_backup {argument(name)}"
    if backup.state is backup.state.FOREIGN:
        name = argument(backup.archive)
        check = f"To check it: monarch verify_backup {name}"
        return f"{backup.why}. {check} To make it a backup: monarch adopt_backup {name}"
    perhaps = ""
    if backup.state is backup.state.INCOMPLETE or backup.has_manifest:
        perhaps = " Its archive may still be whole: see the manual, Recovering by hand."
    return f"{backup.why}.{perhaps} To remove it: monarch delete_backup {argument(name)}"


def moment(when: datetime) -> str:
    """Return ``when`` for people, to the minute."""
    return f"{when:%Y-%m-%d %H:%M}"


def backup_row(backup: Backup) -> dict[str, Any]:
    """Return what ``--json`` prints of ``backup`` in a list."""
    return {
        "name": backup.name,
        "archive": backup.archive,
        "state": backup.state.value,
        "environment": backup.environment,
        "database": backup.database,
        "taken_at": timestamp(backup.taken_at),
        "bytes": backup.bytes,
        "documents": backup.documents,
        "query_set": backup.query_set,
        "private": backup.private,
        "masked": backup.masked,
        "protected": _protection(backup),
        "encrypted": backup.encrypted,
        "why": backup.why,
    }


def _protection(backup: Backup) -> str | None:
    """How ``backup`` is protected now; None if it is not."""
    return str(backup.protection) if backup.protection and backup.protection.holds() else None


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
        moment(backup.taken_at),
        size(backup.bytes),
        f"{number}{buckets}",
        backup.state.value + (", protected" if _protection(backup) else ""),
    )


def manifest_members(manifest: Manifest) -> dict[str, Any]:
    """Return the members of ``manifest`` for JSON, without its collections."""
    members = {**vars(manifest), "taken_at": timestamp(manifest.taken_at)}
    members["finished_at"] = timestamp(manifest.finished_at)
    members["digests"] = [vars(digest) for digest in manifest.digests]
    del members["collections"]
    return members


def _facts(backup: Backup, manifest: Manifest | None) -> list[tuple[str, str]]:
    state = backup.state.value + (f": {backup.why}" if backup.why else "")
    facts = [("Name", backup.name), ("State", state), ("Archive", f"{backup.archive}, {size(backup.bytes)}")]
    if manifest is None:
        return [*facts, ("Written", f"{moment(backup.taken_at)} UTC")]
    privacy = "masked" if manifest.masked else "private, not masked" if manifest.private else None
    took = (manifest.finished_at - manifest.taken_at).total_seconds()
    return [
        *facts,
        ("Environment", manifest.environment),
        ("Database", f"{manifest.database} ({manifest.server})"),
        ("Taken", f"{moment(manifest.taken_at)} UTC, in {duration(took)}"),
        ("Contents", summary(manifest.collections)),
        ("As of", "one snapshot" if manifest.one_moment else "the times at which each part was read"),
        *([("Privacy", privacy)] if privacy else []),
        *([("Protection", _protection(backup) or "")] if _protection(backup) else []),
        ("Query set", manifest.query_set or "none: everything"),
        *(("  option", option) for option in manifest.query_options),
        *(("  filter", filters) for filters in manifest.query_filters),
        ("Made by", f"monarch {manifest.monarch}, {engine_label(manifest.engine, manifest.versions)}"),
        ("Compression", f"{manifest.codec}, level {manifest.level}"),
        *(("Recipient", recipient) for recipient in manifest.recipients),
        ("SHA-256", manifest.sha256),
    ]
