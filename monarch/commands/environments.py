"""``list_environments`` and ``drop_db``."""

from __future__ import annotations

import click

from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import breathe, confirm, yes_option
from monarch.commands.console.text import count
from monarch.commands.parsing.arguments import ENVIRONMENT, json_option, this_project


@click.command("list_environments")
@json_option
def list_environments(as_json: bool) -> None:
    """List the environments of migrations/settings.py.

    Connects to none of them, and shows no password.

    \b
    Examples:
      monarch list_environments
      monarch list_environments --json
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

    This includes its migration history. Only a backup can bring it back.

    \b
    Examples:
      monarch drop_db development
      monarch drop_db ci --yes
    """
    project = this_project()
    target = project.environment(environment)
    breathe(target, "drop", yes)
    confirm(f"Drop {target.db_name} on {environment} ({target.server}): are you SURE?", yes)
    dropped = project.drop(environment, ProgressLines())
    if dropped.collections:
        what = f"{count(dropped.collections, 'collection')}, {count(dropped.documents, 'document')}"
        click.echo(f"Dropped {target.db_name} on {environment}: {what}.")
    else:
        click.echo(f"{target.db_name} on {environment} was empty: nothing to drop.")
