"""``list_environments`` and ``drop_db``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import breathe, confirm, when_possible, yes_option
from monarch.commands.console.text import count
from monarch.commands.parsing.arguments import ENVIRONMENT, json_option, plan_option, this_project
from monarch.commands.reports.plans import (
    MOST,
    before_question,
    nothing_changed,
    plan_json_option,
    require_plan,
    show_collections,
    show_target,
    target_as_json,
)
from monarch.databases import find_kind

if TYPE_CHECKING:
    from monarch.backups.plans.target import TargetState
    from monarch.databases.environment import Environment


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
    environments = this_project().environments()
    if as_json:
        print_json([_as_json(environment) for environment in environments])
        return
    heads = ["ENVIRONMENT", "DATABASE", "SERVER", "HAZARDOUS"]
    rows = [list(_as_cells(environment)) for environment in environments]
    if len({environment.known_kind for environment in environments} - {None}) > 1:
        heads.insert(1, "KIND")
        for environment, row in zip(environments, rows, strict=True):
            row.insert(1, environment.known_kind or "-")
    if any(environment.private for environment in environments):
        heads.append("PRIVATE")
        for environment, row in zip(environments, rows, strict=True):
            row.append("yes" if environment.private else "no")
    print_table(heads, rows)
    for environment in environments:
        if environment.problem:
            note(f"{environment.problem} {environment.remedy or ''}".rstrip())


def _as_json(environment: Environment) -> dict[str, object]:
    from monarch.settings.protection import why_hazardous

    return {
        "name": environment.name,
        "kind": environment.known_kind,
        "database": environment.db_name or None,
        "databases": _databases(environment),
        "server": environment.server or None,
        "username": environment.username,
        "hazardous": why_hazardous(environment),
        "private": environment.private,
        "missing": environment.missing,
        "problem": environment.problem,
    }


def _databases(environment: Environment) -> list[str] | None:
    """The names and patterns of its databases; None if it has one."""
    several = environment.databases
    if several is None:
        return None
    return [f"{several.function_name}()"] if several.function else [*several.names, *several.patterns]


def _as_cells(environment: Environment) -> tuple[str, str, str, str]:
    from monarch.settings.protection import why_hazardous

    hazardous = why_hazardous(environment)
    return (
        environment.name,
        environment.db_name or str(environment.databases or "-"),
        _server(environment),
        f"yes, {hazardous}" if hazardous else "no",
    )


def _server(environment: Environment) -> str:
    if environment.problem:
        return "(cannot be used: see below)"
    return f"({environment.missing} is not set)" if environment.missing else environment.server or "-"


@click.command("drop_db")
@click.argument("environment", type=ENVIRONMENT)
@plan_option("Show what would be dropped, and change nothing.")
@plan_json_option
@yes_option
def drop_db(environment: str, plan: bool, as_json: bool, yes: bool) -> None:
    """Drop the whole database of ENVIRONMENT.

    This includes its migration history. Only a backup can bring it back: before it asks, it shows what the
    database holds, and its newest good backup.

    \b
    Examples:
      monarch drop_db development
      monarch drop_db development --plan
      monarch drop_db ci --yes
    """
    project = this_project()
    require_plan(plan, as_json)
    target = project.environment(environment)
    if plan:
        _show_plan(project.plan_drop(environment, ProgressLines()), as_json)
        return

    def ask() -> None:
        breathe(target, "drop", yes)
        confirm(f"Drop {target.db_name} on {environment} ({target.server}): are you SURE?", yes)

    def show_first(state: TargetState) -> None:
        with before_question():
            _show_dropped(state, MOST)

    asking = when_possible(ask)
    dropped = project.drop(environment, ProgressLines(), confirm=asking, preview=None if yes else show_first)
    if dropped.collections:
        thing, part = find_kind(target.kind).words
        what = f"{count(dropped.collections, thing)}, {count(dropped.documents, part)}"
        show(f"Dropped {target.db_name} on {environment}: {what}.")
    else:
        show(f"{target.db_name} on {environment} was empty: nothing to drop.")


def _show_plan(state: TargetState, as_json: bool) -> None:
    if as_json:
        held = state.holdings
        dropped = [vars(collection) for collection in held.collections] if held else None
        print_json({"target": target_as_json(state), "dropped": dropped})
        return
    _show_dropped(state)
    nothing_changed()


def _show_dropped(state: TargetState, most: int | None = None) -> None:
    show_target(state, err=False)
    if state.holdings is not None and state.holdings.number:
        show("All of it would be dropped, with the migration history:")
        show_collections(state.holdings.collections, state.holdings.uncounted, most)
