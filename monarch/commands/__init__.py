"""The command line: parses, asks and prints. What is done, the domain does.

Only click is imported here and in the modules below; everything else when a command runs, so that
``--help`` and completion answer at once.
"""

from __future__ import annotations

import os

import click

from monarch.commands.backups import backup, delete_backup, list_backups, show_backup, verify_backup
from monarch.commands.console.boundary import leave, open_missing_streams
from monarch.commands.copies import copy_db
from monarch.commands.demo import demo
from monarch.commands.environments import drop_db, list_environments
from monarch.commands.init import init
from monarch.commands.marks import mark, unlock
from monarch.commands.migrations import generate, migrate, migrate_one, rollback, verify_migration
from monarch.commands.parsing.group import Group
from monarch.commands.querysets import generate_query_set, list_query_sets
from monarch.commands.restores import restore
from monarch.commands.states import check, history, list_migrations
from monarch.version import __version__


@click.group(cls=Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="monarch")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Migrations should happen naturally.

    A toolbelt for the MongoDB environments of a project. Run it in the folder that holds
    migrations/settings.py; `monarch init` makes one, `monarch demo` shows how it all goes.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit(2)


for command in (
    init,
    demo,
    generate,
    list_migrations,
    migrate,
    migrate_one,
    check,
    history,
    verify_migration,
    rollback,
    mark,
    unlock,
    list_environments,
    copy_db,
    backup,
    list_backups,
    show_backup,
    verify_backup,
    restore,
    delete_backup,
    generate_query_set,
    list_query_sets,
    drop_db,
):
    cli.add_command(command)


def main() -> None:
    """The console script: `cli`, and an end without pymongo's half a second."""
    open_missing_streams()
    if "_MONARCH_COMPLETE" in os.environ:
        from monarch.commands.parsing.completion import teach

        teach()
    try:
        cli(prog_name="monarch")
    finally:
        leave()
