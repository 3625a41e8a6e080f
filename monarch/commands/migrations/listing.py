"""``list_migrations``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.migrations.entries import entry_as_json, iso_time, shown_time
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    json_option,
    this_project,
)
from monarch.errors import ServerError, UsageError

if TYPE_CHECKING:
    from monarch.databases.history import JournalEntry
    from monarch.migrations.status import EnvironmentStatus, MigrationStatus


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
        headers = ("MIGRATION", "STATE", "PROCESSED AT (UTC)")
        print_table(headers, [_as_cells(row) for row in rows], states=(1,), keys=(0,))
    else:
        show("No migrations yet. Make one: monarch generate NAME")


def _row_as_json(row: MigrationStatus, entries: tuple[JournalEntry, ...]) -> dict[str, Any]:
    return {
        "key": row.key,
        "state": row.state.value,
        "processed_at": iso_time(row.processed_at),
        "file": row.file.shown_path if row.file else None,
        "late": row.late,
        "edited": row.edited,
        "gone": row.gone,
        "changed": row.changed,
        "attempts": [entry_as_json(entry) for entry in entries if entry.key == row.key],
    }


def _state(row: MigrationStatus) -> str:
    return ", ".join((row.state.value, *row.remarks))


def _as_cells(row: MigrationStatus) -> tuple[str, str, str]:
    return row.key, _state(row), shown_time(row.processed_at)


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
        print_table(("MIGRATION", *states), cells, states=range(1, len(states) + 1), keys=(0,))
        for one in statuses:
            if one.error is not None:
                note(f"{one.environment} could not be read: {one.error}")
    unreadable = [one.environment for one in statuses if one.error is not None and not one.incomplete]
    if unreadable:
        names = ", ".join(unreadable)
        raise ServerError(f"Not all environments could be read: {names}.", "See the notes above.")
