"""``generate_query_set``, ``list_query_sets``, and the options by which commands take a query set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from monarch.commands.console.output import print_json, print_table
from monarch.commands.parsing.arguments import QUERY_SET, this_project

_Function = TypeVar("_Function", bound=Callable[..., Any])


@click.command("generate_query_set")
@click.argument("name")
def generate_query_set(name: str) -> None:
    """Write a new query set, NAME in snake_case, into querysets/.

    In it you say which part of a database you want; `copy_db -q` and `backup -q` take its class's name.
    """
    project = this_project()
    path = project.generate_query_set(name)
    click.echo(f"Wrote {path.relative_to(project.root)}")


@click.command("list_query_sets")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_query_sets(as_json: bool) -> None:
    """List the query sets of this project. Runs none of them."""
    query_sets = this_project().query_sets()
    if as_json:
        print_json([{"name": one.name, "file": one.shown_path, "summary": one.summary} for one in query_sets])
    elif not query_sets:
        click.echo("There are no query sets. Make one: monarch generate_query_set NAME")
    else:
        rows = [(one.name, one.shown_path, one.summary) for one in query_sets]
        print_table(("QUERY SET", "FILE", ""), rows)


def query_set_options(function: _Function) -> _Function:
    """``--query-set`` and ``--option``."""
    options = click.option(
        "--option",
        "-o",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_parse,
        help="What the query set asks for, beforehand.",
    )
    query_set = click.option(
        "--query-set", "-q", metavar="NAME", type=QUERY_SET, help="Only the part that this query set wants."
    )
    return query_set(options(function))


@contextmanager
def aside(as_json: bool) -> Iterator[None]:
    """Where the output is JSON, what a query set prints goes to stderr meanwhile.

    What it does to the standard streams ends with it.
    """
    stdout, stderr = sys.stdout, sys.stderr
    if as_json:
        sys.stdout = stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = stdout, stderr


def _parse(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    if not texts:
        return {}
    from monarch.querysets.options import parse_options

    return parse_options(texts)
