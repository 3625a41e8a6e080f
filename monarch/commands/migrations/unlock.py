"""``unlock``."""

from __future__ import annotations

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import breathe, confirm, yes_option
from monarch.commands.parsing.arguments import ENVIRONMENT, plan_option, this_project
from monarch.commands.reports.plans import (
    describe_holder,
    holder_as_json,
    nothing_changed,
    plan_json_option,
    require_plan,
)
from monarch.databases.lease import SECONDS


@click.command("unlock")
@click.argument("environment", type=ENVIRONMENT)
@plan_option("Show whose lock it is, and change nothing.")
@plan_json_option
@yes_option
def unlock(environment: str, plan: bool, as_json: bool, yes: bool) -> None:
    """Take the lock of ENVIRONMENT away from a dead run.

    You rarely need this: the lock ends by itself 30 seconds after its run has died or lost its connection.
    A run that still lives stops before it records anything more.

    \b
    Examples:
      monarch unlock production
      monarch unlock production --plan
      monarch unlock ci --yes
    """
    require_plan(plan, as_json)
    project = this_project()
    holder = project.holder(environment)
    free = holder is None or holder.expired
    if plan and as_json:
        print_json(
            {"environment": environment, "holder": None if free or holder is None else holder_as_json(holder)}
        )
        return
    if holder is None or holder.expired:
        show(f"Nobody holds {environment}.")
        return
    show(f"{environment} is held by {describe_holder(holder)}.", err=not plan)
    if not (yes or holder.alive or holder.died):
        renewed = f"has renewed the lock within the last {SECONDS} seconds"
        show(f"That run is not of this machine, and {renewed}: it may well live.", err=not plan)
    if plan:
        then = "." if holder.died else ", which then stops before it records anything more."
        show(f"The lock would be taken away from that run{then}")
        nothing_changed()
        return
    breathe(project.environment(environment), "unlock", yes)
    confirm("Take it away from that run: are you SURE?", yes)
    if project.unlock(environment, holder, ProgressLines()):
        show(f"Unlocked {environment}. See what was left: monarch list_migrations {environment}")
    else:
        show(f"It has been released meanwhile. Nothing was changed on {environment}.")
