"""``history``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import aside, show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.text import duration, printable, size
from monarch.commands.looks.states import in_colour
from monarch.commands.migrations.entries import entry_as_json, shown_time
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    MIGRATION,
    WholeNumber,
    json_option,
    this_project,
)
from monarch.databases import find_kind
from monarch.databases.history import OPERATIONS, Action

if TYPE_CHECKING:
    from monarch.databases.history import JournalEntry


# The keys of their entries do not name the backups.
_NAMING_BACKUPS = (Action.BACKUP, Action.PRUNE, Action.DELETE)


@click.command("history")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("migration", type=MIGRATION, required=False)
@click.option(
    "--last",
    metavar="N",
    type=WholeNumber(),
    default=50,
    show_default=True,
    help="Entries shown.",
)
@click.option("--everything", is_flag=True, help="Show backups, restores, copies and other commands, too.")
@json_option
def history(environment: str, migration: str | None, last: int, everything: bool, as_json: bool) -> None:
    """Show the attempts on ENVIRONMENT, the newest last.

    With MIGRATION, shows everything about its attempts: errors, what it printed, the commit, the CI job.
    With --everything, shows who has taken, restored or deleted backups of it, copied into it, dropped or
    unlocked it, and what was done on contents that a copy or a restore has replaced.

    \b
    Examples:
      monarch history production --last 10
      monarch history production add_indexes
      monarch history production --everything
    """
    project = this_project()
    entries = project.history(
        environment, migration, last=last, everything=everything, progress=ProgressLines()
    )
    if as_json:
        print_json([entry_as_json(entry) for entry in entries])
        return
    if not entries:
        show(f"The journal of {environment} has no {'entry' if everything else 'attempt at a migration'}.")
    else:
        _, part = find_kind(project.environment(environment).kind).words
        if migration is None and everything:
            _show_everything(entries, part)
        elif migration is None:
            headers = ("STARTED AT (UTC)", "MIGRATION", "ACTION", "OUTCOME", "TOOK", f"{part.upper()}S", "BY")
            rows = [_entry_as_cells(entry) for entry in entries]
            print_table(headers, rows, right=(4, 5), states=(3,), keys=(1,))
        else:
            for entry in entries:
                _show_entry(entry, part)
    if migration is None and not everything:
        aside(f"Backups, copies and other commands: monarch history {environment} --everything")


def _show_everything(entries: tuple[JournalEntry, ...], part: str) -> None:
    headers = (
        "STARTED AT (UTC)",
        "ON",
        "WHAT",
        "ACTION",
        "OUTCOME",
        "TOOK",
        f"{part.upper()}S",
        "SIZE",
        "BY",
    )
    rows = []
    for entry in entries:
        started, _, action, outcome, took, documents, by = _entry_as_cells(entry)
        if entry.replaced and entry.action not in OPERATIONS:
            outcome = f"{outcome}, replaced since"
        amount = size(entry.bytes) if entry.bytes is not None else "-"
        on = entry.environment or "-"
        rows.append((started, on, _what(entry), action, outcome, took, documents, amount, by))
    print_table(headers, rows, right=(5, 6, 7), states=(4,), keys=(2,))


def _what(entry: JournalEntry) -> str:
    """Return what an entry is about, with the backup and the query set if the key does not name them."""
    what = entry.key
    if entry.action in _NAMING_BACKUPS and entry.backup:
        what = f"{what}: {entry.backup}"
    deletes = entry.action in (Action.DELETE, Action.PRUNE)
    if deletes and (stays := [one.name for one in entry.backups if not one.deleted]):
        what = f"{what}; not deleted: {', '.join(stays)}"
    if entry.error and entry.action in OPERATIONS:
        what = f"{what}: {entry.error}"
    if entry.query_set:
        what = f"{what} ({' '.join((entry.query_set, *entry.query_options))})"
    return what


def _entry_as_cells(entry: JournalEntry) -> tuple[str, ...]:
    took = duration(entry.seconds) if entry.seconds is not None else "-"
    documents = f"{entry.documents:,}" if entry.documents is not None else "-"
    outcome = entry.outcome.value if entry.outcome else "-"
    by = f"{entry.user}@{entry.host}" if entry.host else "-"
    return shown_time(entry.started_at), entry.key, entry.action.value, outcome, took, documents, by


def _show_entry(entry: JournalEntry, part: str) -> None:
    started, key, what, outcome, took, documents, by = _entry_as_cells(entry)
    show(f"{started}  {what} of {key}: ", *in_colour(outcome), bold=True)
    shown = {
        "took": took,
        f"{part}s written": documents,
        "by": f"{by}, process {entry.pid}, monarch {entry.monarch}",
        "commit": entry.commit,
        "job": " ".join(part for part in (entry.job, entry.link) if part),
        "backup before": entry.backup,
        "file": f"sha256 {entry.checksum}" if entry.checksum else None,
        "error": entry.error,
    }
    for name, value in shown.items():
        if value:
            show(f"  {name}: {printable(value)}")
    for name, text in (("printed", entry.echoed), ("traceback", entry.traceback)):
        if text:
            show(f"  {name}:")
            for line in click.unstyle(text).splitlines():
                show(f"    {printable(line)}", recorded=False)
