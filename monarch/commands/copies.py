"""``copy_db``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.collections import print_collections, print_copied, summary
from monarch.commands.console.output import count, duration, print_json
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import breathe, confirm, yes_option
from monarch.commands.parsing.arguments import this_project
from monarch.commands.parsing.engines import by, engine_option
from monarch.commands.parsing.pairs import ENVIRONMENTS, Pair
from monarch.commands.querysets import aside, query_set_options

if TYPE_CHECKING:
    from monarch.copies.copy import CopyPlan, CopyResult


@click.command("copy_db")
@click.argument("pair", metavar="FROM:TO", type=ENVIRONMENTS)
@engine_option
@click.option("--in-place", is_flag=True, help="Drop what TO holds first: needs less room, has no way back.")
@click.option("--allow-empty", is_flag=True, help="Copy a database that holds nothing, too.")
@query_set_options
@click.option("--plan", is_flag=True, help="Show what would be copied, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@yes_option
def copy_db(pair: Pair, in_place: bool, plan: bool, as_json: bool, yes: bool, **how: Any) -> None:
    """Copy the database of one environment into that of another.

    What TO holds is replaced by what FROM holds, migration history included. The copy is built beside
    it and swapped in at the end: if anything goes wrong before, TO stays as it is (but with --in-place).
    With --query-set it is a part of FROM, and TO holds nothing else afterwards.
    """
    project = this_project()
    project.require_two(*pair)
    target = project.environment(pair.target)
    source = project.environment(pair.source)
    if plan:
        with aside(as_json):
            planned = project.plan_copy(*pair, **how)
        _show_plan(planned, pair, as_json)
        return
    breathe(target, f"replace {'(in place) ' if in_place else ''}the contents of", yes)
    where = f"{target.db_name} on {pair.target} ({target.server})"
    first = ", dropping all of it first, with no way back" if in_place else ""
    part = f"the part {how['query_set']} of " if how["query_set"] else ""
    confirm(f"Replace {where} by {part}{source.db_name} of {pair.source}{first}: are you SURE?", yes)
    with aside(as_json), ProgressBar() as bar:
        result = project.copy(*pair, **how, in_place=in_place, progress=bar)
    _show_result(result, pair, as_json)


def _show_plan(plan: CopyPlan, pair: Pair, as_json: bool) -> None:
    names = {held.name for held in plan.comes}
    goes = [held for held in plan.goes if held.name not in names]
    if as_json:
        print_json(
            {
                "from": pair.source,
                "to": pair.target,
                "engine": plan.engine,
                "versions": plan.versions,
                "copied": [vars(held) for held in plan.comes],
                "replaced": [vars(held) for held in plan.goes if held.name in names],
                "dropped": [vars(held) for held in goes],
                "unfinished": plan.unfinished,
            }
        )
        return
    if plan.unfinished:
        click.echo(f"Note: {plan.unfinished}", err=True)
    click.echo(f"From {pair.source} to {pair.target}, by {by(plan.engine, plan.versions)}:")
    print_collections(plan.comes)
    replaced = len(plan.goes) - len(goes)
    click.echo(f"On {pair.target}, {count(replaced, 'collection')} of the same name would be replaced.")
    if goes:
        click.echo("These would be dropped:")
        print_collections(goes)
    click.echo("Nothing was changed.")


def _show_result(result: CopyResult, pair: Pair, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "from": pair.source,
                "to": pair.target,
                "engine": result.engine,
                "versions": result.versions,
                "seconds": result.seconds,
                "collections": [vars(copied) for copied in result.collections],
            }
        )
        return
    print_copied(result.collections)
    took = f"in {duration(result.seconds)}, by {by(result.engine, result.versions)}"
    click.echo(f"Copied {pair.source} to {pair.target}: {summary(result.collections)} {took}.")
