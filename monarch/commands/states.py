"""``list_migrations``, ``check`` and ``history``: how far an environment is, and how it got there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.output import Told, count, duration, print_json, print_table, printable
from monarch.commands.parsing.arguments import ENVIRONMENT, MIGRATION, this_project
from monarch.errors import ServerError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.databases.history import JournalEntry
    from monarch.migrations.status import EnvironmentStatus, MigrationStatus, Verdict


@click.command("list_migrations")
@click.argument("environment", type=ENVIRONMENT, required=False)
@click.option("--all", "everywhere", is_flag=True, help="All environments, a column each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_migrations(environment: str | None, everywhere: bool, as_json: bool) -> None:
    """List all migrations and their state on ENVIRONMENT."""
    if (environment is None) != everywhere:
        wrong = "There is an environment, and --all." if everywhere else "On which environment?"
        raise UsageError(wrong, "Say one, or --all for a table of all of them.")
    if environment is None:
        _show_everywhere(this_project().list_everywhere(), as_json)
        return
    rows = this_project().list_migrations(environment, Told())
    if as_json:
        entries = this_project().history(environment)
        print_json([_row_as_json(row, entries) for row in rows])
    elif rows:
        print_table(("MIGRATION", "STATE", "PROCESSED AT (UTC)"), [_as_cells(row) for row in rows])
    else:
        click.echo("No migrations yet. Make one: monarch generate NAME")


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


def _show_everywhere(all_of_them: tuple[EnvironmentStatus, ...], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "environment": one.environment,
                    "error": one.error,
                    "migrations": {row.key: row.state.value for row in one.rows},
                }
                for one in all_of_them
            ]
        )
    else:
        states = {one.environment: {row.key: _state(row) for row in one.rows} for one in all_of_them}
        keys = sorted({key for column in states.values() for key in column})
        unread = {one.environment for one in all_of_them if one.error is not None}
        cells = [
            (key, *("?" if name in unread else column.get(key, "-") for name, column in states.items()))
            for key in keys
        ]
        print_table(("MIGRATION", *states), cells)
        for one in all_of_them:
            if one.error is not None:
                click.echo(f"Note: {one.environment} could not be read: {one.error}", err=True)
    lost = [one.environment for one in all_of_them if one.error is not None and not one.incomplete]
    if lost:
        raise ServerError(f"Not all environments could be read: {', '.join(lost)}.", "Why stands above.")


@click.command("check")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def check(environment: str, as_json: bool) -> None:
    """Say by the exit code whether ENVIRONMENT is up to date.

    For CI, and for readiness probes: 0 if it is, 3 if migrations are pending, 6 if one failed or was cut
    off, 7 if one was edited or is gone, 8 if the database has run newer ones than are here, 5 if it cannot
    be reached.
    """
    verdict = this_project().check(environment)
    code = _code(verdict)
    if as_json:
        print_json({**vars(verdict), "exit_code": code})
    else:
        for line in _in_words(verdict):
            click.echo(line)
    click.get_current_context().exit(code)


def _code(verdict: Verdict) -> int:
    if verdict.unfinished:
        return 6
    if verdict.pending or verdict.running:
        return 3
    if verdict.edited or verdict.gone:
        return 7
    return 8 if verdict.ahead else 0


def _in_words(verdict: Verdict) -> list[str]:
    name = verdict.environment
    said = [
        (verdict.unfinished, f"Failed or cut off on {name}", f"see monarch list_migrations {name}"),
        (verdict.running, f"Being run on {name} now", ""),
        (verdict.pending, f"Pending on {name}", f"monarch migrate {name}"),
        (verdict.late, "Of those older than what has run", ""),
        (verdict.edited, "Edited since they ran", _accept(name, verdict.edited)),
        (verdict.gone, "Have run, and are gone", _accept(name, verdict.gone)),
        (verdict.ahead, f"{name} has run newer ones than are here", "is this checkout the newest?"),
    ]
    lines = [f"{what}: {', '.join(keys)}{f' ({then})' if then else ''}" for keys, what, then in said if keys]
    return lines or [f"{name} is up to date: {count(verdict.known, 'migration')}."]


def _accept(environment: str, keys: tuple[str, ...]) -> str:
    return f"if that is meant: monarch mark {environment} {' '.join(keys[:1])} --accept-edit"


@click.command("history")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("migration", type=MIGRATION, required=False)
@click.option(
    "--last", metavar="N", type=click.IntRange(1, 2**31 - 1), default=50, show_default=True, help="So many."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def history(environment: str, migration: str | None, last: int, as_json: bool) -> None:
    """Show what was run on ENVIRONMENT: each attempt, the newest at the end.

    Of one MIGRATION everything is shown: errors, what it printed, the commit, the job in CI.
    """
    entries = this_project().history(environment, migration, last=last)
    if as_json:
        print_json([_entry_as_json(entry) for entry in entries])
    elif not entries:
        click.echo(f"Nothing was run on {environment} yet, as far as monarch knows.")
    elif migration is None:
        headers = ("STARTED AT (UTC)", "MIGRATION", "WHAT", "HOW IT ENDED", "TOOK", "DOCUMENTS", "BY")
        print_table(headers, [_entry_as_cells(entry) for entry in entries], right=(4, 5))
    else:
        for entry in entries:
            _show_entry(entry)


def _entry_as_json(entry: JournalEntry) -> dict[str, Any]:
    return {
        **vars(entry),
        "action": entry.action.value,
        "outcome": entry.outcome.value if entry.outcome else None,
        "started_at": _iso(entry.started_at),
        "finished_at": _iso(entry.finished_at),
    }


def _entry_as_cells(entry: JournalEntry) -> tuple[str, ...]:
    took = duration(entry.seconds) if entry.seconds is not None else "-"
    documents = f"{entry.documents:,}" if entry.documents is not None else "-"
    outcome = entry.outcome.value if entry.outcome else "-"
    by = f"{entry.user}@{entry.host}" if entry.host else "-"
    return _time(entry.started_at), entry.key, entry.action.value, outcome, took, documents, by


def _show_entry(entry: JournalEntry) -> None:
    started, key, what, outcome, took, documents, by = _entry_as_cells(entry)
    click.secho(f"{started}  {what} of {key}: {outcome}", bold=True)
    shown = {
        "took": took,
        "documents written": documents,
        "by": f"{by}, process {entry.pid}, monarch {entry.monarch}",
        "commit": entry.commit,
        "job": " ".join(part for part in (entry.job, entry.link) if part),
        "backup before": entry.backup,
        "file": f"sha256 {entry.checksum}" if entry.checksum else None,
        "error": entry.error,
    }
    for name, value in shown.items():
        if value:
            click.echo(f"  {name}: {printable(value)}")
    for name, text in (("printed", entry.echoed), ("traceback", entry.traceback)):
        if text:
            click.echo(f"  {name}:")
            for line in click.unstyle(text).splitlines():
                click.echo(f"    {printable(line)}")


def _iso(when: datetime | None) -> str | None:
    return f"{when.isoformat()}Z" if when else None


def _time(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S}" if when else "-"
