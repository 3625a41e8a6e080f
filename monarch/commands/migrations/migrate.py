"""``migrate`` and ``migrate_one``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import asking, asks, yes_option
from monarch.commands.console.streams import own_stdout
from monarch.commands.console.text import count, duration
from monarch.commands.parsing.arguments import (
    DURATION,
    ENVIRONMENT,
    MIGRATION,
    WholeNumber,
    environments_argument,
    plan_json_option,
    plan_option,
    require_plan,
    this_project,
)
from monarch.databases.several import SEPARATOR, is_wild
from monarch.errors import MonarchError, UsageError

if TYPE_CHECKING:
    from monarch.migrations.migrate import RunResult
    from monarch.project import Project


@click.command("migrate")
@environments_argument
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
@click.option("--jobs", "-j", metavar="N", type=WholeNumber(), default=1, help="How many databases at once.")
@click.option("--keep-going", is_flag=True, help="Go on with the other databases after one has failed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one event per line, for programs.")
@click.option("--junit", metavar="FILE", help="Also write a JUnit file.")
@yes_option
def migrate(
    environments: tuple[str, ...],
    plan: bool,
    jobs: int,
    keep_going: bool,
    as_json: bool,
    junit: str | None,
    yes: bool,
    no_wait: bool,
    **how: Any,
) -> None:
    """Run all pending migrations on ENVIRONMENT, in order.

    Stops at the first that fails, and does not start while one of an earlier run is unfinished. If another
    run is active, waits until it ends.

    Several environments, patterns such as `'eu-*'`, and environments with several databases are migrated one
    database after the other, each with its own history and lock, and a table at the end.

    \b
    Examples:
      monarch migrate production --plan
      monarch migrate production --backup --wait 10m
      monarch migrate development --only add_indexes
    """
    if no_wait and how["wait"] is not None:
        raise UsageError("Both --wait and --no-wait are given.", "Use one of them.")
    if no_wait:
        how["wait"] = 0
    project = this_project()
    if not _is_one(project, environments):
        from monarch.commands.several.fleet import Fleet
        from monarch.commands.several.migrate import migrate_each

        migrate_each(project, environments, how, Fleet(jobs, keep_going, plan, as_json, junit, yes))
    elif plan:
        _show_plan(project, environments[0], how, as_json)
    else:
        _migrate_one_environment(project, environments[0], how, as_json, junit, yes)


def _is_one(project: Project, environments: tuple[str, ...]) -> bool:
    try:
        with own_stdout():  # settings may start programs that print
            _refuse_migrations(project, environments[1:])
            is_one: bool = project.is_one(*environments)
    except MonarchError:
        if len(environments) > 1 or is_wild(environments[0]):
            raise
        return True  # the run on it reports what is wrong
    return is_one


def _refuse_migrations(project: Project, names: tuple[str, ...]) -> None:
    """Refuse migrations that are named where environments are."""
    if not names:
        return
    known = {one.name for one in project.environments()}
    extra = [name for name in names if name.partition(SEPARATOR)[0] not in known and not is_wild(name)]
    if any(map(project.is_migration, extra)):
        options = " ".join(f"--only {name}" for name in extra)
        raise UsageError(
            f"{', '.join(map(repr, extra))}: there is no such environment.",
            f"To run only {'this migration' if len(extra) == 1 else 'these migrations'}, use {options}.",
        )


def _migrate_one_environment(
    project: Project, environment: str, how: dict[str, Any], as_json: bool, junit: str | None, yes: bool
) -> None:
    from monarch.commands.reports.run import reported

    with reported(environment, as_json=as_json, junit=junit) as (progress, story):
        target = project.environment(environment)
        ask, show_first = asking(target, "migrate", yes), None
        if asks(target, yes):
            from monarch.commands.migrations.plans import preview, show_migrations

            show_first = preview(partial(show_migrations, backup=how["backup"]), environment)
        result = project.migrate(environment, progress=progress, confirm=ask, preview=show_first, **how)
        story.succeed(result)
    for key in story.only_in_database:
        note(f"{environment} has run {key}, which is not in this checkout.")
    if not as_json:
        show(_summary(result, environment))


def _selection(how: dict[str, Any]) -> dict[str, Any]:
    return {name: how[name] for name in ("retry", "to", "only", "strict_order")}


def _show_plan(project: Project, environment: str, how: dict[str, Any], as_json: bool) -> None:
    from monarch.commands.migrations.plans import migrations_as_json, show_migrations
    from monarch.commands.reports.plans import nothing_changed, show_target

    selection = _selection(how)
    if as_json:
        with own_stdout():  # modules may print when they are imported
            steps = project.plan(environment, **selection)
        print_json(migrations_as_json(steps, project.environment(environment)))
        return
    with own_stdout():
        shown = project.plan_migrate(environment, **selection)
    show_migrations(shown.plan, environment, backup=how["backup"])
    if shown.plan.steps:
        show_target(shown.target, err=False)
        nothing_changed()


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
@plan_option("Show what would run. Writes nothing.")
@plan_json_option
@yes_option
def migrate_one(migration: str, environment: str, plan: bool, as_json: bool, yes: bool) -> None:
    """Run one MIGRATION on ENVIRONMENT, in any state.

    Use it to try a migration, as often as you like, and to finish one that failed.

    \b
    Examples:
      monarch migrate_one add_indexes development
      monarch migrate_one add_indexes production --plan
      monarch migrate_one _201405290038_add_indexes_migration production
    """
    from monarch.commands.migrations.plans import migrations_as_json, preview, print_plan, show_migrations

    require_plan(plan, as_json)
    project = this_project()
    if plan:
        with own_stdout():
            shown = project.plan_migrate_one(migration, environment, ProgressLines())
        rows = migrations_as_json(shown.plan.steps, shown.target.environment)
        print_plan(shown, environment, show_migrations, rows, as_json)
        return
    target = project.environment(environment)
    ask = asking(target, f"run {migration} on", yes)
    show_first = preview(show_migrations, environment) if asks(target, yes) else None
    with ProgressBar() as bar:
        done = project.migrate_one(migration, environment, bar, confirm=ask, preview=show_first)
    show(f"{done.key} is done on {environment}.")
