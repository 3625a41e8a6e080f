"""``generate_query_set`` and ``list_query_sets``."""

from __future__ import annotations

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.parsing.arguments import json_option, this_project
from monarch.commands.parsing.new_files import asking_for_kind, kind_option, one_name


@click.command("generate_query_set")
@click.argument("words", metavar="NAME", nargs=-1, required=True)
@kind_option
def generate_query_set(words: tuple[str, ...], kind: str | None) -> None:
    """Write a new query set NAME, in snake_case.

    NAME may be in words: "Recent orders" is recent_orders. It is written to querysets/, and selects a subset
    of a database. `copy_db -q` and `backup -q` take the name of its class. Without --kind it is for the kind
    of database that the settings have; if they have several, it asks.

    \b
    Examples:
      monarch generate_query_set recent_orders
      monarch copy_db production:development -q RecentOrdersQuerySet
    """
    project = this_project()
    name = one_name(words, project, "generate_query_set")
    path = asking_for_kind(lambda kind: project.generate_query_set(name, kind), kind)
    show(f"Wrote {path.relative_to(project.root)}")


@click.command("list_query_sets")
@json_option
def list_query_sets(as_json: bool) -> None:
    """List the query sets of this project.

    Runs none of them. Shows the options that they take, with their types and defaults.

    \b
    Examples:
      monarch list_query_sets
      monarch list_query_sets --json
    """
    query_sets = this_project().query_sets()
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "file": one.shown_path,
                    "summary": one.summary,
                    "options": one.options,
                    "option_details": [vars(option) for option in one.listed],
                    "questions": [vars(question) for question in one.questions],
                }
                for one in query_sets
            ]
        )
    elif not query_sets:
        show("There are no query sets. Make one: monarch generate_query_set NAME")
    else:
        rows = [
            (one.name, one.shown_path, ", ".join(map(str, (*one.listed, *one.questions))), one.summary)
            for one in query_sets
        ]
        print_table(("QUERY SET", "FILE", "OPTIONS", "SUMMARY"), rows, whole=(2,))
