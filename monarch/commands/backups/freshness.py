"""``check_backups``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json, summary
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.text import age, printable, timestamp
from monarch.commands.parsing.arguments import AGE, ENVIRONMENT, json_option, this_project

if TYPE_CHECKING:
    from datetime import timedelta

    from monarch.backups.proof.freshness import FreshnessResult


@click.command("check_backups")
@click.argument("environment", type=ENVIRONMENT, required=False)
@click.option("--max-age", metavar="AGE", type=AGE, help="The oldest that is good enough: 26h, 90m or 2d.")
@click.option("--verify", is_flag=True, help="Read the newest backup of each to its end.")
@json_option
def check_backups(environment: str | None, max_age: timedelta | None, verify: bool, as_json: bool) -> None:
    """Exit with 0 if every environment has a good, new backup.

    For cron, Nagios and probes: one line for ENVIRONMENT, or for each environment that is protected or
    private, or has had a backup. Exits with 10 if the newest good backup is too old, if the newest one is
    broken, or if there is none; with 5 if the store cannot be read, or a damaged backup may be the newest.
    Backups of subsets and masked ones do not count.

    \b
    Examples:
      monarch check_backups --max-age 26h
      monarch check_backups production --max-age 26h --verify
    """
    from monarch.backups.proof.freshness import check_freshness, require_fresh

    project = this_project()
    environments = (project.settings.environment(environment),) if environment else project.environments()
    with ProgressBar() as bar:

        def report(result: FreshnessResult) -> None:
            if not as_json:
                bar.clear()
                _show(result, max_age)

        named = environment is not None
        results = check_freshness(
            project.backups, environments, max_age, bar, report, named=named, verify=verify
        )
    if as_json:
        print_json([_as_json(result, max_age) for result in results])
    require_fresh(results)


def _show(result: FreshnessResult, max_age: timedelta | None) -> None:
    finding, database = result.finding, result.environment.db_name
    colour = {"ok": "green", "unknown": "yellow"}.get(finding.value, "red")
    if result.why is not None:
        about = printable(result.why)
    elif result.newest is None:
        about = f"it has no good backup{f' ({database})' if database else ''}"
    else:
        assert result.age is not None
        limit = f" (at most {age(max_age)})" if max_age else ""
        about = f"{printable(result.newest.name)} is {age(result.age)} old{limit}"
        if result.newest.empty:
            about += ", and is empty"
        if result.verified is not None:
            about += ", verified"
            if result.verified.contents_checked:
                about += f": {summary(result.verified.collections)}"
    if result.damaged and finding.value != "unknown":
        name, state = result.damaged.name, result.damaged.state.value
        about += printable(f"; {name} may be a newer one, and is {state}: {result.damaged.why}")
    if result.ahead:
        about += f"; the time of {printable(', '.join(result.ahead))} is in the future, so it does not count"
    show(f"{printable(result.environment.label)}: ", (finding.value, colour), f", {about}")


def _as_json(result: FreshnessResult, max_age: timedelta | None) -> dict[str, Any]:
    newest, verified = result.newest, result.verified
    return {
        "environment": result.environment.name,
        "database": result.environment.db_name or None,
        "state": result.finding.value,
        "name": newest.name if newest else None,
        "archive": newest.archive if newest else None,
        "taken_at": timestamp(newest.taken_at) if newest else None,
        "empty": newest.empty if newest else None,
        "age_seconds": int(result.age.total_seconds()) if result.age is not None else None,
        "max_age_seconds": int(max_age.total_seconds()) if max_age else None,
        "verified": verified.good if verified else None,
        "why": result.why,
        "ahead": result.ahead,
        "damaged": result.damaged.archive if result.damaged else None,
    }
