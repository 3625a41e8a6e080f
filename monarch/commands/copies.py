"""``copy_db``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.bar import Bar
from monarch.commands.names import this_project
from monarch.commands.output import count, duration, print_json, print_table, shorten, size
from monarch.commands.pairs import ENVIRONMENTS, Pair
from monarch.commands.questions import breathe, confirm, yes_option

if TYPE_CHECKING:
    from monarch.copying import CopyPlan, CopyResult
    from monarch.databases.base import Held

# Room for the other columns in a terminal of the usual width.
_WIDEST = 36
ENGINES = ("auto", "tools", "native")


@click.command("copy_db")
@click.argument("pair", metavar="FROM:TO", type=ENVIRONMENTS)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="tools: mongodump and mongorestore; native: pymongo alone; auto: the tools if they are there.",
)
@click.option("--in-place", is_flag=True, help="Drop what TO holds first: needs less room, has no way back.")
@click.option("--allow-empty", is_flag=True, help="Copy a database that holds nothing, too.")
@click.option("--plan", is_flag=True, help="Show what would be copied, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@yes_option
def copy_db(
    pair: Pair, engine: str, in_place: bool, allow_empty: bool, plan: bool, as_json: bool, yes: bool
) -> None:
    """Copy the database of one environment into that of another.

    What TO holds is replaced by what FROM holds, migration history included. The copy is built beside
    it and swapped in at the end: if anything goes wrong before, TO stays as it is (but with --in-place).
    """
    project = this_project()
    project.require_two(*pair)
    target = project.environment(pair.target)
    source = project.environment(pair.source)
    how: Any = {"engine": engine, "allow_empty": allow_empty}
    if plan:
        _show_plan(project.plan_copy(*pair, **how), pair, as_json)
        return
    breathe(target, f"replace {'(in place) ' if in_place else ''}the contents of", yes)
    where = f"{target.db_name} on {pair.target} ({target.server})"
    first = ", dropping all of it first, with no way back" if in_place else ""
    confirm(f"Replace {where} by {source.db_name} of {pair.source}{first}: are you SURE?", yes)
    with Bar() as bar:
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
    click.echo(f"From {pair.source} to {pair.target}, by {_by(plan)}:")
    _print_collections(plan.comes)
    replaced = len(plan.goes) - len(goes)
    click.echo(f"On {pair.target}, {count(replaced, 'collection')} of the same name would be replaced.")
    if goes:
        click.echo("These would be dropped:")
        _print_collections(tuple(goes))
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
    _print_collections(result.collections, [duration(copied.seconds) for copied in result.collections])
    # As drop_db counts: views hold nothing, and buckets are no documents.
    collections = [copied for copied in result.collections if copied.kind != "view"]
    documents = sum(copied.documents for copied in collections if copied.kind == "collection")
    total = size(sum(copied.bytes for copied in collections))
    click.echo(
        f"Copied {pair.source} to {pair.target}: {count(len(collections), 'collection')}, "
        f"{count(documents, 'document')}, {total} in {duration(result.seconds)}, by {_by(result)}."
    )


def _by(what: CopyPlan | CopyResult) -> str:
    return f"{what.engine} ({', '.join(what.versions)})"


def _print_collections(collections: tuple[Held, ...], seconds: list[str] | None = None) -> None:
    if not collections:
        return
    rows = [_cells(held) for held in collections]
    headers: tuple[str, ...] = ("COLLECTION", "DOCUMENTS", "SIZE", "INDEXES")
    if seconds is not None:
        headers = (*headers, "TIME")
        rows = [(*row, taken) for row, taken in zip(rows, seconds, strict=True)]
    print_table(headers, rows, right=(1, 2, 3, 4))


def _cells(held: Held) -> tuple[str, ...]:
    name = shorten(held.name, _WIDEST) if sys.stdout.isatty() else held.name
    if held.kind == "view":
        return name, "view", "-", "-"
    documents = f"{held.documents:,}" + (" buckets" if held.kind == "timeseries" else "")
    return name, documents, size(held.bytes), str(held.indexes)
