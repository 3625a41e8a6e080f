"""``migrate`` and ``migrate_one``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import asking, yes_option
from monarch.commands.console.streams import own_stdout
from monarch.commands.console.text import count, duration
from monarch.commands.parsing.arguments import (
    DURATION,
    ENVIRONMENT,
    MIGRATION,
    plan_option,
    this_project,
)
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.migrations.migrate import RunResult
    from monarch.migrations.plan import PlannedMigration


@click.command("migrate")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--retry", is_flag=True, help="Also run what failed or was interrupted, before the rest.")
@plan_option("Show what would run, and why. Writes nothing.")
@click.option("--to", metavar="MIGRATION", type=MIGRATION, help="Stop after this migration.")
@click.option(
    "--only",
    metavar="MIGRATION",
    type=MIGRATION,
    multiple=True,
    help="Run only this migration; repeatable.",
)
@click.option("--strict-order", is_flag=True, help="Refuse to run migrations older than what has run.")
@click.option("--backup", is_flag=True, help="First take a backup and verify it.")
@click.option("--wait", metavar="TIME", type=DURATION, help="Wait at most this long for another run.")
@click.option("--no-wait", is_flag=True, help="Do not wait for another run: exit with 4.")
@click.option("--deadline", metavar="TIME", type=DURATION, help="Begin no migration after this; exit with 9.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one event per line, for programs.")
@click.option("--junit", metavar="FILE", help="Also write a JUnit file.")
@yes_option
def migrate(
    environment: str, plan: bool, as_json: bool, junit: str | None, yes: bool, no_wait: bool, **how: Any
) -> None:
    """Run all pending migrations on ENVIRONMENT, in order.

    Stops at the first that fails, and does not start while one of an earlier run is unfinished. If another
    run is active, waits until it ends.

    \b
    Examples:
      monarch migrate production --plan
      monarch migrate production --backup --wait 10m
      monarch migrate development --only add_indexes
    """
    from monarch.commands.reports.run import reported

    if plan:
        with own_stdout():  # modules may print when they are imported
            steps = this_project().plan(environment, **_selection(how))
        _show_plan(steps, environment, as_json)
        return
    if no_wait and how["wait"] is not None:
        raise UsageError("Both --wait and --no-wait are given.", "Use one of them.")
    if no_wait:
        how["wait"] = 0
    with reported(environment, as_json=as_json, junit=junit) as (progress, story):
        project = this_project()
        ask = asking(project.environment(environment), "migrate", yes)
        story.result = project.migrate(environment, progress=progress, confirm=ask, **how)
    for key in story.result.only_in_database:
        note(f"{environment} has run {key}, which is not in this checkout.")
    if not as_json:
        show(_summary(story.result, environment))


def _selection(how: dict[str, Any]) -> dict[str, Any]:
    return {name: how[name] for name in ("retry", "to", "only", "strict_order")}


def _show_plan(steps: tuple[PlannedMigration, ...], environment: str, as_json: bool) -> None:
    if as_json:
        print_json([{"key": step.key, "file": step.file.shown_path, "why": step.why.value} for step in steps])
    elif steps:
        print_table(("MIGRATION", "WHY"), [(step.key, step.why.value) for step in steps])
        show(f"{count(len(steps), 'migration')} would run on {environment}, in this order.")
    else:
        show(f"Nothing would run on {environment}.")


def _summary(result: RunResult, environment: str) -> str:
    if result.done:
        spent = duration(sum(done.seconds for done in result.done))
        rest = f" {count(len(result.left), 'migration')} left to run." if result.left else ""
        return f"{count(len(result.done), 'migration')} done in {spent}. That felt natural.{rest}"
    if result.left:
        return (
            f"None of the selected migrations is pending. Not done yet on {environment}: "
            f"{', '.join(result.left)}"
        )
    if result.known:
        return f"Nothing to do: {environment} has run everything ({count(result.known, 'migration')})."
    return "Nothing to do: there are no migrations yet. Make one: monarch generate NAME"


@click.command("migrate_one")
@click.argument("migration", type=MIGRATION)
@click.argument("environment", type=ENVIRONMENT)
@yes_option
def migrate_one(migration: str, environment: str, yes: bool) -> None:
    """Run one MIGRATION on ENVIRONMENT, in any state.

    Use it to try a migration, as often as you like, and to finish one that failed.

    \b
    Examples:
      monarch migrate_one add_indexes development
      monarch migrate_one _201405290038_add_indexes_migration production
    """
    project = this_project()
    ask = asking(project.environment(environment), f"run {migration} on", yes)
    with ProgressBar() as bar:
        done = project.migrate_one(migration, environment, bar, confirm=ask)
    show(f"{done.key} is done on {environment}.")
