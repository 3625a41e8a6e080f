"""``copy_db``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import (
    print_collections,
    print_copied,
    print_json,
    print_renamed,
    showing_result,
    summary,
    words_for,
)
from monarch.commands.console.passages import described, print_masks, print_passage, raw_hazard
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.questions import breathe, confirm, only, replacing, when_possible, yes_option
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import count, duration, engine_label
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
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.copies.copy import CopyPlan
    from monarch.copies.transfer import TransferResult


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
        how.pop("check_all")  # nothing is written
        with prints_aside(as_json):
            planned = project.plan_copy(*pair, **how, show=show_documents or 0)
        _show_plan(planned, pair, as_json)
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
        result = project.copy(*pair, **how, progress=bar, confirm=asking)
    show_result(result, as_json)


def _show_plan(plan: CopyPlan, pair: Pair, as_json: bool) -> None:
    names = {collection.name for collection in plan.comes}
    others = [collection for collection in plan.goes if collection.name not in names]
    dropped, kept = ([], others) if plan.keeps_others else (others, [])
    if as_json:
        print_json(
            {
                "from": pair.source,
                "to": pair.target,
                "engine": plan.engine,
                "versions": plan.versions,
                "copied": [vars(collection) for collection in plan.comes],
                "replaced": [vars(collection) for collection in plan.goes if collection.name in names],
                "dropped": [vars(collection) for collection in dropped],
                "kept": [vars(collection) for collection in kept],
                "renamed": dict(plan.renamed),
                "unfinished": plan.unfinished,
                "passage": plan.passage.value,
                "masked": [vars(field) for field in plan.masked],
                "documents": [{"collection": name, "document": text} for name, text in plan.documents],
                "notes": plan.notes,
            }
        )
        return
    if plan.unfinished:
        note(f"{plan.unfinished}")
    show(f"From {pair.source} to {pair.target}, by {engine_label(plan.engine, plan.versions)}:")
    print_collections(plan.comes)
    print_renamed(plan.renamed)
    replaced = len(plan.goes) - len(others)
    thing, _ = words_for((*plan.comes, *plan.goes))
    show(describe_replaced(pair.target, replaced, thing))
    if dropped:
        show("These would be dropped:")
        print_collections(dropped)
    if kept:
        show("These would stay as they are:")
        print_collections(kept)
    print_masks(plan)
    for text in plan.notes:
        note(text)
    show("Nothing was changed.")


def describe_replaced(target: str, number: int, thing: str) -> str:
    """Return how many of the ``thing``s of ``target`` a copy would replace, for people."""
    if not number:
        return f"No {thing} of {target} would be replaced."
    return f"On {target}, {count(number, thing)} of the same name would be replaced."


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
