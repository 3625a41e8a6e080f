"""``generate``, ``migrate``, ``migrate_one``, ``rollback`` and ``verify_migration``."""

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
    engine_option,
    json_option,
    plan_option,
    this_project,
)
from monarch.databases import DEFAULT_KIND, KINDS, find_kind
from monarch.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from monarch.databases.environment import Environment
    from monarch.migrations.migrate import RunResult
    from monarch.migrations.plan import PlannedMigration
    from monarch.migrations.trial import TrialResult
    from monarch.project import Project


@click.command("generate")
@click.argument("name")
@click.option("--kind", type=click.Choice(tuple(KINDS)), help="The kind of database that it is for.")
def generate(name: str, kind: str | None) -> None:
    """Write a new migration called NAME.

    `create` is the same. If there is a migrations/migration.py.tmpl, it is used instead of monarch's.
    Without --kind it is for the kind of database that the settings have.

    \b
    Examples:
      monarch generate add_indexes
      monarch create rename_users
      monarch generate add_invoices --kind postgres
    """
    project = this_project()
    is_guess = kind is None and _is_any_kind(project)
    path = project.generate(name, kind)
    show(f"Wrote {path.relative_to(project.root)}")
    if is_guess:
        others = " or ".join(f"--kind {other}" for other in KINDS if other != DEFAULT_KIND)
        title = find_kind(DEFAULT_KIND).title
        note(f"No environment has a 'uri' here, so it is for {title}. Otherwise remove it, and add {others}.")


def _is_any_kind(project: Project) -> bool:
    """Whether the settings can be read, but do not tell the kind of any database on this machine."""
    try:
        return bool(project.environments()) and not project.kinds()
    except SettingsError:  # a migration can be written before they are right
        return False


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


@click.command("rollback")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("migration", type=MIGRATION, required=False)
@yes_option
def rollback(environment: str, migration: str | None, yes: bool) -> None:
    """Undo the newest migration on ENVIRONMENT, or MIGRATION.

    Calls its own rollback(). Afterwards it is New, and runs again with the next `migrate`.

    \b
    Examples:
      monarch rollback development
      monarch rollback production add_indexes
    """
    project = this_project()
    ask = asking(project.environment(environment), "roll back a migration on", yes)
    with ProgressBar() as bar:
        done = project.rollback(environment, migration, bar, confirm=ask)
    show(f"{done.key} is rolled back on {environment}, and is New there.")


@click.command("verify_migration")
@click.argument("migration", type=MIGRATION)
@click.argument("environment", type=ENVIRONMENT)
@engine_option
@json_option
@yes_option
def verify_migration(migration: str, environment: str, engine: str, as_json: bool, yes: bool) -> None:
    """Run MIGRATION twice on a scratch copy of ENVIRONMENT.

    Exits with 1 if the second run changes anything. The copy is a separate database on the server of
    ENVIRONMENT, and is dropped afterwards.

    \b
    Examples:
      monarch verify_migration add_indexes development
      monarch verify_migration add_indexes staging --json
    """
    project = this_project()
    ask = asking(project.environment(environment), "make a scratch copy beside", yes)
    with own_stdout(), ProgressBar() as bar:
        verified = project.verify_migration(migration, environment, engine=engine, progress=bar, confirm=ask)
    _show_verified(verified, project.environment(environment), as_json)
    if not verified.idempotent:
        click.get_current_context().exit(1)


def _show_verified(verified: TrialResult, environment: Environment, as_json: bool) -> None:
    if as_json:
        names = ("key", "idempotent", "had_run", "changed", "error", "elsewhere", "source_changed")
        print_json({name: getattr(verified, name) for name in names} | {"seconds": verified.first.seconds})
        return
    _, part = find_kind(environment.kind).words
    took, wrote = duration(verified.first.seconds), count(verified.first.documents, part)
    show(f"{verified.key} ran in {took}, and wrote {wrote}.")
    if verified.had_run:
        show("Note: it had run there before, so this was not its first run. Test that on an older copy.")
    if verified.elsewhere:
        others = ", ".join(verified.elsewhere)
        show(f"It wrote to other databases: {others}. That is not undone, and not verified.")
    if verified.source_changed:
        collections = ", ".join(verified.source_changed)
        show(f"Meanwhile {collections} of the environment itself changed, by the migration or by others.")
    if verified.error is not None:
        show(f"The second run failed: {verified.error}")
    elif verified.changed:
        show(f"The second run changed {', '.join(verified.changed)}: it is not idempotent.")
    elif verified.idempotent:
        show("The second run changed nothing: it can be run again.")
    else:
        show("Use self.database alone, and verify again when nobody else writes: so there is no verdict.")
