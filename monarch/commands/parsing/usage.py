"""What to say about a command line that is wrong: hints that are true, and that cannot do harm."""

from __future__ import annotations

import re

import click

from monarch.system.spelling import list_names, nearest, one_edit_away

# Commands that change data or the history: never proposed only because a word is like their name.
CHANGE = frozenset(
    ("copy_db", "delete_backup", "drop_db", "mark", "migrate", "migrate_one", "restore", "rollback", "unlock")
)
# The words of other tools (Django, alembic, Flyway, Liquibase, dbmate, restic, git), and ours.
_LISTS = "`monarch list_migrations ENVIRONMENT` lists migrations and their states."
_RUNS = "`monarch migrate ENVIRONMENT --plan` shows what would run, `monarch migrate ENVIRONMENT` runs it."
_UNDOES = "`monarch rollback ENVIRONMENT` undoes the newest migration that has a rollback()."
_MARKS = (
    "`monarch mark ENVIRONMENT --all --as completed` records that migrations have run, without running them."
)
_WRITES = "`monarch generate NAME` writes a new migration."
_COPIES = "`monarch copy_db FROM:TO --plan` shows what a copy would bring, `monarch copy_db FROM:TO` copies."
_DELETES = "`monarch delete_backup NAME` deletes backups; `monarch list_backups` lists them."
_BACKS_UP = "`monarch backup ENVIRONMENT` backs a database up."
_RESTORES = "`monarch restore BACKUP:ENVIRONMENT` restores a backup; `monarch list_backups` lists them."
_VERIFIES = (
    "See `monarch check --help`, `monarch verify_backup --help` and `monarch verify_migration --help`."
)
_WORDS = {
    _LISTS: ("status", "info", "showmigrations", "current", "ls", "list", "pending"),
    _RUNS: ("up", "upgrade", "update", "apply", "run", "deploy", "head", "sync"),
    _UNDOES: ("down", "undo", "revert", "downgrade", "back", "reset", "redo"),
    _MARKS: ("baseline", "stamp", "fake", "mark_applied", "resolve"),
    _WRITES: ("new", "makemigrations", "make", "revision", "add"),
    _COPIES: ("clone", "pull", "copy", "cp", "push"),
    _BACKS_UP: ("dump", "save", "export", "snapshot"),
    _RESTORES: ("load", "import", "recover"),
    _DELETES: ("prune", "forget", "rm", "remove", "delete", "clean"),
    _VERIFIES: ("verify", "validate", "test"),
    "`monarch list_backups` lists backups.": ("snapshots", "backups"),
    "`monarch history ENVIRONMENT` shows all attempts.": ("log", "logs", "audit"),
    "`monarch unlock ENVIRONMENT` shows who holds the lock, and asks.": ("lock", "force_unlock", "release"),
    "`monarch drop_db ENVIRONMENT` drops a whole database, and asks.": ("drop", "wipe", "flush"),
    "`monarch list_environments` lists environments.": ("env", "envs", "environments", "config"),
    "`monarch help` shows the manual.": ("man", "manual", "docs", "doc"),
    "`monarch --version` prints it.": ("version",),
}
# click's message about arguments that a command does not take.
_EXTRA = re.compile(r"unexpected extra arguments? \((.*)\)")
# The command that is parsed, for errors of click's parser that do not know it.
_current = "monarch"


def parsing(command: str) -> None:
    """Remember that the arguments of ``command`` are parsed now."""
    global _current
    _current = f"monarch {command}"


def hint_for_command(word: str, known: list[str]) -> str:
    """Return a hint for somebody who typed ``word``, which is none of the ``known`` commands."""
    typed = word.casefold().replace("-", "_")
    near = one_edit_away(typed, known)
    if near is not None:
        return f"Did you mean {near!r}?"
    for hint, words in _WORDS.items():
        if typed in words:
            return hint
    near = nearest(typed, [name for name in known if name not in CHANGE])
    return f"Did you mean {near!r}?" if near else "Run `monarch --help` to list all commands."


def hint_for(error: click.UsageError) -> tuple[str, str]:
    """Return the message and the hint for an error of click."""
    path = error.ctx.command_path if error.ctx else _current
    usage = f"Run `{path} --help` for usage."
    if isinstance(error, click.NoSuchOption):
        return f"No such option: {error.option_name}.", _hint_for_option(error, path) or usage
    if isinstance(error, click.MissingParameter) and error.param is not None:
        names = getattr(error.param.type, "names", None)
        hint = list_names(names()) if callable(names) else None
        return error.format_message(), f"{hint} {usage}" if hint else usage
    return error.format_message(), _hint_for_extra(error) or usage


def _hint_for_extra(error: click.UsageError) -> str | None:
    """Return the hint for migrations that are given as further arguments of a command that has ``--only``."""
    found = _EXTRA.search(error.message)
    if found is None or error.ctx is None:
        return None
    only = next((param for param in error.ctx.command.params if "--only" in param.opts), None)
    names = getattr(only and only.type, "names", None)
    extra = found[1].split()
    if not callable(names) or not set(extra) & set(names()):
        return None
    options = " ".join(f"--only {name}" for name in extra)
    return f"To run only {'this migration' if len(extra) == 1 else 'these migrations'}, use {options}."


def _hint_for_option(error: click.NoSuchOption, path: str) -> str | None:
    typed = error.option_name
    if error.ctx is None:
        return None
    options = [name for param in error.ctx.command.params for name in param.opts if name.startswith("--")]
    near = one_edit_away(typed, options)
    if near is not None:
        return f"Did you mean {near!r}?"
    if typed in ("--plan", "--dry-run", "--dry", "-n", "--simulate", "--pretend", "--check", "--noop"):
        if "--plan" in options:
            return f"Use `{path} … --plan`, which changes nothing."
        return f"`{path}` has no plan. Nothing was changed."
    return None
