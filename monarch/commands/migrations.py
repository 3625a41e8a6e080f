"""``generate``, ``migrate``, ``migrate_one``, ``rollback`` and ``verify_migration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.output import count, duration, print_json, print_table
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import breathe, yes_option
from monarch.commands.parsing.arguments import ENVIRONMENT, MIGRATION, this_project
from monarch.commands.parsing.durations import DURATION
from monarch.commands.parsing.engines import engine_option
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.migrations.migrate import RunResult
    from monarch.migrations.plan import PlannedMigration
    from monarch.migrations.trial import TrialResult


@click.command("generate")
@click.argument("name")
def generate(name: str) -> None:
    """Write a new migration called NAME, for you to fill in.

    `create` is the same. A migrations/migration.py.tmpl of your own is used in place of monarch's.
    """
    project = this_project()
    path = project.generate(name)
    click.echo(f"Wrote {path.relative_to(project.root)}")


@click.command("migrate")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--retry", is_flag=True, help="Run again what failed or was cut off, then the rest.")
@click.option("--plan", is_flag=True, help="Only show what would run, and why. Writes nothing.")
@click.option("--to", metavar="MIGRATION", type=MIGRATION, help="Stop behind this one.")
@click.option(
    "--only",
    metavar="MIGRATION",
    type=MIGRATION,
    multiple=True,
    help="Only this one; may be said again for others.",
)
@click.option("--strict-order", is_flag=True, help="Refuse what is older than what has run.")
@click.option("--backup", is_flag=True, help="Take a backup first, and verify it.")
@click.option("--wait", metavar="TIME", type=DURATION, help="Wait so long for another run, not for ever.")
@click.option("--no-wait", is_flag=True, help="Do not wait for another run: end with 4.")
@click.option("--deadline", metavar="TIME", type=DURATION, help="Begin no migration after it; ends with 9.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an event a line, for programs.")
@click.option("--junit", metavar="FILE", help="Write a JUnit file too.")
@yes_option
def migrate(
    environment: str, plan: bool, as_json: bool, junit: str | None, yes: bool, no_wait: bool, **how: Any
) -> None:
    """Run all pending migrations on ENVIRONMENT, in order.

    Stops at the first that fails, and does not start while one from an earlier run is unfinished. Of two
    runs at once the second waits for the first.
    """
    from monarch.commands.reports.run import own_stdout, reported

    if plan:
        with own_stdout():  # modules may print when they are loaded
            steps = this_project().plan(environment, **_wanted(how))
        _show_plan(steps, environment, as_json)
        return
    if no_wait and how["wait"] is not None:
        raise UsageError("There is --wait, and --no-wait.", "Say one of them.")
    if no_wait:
        how["wait"] = 0
    with reported(environment, as_json=as_json, junit=junit) as (progress, story):
        project = this_project()
        breathe(project.environment(environment), "migrate", yes)
        story.result = project.migrate(environment, progress=progress, **how)
    for key in story.result.only_in_database:
        click.echo(f"Note: {environment} has run {key}, which is not in this checkout.", err=True)
    if not as_json:
        click.echo(_told(story.result, environment))


def _wanted(how: dict[str, Any]) -> dict[str, Any]:
    return {name: how[name] for name in ("retry", "to", "only", "strict_order")}


def _show_plan(steps: tuple[PlannedMigration, ...], environment: str, as_json: bool) -> None:
    if as_json:
        print_json([{"key": step.key, "file": step.file.shown_path, "why": step.why.value} for step in steps])
    elif steps:
        print_table(("MIGRATION", "WHY"), [(step.key, step.why.value) for step in steps])
        click.echo(f"{count(len(steps), 'migration')} would run on {environment}, in this order.")
    else:
        click.echo(f"Nothing would run on {environment}.")


def _told(result: RunResult, environment: str) -> str:
    if result.done:
        spent = duration(sum(done.seconds for done in result.done))
        rest = f" {count(len(result.left), 'migration')} left to run." if result.left else ""
        return f"{count(len(result.done), 'migration')} done in {spent}. That felt natural.{rest}"
    if result.left:
        return f"Nothing to do of what was asked for. Not done yet on {environment}: {', '.join(result.left)}"
    if result.known:
        return f"Nothing to do: {environment} has run everything ({count(result.known, 'migration')})."
    return "Nothing to do: there are no migrations yet. Make one: monarch generate NAME"


@click.command("migrate_one")
@click.argument("migration", type=MIGRATION)
@click.argument("environment", type=ENVIRONMENT)
@yes_option
def migrate_one(migration: str, environment: str, yes: bool) -> None:
    """Run one MIGRATION on ENVIRONMENT, whatever its state is.

    As often as you like: for trying things out, and for finishing what failed.
    """
    project = this_project()
    breathe(project.environment(environment), f"run {migration} on", yes)
    with ProgressBar() as bar:
        done = project.migrate_one(migration, environment, bar)
    click.echo(f"{done.key} is done on {environment}.")


@click.command("rollback")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("migration", type=MIGRATION, required=False)
@yes_option
def rollback(environment: str, migration: str | None, yes: bool) -> None:
    """Undo the newest migration on ENVIRONMENT, or MIGRATION.

    That is what its own rollback() does. It is New afterwards, and runs again with the next `migrate`.
    """
    project = this_project()
    breathe(project.environment(environment), "roll back a migration on", yes)
    with ProgressBar() as bar:
        done = project.rollback(environment, migration, bar)
    click.echo(f"{done.key} is rolled back on {environment}, and is New there.")


@click.command("verify_migration")
@click.argument("migration", type=MIGRATION)
@click.argument("environment", type=ENVIRONMENT)
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@yes_option
def verify_migration(migration: str, environment: str, engine: str, as_json: bool, yes: bool) -> None:
    """Run MIGRATION twice on a scratch copy of ENVIRONMENT.

    See whether the second run changes anything; then it ends with 1. The copy is a database beside that of
    ENVIRONMENT, on the same server, and is dropped afterwards.
    """
    project = this_project()
    breathe(project.environment(environment), "make a scratch copy beside", yes)
    from monarch.commands.reports.run import own_stdout

    with own_stdout(), ProgressBar() as bar:
        verified = project.verify_migration(migration, environment, engine=engine, progress=bar)
    _show_verified(verified, as_json)
    if not verified.idempotent:
        click.get_current_context().exit(1)


def _show_verified(verified: TrialResult, as_json: bool) -> None:
    if as_json:
        names = ("key", "idempotent", "had_run", "changed", "error")
        print_json({name: getattr(verified, name) for name in names} | {"seconds": verified.first.seconds})
        return
    took, wrote = duration(verified.first.seconds), count(verified.first.documents, "document")
    click.echo(f"{verified.key} ran in {took}, and wrote {wrote}.")
    if verified.had_run:
        click.echo(
            "Note: it had run there before, so this was no first run. Try it on a copy from before it."
        )
    if verified.error is not None:
        click.echo(f"The second run failed: {verified.error}")
    elif verified.changed:
        click.echo(f"The second run changed {', '.join(verified.changed)}: it does not do the same twice.")
    else:
        click.echo("The second run changed nothing: it may be run again.")
