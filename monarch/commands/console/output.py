"""Results: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import as_json, show
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import count, duration, size
from monarch.commands.looks import silence
from monarch.commands.looks.tables import print_table as print_table
from monarch.errors import MonarchError

if TYPE_CHECKING:
    from monarch.databases.transfer import CollectionSummary, CopiedCollection


def print_json(value: Any) -> None:
    """Print ``value`` for programs."""
    silence.end()
    click.echo(as_json(value))


def print_json_list(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a list as `print_json` does, one row after another: there may be many."""
    empty = True
    silence.end()
    for row in rows:
        click.echo("[\n  " if empty else ",\n  ", nl=False)
        click.echo(as_json(row).replace("\n", "\n  "), nl=False)
        empty = False
    click.echo("[]" if empty else "\n]")


@contextmanager
def showing_result(show: Callable[[Any, bool], None], as_json: bool) -> Iterator[None]:
    """Let the code of a project print as in `prints_aside`.

    If something fails in this context that follows the command, ``show`` the result of the command first.
    """
    try:
        with prints_aside(as_json):
            yield
    except MonarchError as error:
        if error.result is not None:
            show(error.result, as_json)
        raise


def print_collections(
    collections: Sequence[CollectionSummary], more: Sequence[str] | None = None, header: str = "TIME"
) -> None:
    """Print a table of ``collections``, with one ``more`` cell for each where there are such cells."""
    if not collections:
        return
    rows = [_cells(collection) for collection in collections]
    thing, part = words_for(collections)
    headers: tuple[str, ...] = (thing.upper(), f"{part.upper()}S", "SIZE", "INDEXES")
    if more is not None:
        headers = (*headers, header)
        rows = [(*row, cell) for row, cell in zip(rows, more, strict=True)]
    print_table(headers, rows, right=(1, 2, 3, 4))


def print_copied(collections: Sequence[CopiedCollection]) -> None:
    """Print a table of the collections that were copied."""
    print_collections(collections, [duration(copied.seconds) for copied in collections])


def print_renamed(renamed: Sequence[tuple[str, str]]) -> None:
    """Print which collections have another name in the target: pairs of the old and the new one."""
    if renamed:
        show(f"Renamed: {', '.join(f'{old} to {new}' for old, new in renamed)}.")


def summary(collections: Sequence[CollectionSummary]) -> str:
    """The total of ``collections``. Like drop_db, it leaves out views; buckets are counted apart."""
    with_documents = [collection for collection in collections if collection.kind != "view"]
    documents = sum(one.documents for one in with_documents if one.kind != "timeseries")
    buckets = sum(one.documents for one in with_documents if one.kind == "timeseries")
    thing, part = words_for(collections)
    contents = count(documents, part)
    if buckets:  # without them, a database of time series would look empty
        contents += f" and {count(buckets, 'bucket')} of time series"
    total = size(sum(one.bytes for one in with_documents))
    return f"{count(len(with_documents), thing)}, {contents}, {total}"


def words_for(collections: Sequence[CollectionSummary]) -> tuple[str, str]:
    """Return what each of ``collections`` is called, and what it holds."""
    if any(collection.kind == "table" for collection in collections):
        return "table", "row"
    return "collection", "document"


def _cells(collection: CollectionSummary) -> tuple[str, ...]:
    name = collection.name
    if collection.kind == "view":
        return name, "view", "-", "-"
    documents = f"{collection.documents:,}" + (" buckets" if collection.kind == "timeseries" else "")
    return name, documents, size(collection.bytes), str(collection.indexes)
