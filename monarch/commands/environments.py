"""``list_environments`` and ``drop_db``."""

from __future__ import annotations

import click

from monarch.commands.console.output import Told, count, print_json, print_table
from monarch.commands.console.questions import breathe, confirm, yes_option
from monarch.commands.parsing.arguments import ENVIRONMENT, this_project


@click.command("list_environments")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_environments(as_json: bool) -> None:
    """List the environments of migrations/settings.py.

    Connects to none of them, and shows no password.
    """
    from monarch.settings.protection import why_hazardous

    rows = [
        {
            "name": environment.name,
            "database": environment.db_name or None,
            "server": environment.server or None,
            "username": environment.username,
            "hazardous": why_hazardous(environment),
            "missing": environment.missing,
        }
        for environment in this_project().environments()
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ENVIRONMENT", "DATABASE", "SERVER", "HAZARDOUS"),
        [
            (
                str(row["name"]),
                row["database"] or "-",
                f"({row['missing']} is not set)" if row["missing"] else row["server"] or "-",
                f"yes, {row['hazardous']}" if row["hazardous"] else "no",
            )
            for row in rows
        ],
    )


@click.command("drop_db")
@click.argument("environment", type=ENVIRONMENT)
@yes_option
def drop_db(environment: str, yes: bool) -> None:
    """Drop the whole database of ENVIRONMENT.

    Its migration history goes with it. There is no way back but a backup.
    """
    project = this_project()
    target = project.environment(environment)
    breathe(target, "drop", yes)
    confirm(f"Drop {target.db_name} on {environment} ({target.server}): are you SURE?", yes)
    was = project.drop(environment, Told())
    if was.collections:
        what = f"{count(was.collections, 'collection')}, {count(was.documents, 'document')}"
        click.echo(f"Dropped {target.db_name} on {environment}: {what}.")
    else:
        click.echo(f"{target.db_name} on {environment} was empty: nothing to drop.")
