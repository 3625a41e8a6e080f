"""The command line: it parses, asks and prints. The domain does the work.

Only click and the table of commands are imported here; each command is imported when it is used, so that
``--help`` and completion answer at once.
"""

from __future__ import annotations

import gc
import os

import click

from monarch.commands.console.boundary import leave
from monarch.commands.console.streams import open_missing_streams
from monarch.commands.parsing.group import Group
from monarch.version import __version__

# By the headings of --help: each command with its module in this package, and the first line of its help.
COMMANDS = {
    "Start": {
        "demo": ("demo", "Show all of it on a sample project in a new FOLDER."),
        "init": ("init", "Make migrations/settings.py for this project."),
        "list_environments": ("environments", "List the environments of migrations/settings.py."),
    },
    "Migrations": {
        "generate": ("migrations.generate", "Write a new migration called NAME."),
        "list_migrations": ("migrations.listing", "List all migrations and their state on ENVIRONMENT."),
        "migrate": ("migrations.migrate", "Run all pending migrations on ENVIRONMENT, in order."),
        "migrate_one": ("migrations.migrate", "Run one MIGRATION on ENVIRONMENT, in any state."),
        "rollback": ("migrations.rollback", "Undo the newest migration on ENVIRONMENT, or MIGRATION."),
        "verify_migration": ("migrations.trial", "Run MIGRATION twice on a scratch copy of ENVIRONMENT."),
        "check": ("migrations.check", "Exit with 0 if ENVIRONMENT is up to date."),
        "history": ("migrations.history", "Show the attempts on ENVIRONMENT, the newest last."),
    },
    "Copies and backups": {
        "copy_db": ("copies", "Copy the database of one environment to another."),
        "suggest_masks": ("privacy.suggestions", "Write a mask for every field of ENVIRONMENT."),
        "leaks": ("privacy.leaks", "Search TO for values of FROM that must be masked."),
        "backup": ("backups.create", "Back up the database of ENVIRONMENT."),
        "adopt_backup": ("backups.adopt", "Take over what mongodump wrote, as a backup."),
        "list_backups": ("backups.listing", "List the backups, the oldest first."),
        "show_backup": ("backups.listing", "Show the manifest of the backup NAME."),
        "verify_backup": ("backups.verify", "Read backups to their end, and check every byte."),
        "check_backups": ("backups.freshness", "Exit with 0 if every environment has a good, new backup."),
        "drill": ("backups.drill", "Restore a backup into a server that is thrown away."),
        "restore": ("backups.restore", "Restore a backup to the database of an environment."),
        "prune_backups": ("backups.retention", "Delete the backups that no rule keeps."),
        "protect_backup": ("backups.retention", "Protect the backup NAME: nothing deletes it."),
        "unprotect_backup": ("backups.retention", "Let the backup NAME be deleted again."),
        "rekey_backup": ("backups.rekey", "Encrypt backups anew, for the present recipients."),
        "delete_backup": ("backups.delete", "Delete backups, whole or not."),
    },
    "The database itself": {
        "shell": ("shell", "Open mongosh or psql on the database of ENVIRONMENT."),
        "uri": ("shell", "Print the address of ENVIRONMENT, without its password."),
    },
    "Query sets": {
        "generate_query_set": ("querysets", "Write a new query set NAME, in snake_case."),
        "list_query_sets": ("querysets", "List the query sets of this project."),
    },
    "When something is stuck": {
        "doctor": ("doctor", "Check settings, servers, backups, tools and migrations."),
        "mark": ("migrations.marks", "Record that migrations on ENVIRONMENT have run, or not."),
        "unlock": ("migrations.unlock", "Take the lock of ENVIRONMENT away from a dead run."),
        "drop_db": ("environments", "Drop the whole database of ENVIRONMENT."),
    },
    "Help": {
        "help": ("teaching.help", "Show the manual, or what it says about TOPIC."),
        "completion": ("teaching.completion", "Print the completion script of a shell, or install it."),
    },
}

# How many new objects Python makes before it searches them for garbage.
_GARBAGE = 10_000


@click.group(
    cls=Group,
    table=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="monarch")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Migrations should happen naturally.

    A toolbelt for the MongoDB and PostgreSQL environments of a project. It finds migrations/settings.py
    in the current folder or above it. `monarch init` makes that file, `monarch demo` shows all on a sample.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit(2)


def main() -> None:
    """The console script: `cli`, without the half second of pymongo's exit handler."""
    # Nothing that is imported is garbage: searching each 700 objects takes a tenth of a short command.
    gc.set_threshold(_GARBAGE)
    open_missing_streams()
    if "_MONARCH_COMPLETE" in os.environ:
        from monarch.commands.parsing.completion import register

        register()
    try:
        cli(prog_name="monarch")
    finally:
        leave()
