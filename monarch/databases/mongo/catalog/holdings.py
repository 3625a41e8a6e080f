"""How much each collection of a database holds, as far as there is time to ask."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

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

    # The server may be far away.
    pool = ThreadPoolExecutor(min(_MOST_AT_ONCE, 1 + len(entries) // _IN_A_ROW))
    try:
        found = list(pool.map(count, entries))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    uncounted = (str(entry["name"]) for entry, one in zip(entries, found, strict=True) if one is None)
    return Holdings.of(tuple(one for one in found if one is not None), tuple(uncounted))


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
