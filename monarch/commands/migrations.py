"""``generate``, ``list_migrations``, ``migrate`` and ``migrate_one``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.names import ENVIRONMENT, MIGRATION, this_project
from monarch.commands.output import Told, count, duration, print_json, print_table
from monarch.commands.questions import breathe, yes_option

if TYPE_CHECKING:
    from monarch.migrations.plan import Status


@click.command("generate")
@click.argument("name")
def generate(name: str) -> None:
    """Write a new migration called NAME, for you to fill in.

    `create` is the same. A migrations/migration.py.tmpl of your own is used in place of monarch's.
    """
    project = this_project()
    path = project.generate(name)
    click.echo(f"Wrote {path.relative_to(project.root)}")


@click.command("list_migrations")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_migrations(environment: str, as_json: bool) -> None:
    """List all migrations and their state on ENVIRONMENT."""
    rows = this_project().list_migrations(environment, Told())
    if as_json:
        print_json([_as_json(row) for row in rows])
    elif rows:
        print_table(("MIGRATION", "STATE", "PROCESSED AT (UTC)"), [_as_cells(row) for row in rows])
    else:
        click.echo("No migrations yet. Make one: monarch generate NAME")


def _as_json(row: Status) -> dict[str, str | None]:
    return {
        "key": row.key,
        "state": row.state.value,
        "processed_at": f"{row.processed_at.isoformat()}Z" if row.processed_at else None,
        "file": row.file.shown_path if row.file else None,
    }


def _as_cells(row: Status) -> tuple[str, str, str]:
    state = row.state.value + ("" if row.file else ", file missing")
    when = f"{row.processed_at:%Y-%m-%d %H:%M:%S}" if row.processed_at else "-"
    return row.key, state, when


@click.command("migrate")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--retry", is_flag=True, help="Run again what failed or was cut off, then the rest.")
@yes_option
def migrate(environment: str, retry: bool, yes: bool) -> None:
    """Run all pending migrations on ENVIRONMENT, in order.

    Stops at the first that fails, and does not start while one from an earlier run is unfinished.
    """
    project = this_project()
    breathe(project.environment(environment), "migrate", yes)
    result = project.migrate(environment, retry=retry, progress=Told())
    for key in result.only_in_database:
        click.echo(f"Note: {environment} has run {key}, which is not in this checkout.", err=True)
    if result.done:
        spent = duration(sum(done.seconds for done in result.done))
        click.echo(f"{count(len(result.done), 'migration')} done in {spent}. That felt natural.")
    elif result.known:
        click.echo(f"Nothing to do: {environment} has run everything ({count(result.known, 'migration')}).")
    else:
        click.echo("Nothing to do: there are no migrations yet. Make one: monarch generate NAME")


@click.command("migrate_one")
@click.argument("migration", type=MIGRATION)
@click.argument("environment", type=ENVIRONMENT)
@yes_option
def migrate_one(migration: str, environment: str, yes: bool) -> None:
    """Run one MIGRATION on ENVIRONMENT, whatever its state is, as often as you like."""
    project = this_project()
    breathe(project.environment(environment), f"run {migration} on", yes)
    done = project.migrate_one(migration, environment, Told())
    click.echo(f"{done.key} is done on {environment}.")
