"""``copy_db``."""

from __future__ import annotations

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
@click.option("--engine", type=click.Choice(ENGINES), default="auto", help="What moves the documents.")
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
    it and swapped in at the end: if anything goes wrong before, TO stays as it is.
    """
    project = this_project()
    target = project.environment(pair.target)
    source = project.environment(pair.source)
    how: Any = {"engine": engine, "allow_empty": allow_empty}
    if plan:
        _show_plan(project.plan_copy(*pair, **how), pair, as_json)
        return
    breathe(target, f"replace {'(in place) ' if in_place else ''}the contents of", yes)
    where = f"{target.db_name} on {pair.target} ({target.server})"
    confirm(f"Replace {where} by {source.db_name} of {pair.source}: are you SURE?", yes)
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
            }
        )
        return
    click.echo(f"From {pair.source} to {pair.target}, by {_by(plan)}:")
    _print_collections(plan.comes)
    click.echo()
    if plan.goes:
        click.echo(f"What {pair.target} holds now would go:")
        _print_collections(plan.goes)
    else:
        click.echo(f"{pair.target} holds nothing now.")
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
    documents = sum(copied.documents for copied in result.collections)
    total = size(sum(copied.bytes for copied in result.collections))
    click.echo(
        f"Copied {pair.source} to {pair.target}: {count(len(result.collections), 'collection')}, "
        f"{count(documents, 'document')}, {total} in {duration(result.seconds)}, by {_by(result)}."
    )


def _by(what: CopyPlan | CopyResult) -> str:
    return f"{what.engine} ({', '.join(what.versions)})"


def _print_collections(collections: tuple[Held, ...], seconds: list[str] | None = None) -> None:
    rows = [_cells(held) for held in collections]
    headers: tuple[str, ...] = ("COLLECTION", "DOCUMENTS", "SIZE", "INDEXES")
    if seconds is not None:
        headers = (*headers, "TIME")
        rows = [(*row, taken) for row, taken in zip(rows, seconds, strict=True)]
    print_table(headers, rows, right=(1, 2, 3, 4))


def _cells(held: Held) -> tuple[str, ...]:
    if held.kind == "view":
        return shorten(held.name, _WIDEST), "view", "-", "-"
    documents = f"{held.documents:,}" + (" buckets" if held.kind == "timeseries" else "")
    return shorten(held.name, _WIDEST), documents, size(held.bytes), str(held.indexes)
