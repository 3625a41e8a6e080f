"""How collections are shown: those that were copied, those that a backup holds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from monarch.commands.console.output import count, duration, print_table, shorten, size

if TYPE_CHECKING:
    from monarch.databases.base import CollectionSummary, CopiedCollection

# Room for the other columns in a terminal of the usual width.
_WIDEST = 36


def print_collections(collections: Sequence[CollectionSummary], seconds: Sequence[str] | None = None) -> None:
    """A table of ``collections``, with the time that each took where that is known."""
    if not collections:
        return
    rows = [_cells(held) for held in collections]
    headers: tuple[str, ...] = ("COLLECTION", "DOCUMENTS", "SIZE", "INDEXES")
    if seconds is not None:
        headers = (*headers, "TIME")
        rows = [(*row, taken) for row, taken in zip(rows, seconds, strict=True)]
    print_table(headers, rows, right=(1, 2, 3, 4))


def print_copied(collections: Sequence[CopiedCollection]) -> None:
    """A table of what was copied."""
    print_collections(collections, [duration(copied.seconds) for copied in collections])


def summary(collections: Sequence[CollectionSummary]) -> str:
    """How much that is altogether. As drop_db counts: views hold nothing, and buckets are no documents."""
    with_documents = [held for held in collections if held.kind != "view"]
    documents = sum(held.documents for held in with_documents if held.kind == "collection")
    total = size(sum(held.bytes for held in with_documents))
    return f"{count(len(with_documents), 'collection')}, {count(documents, 'document')}, {total}"


def _cells(held: CollectionSummary) -> tuple[str, ...]:
    name = shorten(held.name, _WIDEST) if sys.stdout.isatty() else held.name
    if held.kind == "view":
        return name, "view", "-", "-"
    documents = f"{held.documents:,}" + (" buckets" if held.kind == "timeseries" else "")
    return name, documents, size(held.bytes), str(held.indexes)
