"""``list_migrations``, ``check`` and ``history``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.text import count, duration, printable, size, timestamp
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    MIGRATION,
    WholeNumber,
    json_option,
    this_project,
)
from monarch.databases import find_kind
from monarch.databases.history import OPERATIONS, Action
from monarch.errors import ServerError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.databases.history import JournalEntry
    from monarch.migrations.status import EnvironmentStatus, MigrationStatus, Verdict

# The keys of their entries do not name the backups.
_NAMING_BACKUPS = (Action.BACKUP, Action.PRUNE, Action.DELETE)


@click.command("list_migrations")
@click.argument("environment", type=ENVIRONMENT, required=False)
@click.option("--all", "everywhere", is_flag=True, help="All environments, one column each.")
@json_option
def list_migrations(environment: str | None, everywhere: bool, as_json: bool) -> None:
    """List all migrations and their state on ENVIRONMENT.

    \b
    Examples:
      monarch list_migrations production
      monarch list_migrations --all
    """
    if (environment is None) != everywhere:
        wrong = "Both an environment and --all are given." if everywhere else "No environment is named."
        raise UsageError(wrong, "Name one environment, or use --all for a table of all of them.")
    if environment is None:
        _show_everywhere(this_project().list_everywhere(), as_json)
        return
    rows = this_project().list_migrations(environment, ProgressLines())
    if as_json:
        entries = this_project().history(environment)
        print_json([_row_as_json(row, entries) for row in rows])
    elif rows:
        print_table(("MIGRATION", "STATE", "PROCESSED AT (UTC)"), [_as_cells(row) for row in rows])
    else:
        show("No migrations yet. Make one: monarch generate NAME")


def _row_as_json(row: MigrationStatus, entries: tuple[JournalEntry, ...]) -> dict[str, Any]:
    return {
        "key": row.key,
        "state": row.state.value,
        "processed_at": _iso(row.processed_at),
        "file": row.file.shown_path if row.file else None,
        "late": row.late,
        "edited": row.edited,
        "gone": row.gone,
        "changed": row.changed,
        "attempts": [_entry_as_json(entry) for entry in entries if entry.key == row.key],
    }


def _state(row: MigrationStatus) -> str:
    return ", ".join((row.state.value, *row.remarks))


def _as_cells(row: MigrationStatus) -> tuple[str, str, str]:
    return row.key, _state(row), _time(row.processed_at)


def _show_everywhere(statuses: tuple[EnvironmentStatus, ...], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "environment": one.environment,
                    "error": one.error,
                    "migrations": {row.key: row.state.value for row in one.rows},
                }
                for one in statuses
            ]
        )
    else:
        states = {one.environment: {row.key: _state(row) for row in one.rows} for one in statuses}
        keys = sorted({key for column in states.values() for key in column})
        unread = {one.environment for one in statuses if one.error is not None}
        cells = [
            (key, *("?" if name in unread else column.get(key, "-") for name, column in states.items()))
            for key in keys
        ]
        print_table(("MIGRATION", *states), cells)
        for one in statuses:
            if one.error is not None:
                note(f"{one.environment} could not be read: {one.error}")
    unreadable = [one.environment for one in statuses if one.error is not None and not one.incomplete]
    if unreadable:
        names = ", ".join(unreadable)
        raise ServerError(f"Not all environments could be read: {names}.", "See the notes above.")


@click.command("check")
@click.argument("environment", type=ENVIRONMENT)
@json_option
def check(environment: str, as_json: bool) -> None:
    """Exit with 0 if ENVIRONMENT is up to date.

    For CI and readiness probes. Otherwise the exit code is 3 if migrations are pending, 6 if one failed or
    was interrupted, 7 if one was edited or its file is gone, 8 if the database has run newer ones than this
    checkout has, 5 if it cannot be reached.

    \b
    Examples:
      monarch check production
      monarch check production --json
    """
    verdict = this_project().check(environment)
    code = _code(verdict)
    if as_json:
        print_json({**vars(verdict), "exit_code": code})
    else:
        for line in _lines(verdict):
            show(line)
    click.get_current_context().exit(code)


def _code(verdict: Verdict) -> int:
    if verdict.unfinished:
        return 6
    if verdict.pending or verdict.running:
        return 3
    if verdict.edited or verdict.gone:
        return 7
    return 8 if verdict.ahead else 0


def _lines(verdict: Verdict) -> list[str]:
    name = verdict.environment
    findings = [
        (verdict.unfinished, f"Failed or interrupted on {name}", f"see why: monarch history {name} --last 5"),
        (verdict.running, f"Running on {name} now", ""),
        (verdict.pending, f"Pending on {name}", f"monarch migrate {name}"),
        (verdict.late, "Older than what has run", ""),
        (verdict.edited, "Edited since they ran", _accept(name, verdict.edited)),
        (verdict.gone, "Have run, but their files are gone", _accept(name, verdict.gone)),
        (verdict.ahead, f"{name} has run newer ones than this checkout has", "update this checkout"),
    ]
    lines = [
        f"{what}: {', '.join(keys)}{f' ({then})' if then else ''}" for keys, what, then in findings if keys
    ]
    return lines or [f"{name} is up to date: {count(verdict.known, 'migration')}."]


def _accept(environment: str, keys: tuple[str, ...]) -> str:
    return f"if this is intended: monarch mark {environment} {' '.join(keys[:1])} --accept-edit"


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
        print_json([_entry_as_json(entry) for entry in entries])
        return
    if not entries:
        show(f"The journal of {environment} has no {'entry' if everything else 'attempt at a migration'}.")
    else:
        _, part = find_kind(project.environment(environment).kind).words
        if migration is None and everything:
            _show_everything(entries, part)
        elif migration is None:
            headers = ("STARTED AT (UTC)", "MIGRATION", "ACTION", "OUTCOME", "TOOK", f"{part.upper()}S", "BY")
            print_table(headers, [_entry_as_cells(entry) for entry in entries], right=(4, 5))
        else:
            for entry in entries:
                _show_entry(entry, part)
    if migration is None and not everything:
        show(f"Backups, copies and other commands: monarch history {environment} --everything", err=True)


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
    print_table(headers, rows, right=(5, 6, 7))


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


def _entry_as_json(entry: JournalEntry) -> dict[str, Any]:
    return {
        **vars(entry),
        "action": entry.action.value,
        "outcome": entry.outcome.value if entry.outcome else None,
        "started_at": _iso(entry.started_at),
        "finished_at": _iso(entry.finished_at),
        "backups": [vars(one) for one in entry.backups],
    }


def _entry_as_cells(entry: JournalEntry) -> tuple[str, ...]:
    took = duration(entry.seconds) if entry.seconds is not None else "-"
    documents = f"{entry.documents:,}" if entry.documents is not None else "-"
    outcome = entry.outcome.value if entry.outcome else "-"
    by = f"{entry.user}@{entry.host}" if entry.host else "-"
    return _time(entry.started_at), entry.key, entry.action.value, outcome, took, documents, by


def _show_entry(entry: JournalEntry, part: str) -> None:
    started, key, what, outcome, took, documents, by = _entry_as_cells(entry)
    show(f"{started}  {what} of {key}: {outcome}", bold=True)
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
                show(f"    {printable(line)}")


def _iso(when: datetime | None) -> str | None:
    return timestamp(when) if when else None


def _time(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S}" if when else "-"
