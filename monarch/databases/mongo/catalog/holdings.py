"""How much each collection of a database holds, as far as there is time to ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from pymongo import timeout

from monarch.databases.base import Holdings
from monarch.databases.mongo.catalog.read import is_copied, list_entries
from monarch.databases.mongo.connection.handle import DatabaseHandle, Document
from monarch.databases.transfer import CollectionSummary
from monarch.errors import ServerError

# Collections for each connection that counts them: a connection costs as much as some of them.
_IN_A_ROW, _MOST_AT_ONCE = 10, 8


def read_holdings(endpoint: DatabaseHandle, seconds: float) -> Holdings:
    """Return what the database holds, without monarch's lease and staging.

    :raises ServerError: if its collections cannot be listed in that time.
    """
    until = time.monotonic() + seconds
    with timeout(seconds):
        entries = [entry for entry in list_entries(endpoint) if is_copied(str(entry["name"]))]
    entries.sort(key=lambda entry: str(entry["name"]))

    def count(entry: Document) -> CollectionSummary | None:
        return _summary(endpoint, entry, until - time.monotonic())

    found = _count_each(entries, count)
    uncounted = (str(entry["name"]) for entry, one in zip(entries, found, strict=True) if one is None)
    return Holdings.of(tuple(one for one in found if one is not None), tuple(uncounted))


def _count_each(
    entries: Sequence[Document], count: Callable[[Document], CollectionSummary | None]
) -> list[CollectionSummary | None]:
    """Return what ``count`` returns of each of ``entries``, several at once: the server may be far away."""
    found: list[CollectionSummary | None] = [None] * len(entries)
    rest, turn, errors = iter(range(len(entries))), threading.Lock(), list[Exception]()

    def work() -> None:
        try:
            while True:
                with turn:
                    number = next(rest, None)
                if number is None:
                    return
                found[number] = count(entries[number])
        except Exception as error:
            errors.append(error)

    # Daemons: Ctrl-C must not wait for a server that is silent.
    helpers = [
        threading.Thread(target=work, name="monarch-count", daemon=True)
        for _ in range(min(_MOST_AT_ONCE, len(entries) // _IN_A_ROW))
    ]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return found


def _summary(endpoint: DatabaseHandle, entry: Document, seconds: float) -> CollectionSummary | None:
    """Return how much one collection holds; None if it is not known within ``seconds``."""
    name, kind = str(entry["name"]), str(entry.get("type", "collection"))
    if kind == "view":
        return CollectionSummary(name, kind, 0, 0, 0)
    if seconds <= 0:
        return None
    try:
        with timeout(seconds):
            stats = endpoint.command("collStats", name)
    except ServerError:  # no time, or no right; what is needed for the work fails there
        return None
    documents = stats.get("timeseries", {}).get("bucketCount", stats.get("count", 0))
    size, indexes = int(stats.get("size", 0)), int(stats.get("nindexes", 0))
    return CollectionSummary(name, kind, int(documents), size, indexes)
