"""``copy_db``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import (
    print_copied,
    print_json,
    print_renamed,
    showing_result,
    summary,
)
from monarch.commands.console.passages import described, print_passage, raw_hazard
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.questions import breathe, confirm, only, replacing, when_possible, yes_option
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import duration, engine_label
from monarch.commands.parsing.arguments import (
    WholeNumber,
    check_option,
    choice_options,
    engine_option,
    json_option,
    plan_option,
    query_set_options,
    raw_option,
    this_project,
)
from monarch.commands.parsing.pairs import ENVIRONMENTS, Pair
from monarch.commands.reports.plans import MOST, before_question
from monarch.commands.reports.transfers import show_plan, show_transfer
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.backups.plans.transfer import TransferPlan
    from monarch.copies.transfer import TransferResult
    from monarch.project import Project


@click.command("copy_db")
@click.argument("pair", metavar="FROM:TO", type=ENVIRONMENTS)
@engine_option
@click.option(
    "--in-place",
    is_flag=True,
    help="Drop the contents of TO first: less space, no way back (PostgreSQL: one transaction).",
)
@click.option("--allow-empty", is_flag=True, help="Also copy a database without collections.")
@choice_options
@click.option(
    "--compare-contents", is_flag=True, help="Compare a hash of each table before the swap (PostgreSQL)."
)
@query_set_options
@raw_option
@check_option
@plan_option("Show what would be copied, and change nothing.")
@click.option(
    "--show",
    "show_documents",
    metavar="N",
    type=WholeNumber(),
    help="With --plan: show N documents of each collection as they would arrive.",
)
@json_option
@yes_option
def copy_db(
    pair: Pair,
    in_place: bool,
    compare_contents: bool,
    plan: bool,
    show_documents: int | None,
    as_json: bool,
    yes: bool,
    **how: Any,
) -> None:
    """Copy the database of one environment to another.

    Replaces the contents of TO with those of FROM, migration history included. The copy is built in staging
    collections and swapped in at the end: if it fails before, TO is unchanged (except with --in-place).
    With --query-set only a subset of FROM is copied, and TO holds nothing else afterwards. If FROM is private
    and TO is not, documents are masked by migrations/privacy.py on the way.

    \b
    Examples:
      monarch copy_db production:development --plan
      monarch copy_db production:development --query-set RecentOrdersQuerySet -o days=30
      monarch copy_db production:development --only users --only orders
    """
    project = this_project()
    source, target = project.require_two(*pair)
    if plan:
        how |= {"in_place": in_place, "compare_contents": compare_contents, "show": show_documents or 0}
        _show_plan(project, pair, how, as_json)
        return
    if show_documents:
        raise UsageError("--show is for --plan.", "Add --plan: it changes nothing.")
    passage = project.passage_of(source, pair.target, raw=how["raw"])

    def ask() -> None:
        bar.clear()
        what = (
            f"replace {'(in place) ' if in_place else ''}{'some of ' * how['into_existing']}the contents of"
        )
        breathe(target, what, yes, raw_hazard(passage, pair.source))
        subset = f"the subset {how['query_set']} of " if how["query_set"] else ""
        contents = f"{only(how['only'])}{subset}{source.db_name} of {pair.source}{described(passage)}"
        confirm(replacing(target, contents, in_place=in_place, into_existing=how["into_existing"]), yes)

    show_result = partial(_show_result, pair=pair)
    with showing_result(show_result, as_json), ProgressBar() as bar:
        how |= {"in_place": in_place, "compare_contents": compare_contents}
        asking = None if yes else when_possible(ask)
        first = partial(_show_first, bar, pair)
        result = project.copy(*pair, **how, progress=bar, confirm=asking, preview=first)
    show_result(result, as_json)


def _show_plan(project: Project, pair: Pair, how: dict[str, Any], as_json: bool) -> None:
    from monarch.backups.plans.patience import UNHURRIED
    from monarch.backups.plans.transfer import with_target

    how.pop("check_all")  # nothing is written
    progress = ProgressLines()
    search = project.look_for_newest(pair.target, UNHURRIED, progress)
    with prints_aside(as_json):
        planned = project.plan_copy(*pair, **how, progress=progress)
    target = project.environment(pair.target)
    ends = {"from": pair.source, "to": pair.target}
    planned_into = with_target(planned, target, search)
    show_plan(planned_into, ends, _title(pair), in_place=how["in_place"], as_json=as_json)


def _show_first(bar: ProgressBar, pair: Pair, planned: TransferPlan) -> None:
    bar.clear()
    with before_question():
        show_transfer(planned, _title(pair), MOST)


def _title(pair: Pair) -> str:
    return f"From {pair.source} to {pair.target}"


def _show_result(result: TransferResult, as_json: bool, *, pair: Pair) -> None:
    if as_json:
        print_json(
            {
                "from": pair.source,
                "to": pair.target,
                "engine": result.engine,
                "versions": result.versions,
                "seconds": result.seconds,
                "excluded": result.excluded,
                "renamed": dict(result.renamed),
                "passage": result.passage.value,
                "notes": result.notes,
                "collections": [vars(copied) for copied in result.collections],
            }
        )
        return
    print_copied(result.collections)
    took = f"in {duration(result.seconds)}, by {engine_label(result.engine, result.versions)}"
    if result.excluded:
        show(f"Left out: {', '.join(result.excluded)}.")
    print_renamed(result.renamed)
    for text in result.notes:
        note(text)
    print_passage(result)
    show(f"Copied {pair.source} to {pair.target}: {summary(result.collections)} {took}.")
