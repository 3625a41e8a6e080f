"""A snapshot: one point in time as of which everything is read, if the server supports it.

Replica sets and sharded clusters support it from MongoDB 5.0 on, for the last five minutes, but not for
capped collections. On a cluster all shards are read as of the same cluster time. Without a snapshot, a
document that is moved while its collection is read may be read twice, or not at all.

Reading may take longer than the server keeps a snapshot (``minSnapshotHistoryWindowInSeconds``). Then the
collection is read on from the same place, and it and all later ones are as of their own time.
"""

from __future__ import annotations

import time
from typing import Any

from bson import Timestamp
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.connection.cluster import is_mongos
from monarch.databases.mongo.connection.handle import DatabaseHandle

# More data could take longer to read than the server keeps a snapshot.
_MOST_BYTES = 4_000_000_000
_PATIENCE_MS = 5_000
_ASKED, _BETWEEN = 30, 0.05
SNAPSHOT_UNAVAILABLE = 246
# Stale chunk history: mongos no longer knows which shards had the documents then.
_CHUNKS_UNKNOWN = 250
# The errors of a server that cannot read a collection as of a snapshot: bad value, failed to parse, illegal
# operation, invalid options, snapshot too old, snapshot unavailable, unknown field.
SNAPSHOT_ERRORS = (2, 9, 20, 72, 239, SNAPSHOT_UNAVAILABLE, _CHUNKS_UNKNOWN, 40415)
# Those of a server that has read some of a collection as of a snapshot, and keeps it no longer.
SNAPSHOT_ENDED = (239, SNAPSHOT_UNAVAILABLE, _CHUNKS_UNKNOWN)


class Snapshot(ReadConcern):
    """Reads as of ``at``."""

    def __init__(self, at: Timestamp) -> None:
        super().__init__("snapshot")
        self.at = at

    @property
    def document(self) -> dict[str, Any]:
        """The read concern as commands take it."""
        return {"level": "snapshot", "atClusterTime": self.at}


def take_snapshot(source: DatabaseHandle, collections: tuple[Collection, ...]) -> Snapshot | None:
    """Return a snapshot of the current time if the server of ``source`` supports it for ``collections``."""
    some = next((one for one in collections if supports_snapshots(one)), None)
    if some is None:
        return None
    at = _now(source.on_primary())  # from the primary, so that all earlier writes are in it
    if at is None:
        return None
    snapshot = Snapshot(at)
    probe = {"find": some.data_name, "limit": 1, "singleBatch": True, "projection": {"_id": 1}}
    # The server may wait until most members have reached that time, but not forever if they are down.
    probe |= {"readConcern": snapshot.document, "maxTimeMS": _PATIENCE_MS}
    with source.explained():
        try:
            source.database.command(probe)
        except OperationFailure:
            return None
    return snapshot


def _now(primary: DatabaseHandle) -> Timestamp | None:
    """Return the current time of the server's operation clock; None if it has none."""
    for _ in range(_ASKED):
        at = primary.command("ping").get("operationTime")
        if isinstance(at, Timestamp):
            return at
        hello = primary.command("hello")
        if "setName" not in hello and not is_mongos(hello):
            return None
        time.sleep(_BETWEEN)  # a server that was just started does not know it yet
    return None


def fits_snapshot_window(collections: tuple[Collection, ...]) -> bool:
    """Whether ``collections`` are small enough to be read while the server keeps a snapshot."""
    return sum(one.bytes for one in collections) <= _MOST_BYTES


def supports_snapshots(collection: Collection) -> bool:
    """Whether the server can read ``collection`` as of a snapshot."""
    return not collection.options.get("capped")
