"""How much each collection of a database holds, as far as there is time to ask."""

from __future__ import annotations

import time

from pymongo import timeout

from monarch.databases.base import Holdings
from monarch.databases.mongo.catalog.read import is_copied, list_entries
from monarch.databases.mongo.connection.handle import DatabaseHandle, Document
from monarch.databases.transfer import CollectionSummary
from monarch.errors import ServerError


def read_holdings(endpoint: DatabaseHandle, seconds: float) -> Holdings:
    """Return what the database holds, without monarch's lease and staging.

    :raises ServerError: if its collections cannot be listed in that time.
    """
    until = time.monotonic() + seconds
    with timeout(seconds):
        entries = sorted(list_entries(endpoint), key=lambda entry: str(entry["name"]))
    counted: list[CollectionSummary] = []
    uncounted: list[str] = []
    for entry in entries:
        name = str(entry["name"])
        if not is_copied(name):
            continue
        summary = _summary(endpoint, entry, until - time.monotonic())
        if summary is not None:
            counted.append(summary)
        else:
            uncounted.append(name)
    return Holdings.of(tuple(counted), tuple(uncounted))


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
    return CollectionSummary(name, kind, int(documents), int(stats.get("size", 0)), int(stats["nindexes"]))
