"""``list_migrations``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.migrations.entries import entry_as_json, iso_time, shown_time
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    json_option,
    this_project,
)
from monarch.commands.several.listing import show_states, state_of
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.databases.history import JournalEntry
    from monarch.migrations.status import MigrationStatus
    from monarch.project import Project


@click.command("list_migrations")
@click.argument("environments", metavar="[ENVIRONMENT]...", type=ENVIRONMENT, nargs=-1)
@click.option("--all", "everywhere", is_flag=True, help="All environments.")
@json_option
def list_migrations(environments: tuple[str, ...], everywhere: bool, as_json: bool) -> None:
    """List all migrations and their state on ENVIRONMENT.

    Several environments, patterns such as `'eu-*'` and --all give a table with a column for each database; of
    many, one with a line for each, and how many of its migrations are in which state.

    \b
    Examples:
      monarch list_migrations production
      monarch list_migrations staging 'eu-?'
      monarch list_migrations --all
    """
    if bool(environments) == everywhere:
        wrong = "Both an environment and --all are given." if everywhere else "No environment is named."
        raise UsageError(wrong, "Name one environment, or use --all for a table of all of them.")
    project = this_project()
    if everywhere:
        show_states(project.list_everywhere(), as_json)
    elif project.is_one(*environments):
        _show_one(project, environments[0], as_json)
    else:
        show_states(project.list_each(project.targets(*environments)), as_json)


def _show_one(project: Project, environment: str, as_json: bool) -> None:
    rows = project.list_migrations(environment, ProgressLines())
    if as_json:
        entries = project.history(environment)
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


def _as_cells(row: MigrationStatus) -> tuple[str, str, str]:
    return row.key, state_of(row), shown_time(row.processed_at)
