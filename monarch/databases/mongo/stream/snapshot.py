"""One moment as of which everything is read, where the server can say how it was then.

Replica sets can, from MongoDB 5.0 on, for the last five minutes; of capped collections they do not. Without
that, a document that is moved while its collection is read may be read twice, or not at all.
"""

from __future__ import annotations

import time
from typing import Any

from bson import Timestamp
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.handle import DatabaseHandle

# More could take longer to read than the server remembers.
_MOST_BYTES = 4_000_000_000
_PATIENCE_MS = 5_000
_ASKED, _BETWEEN = 30, 0.05
SNAPSHOT_UNAVAILABLE = 246
# What a server says that cannot read a collection so: bad value, illegal operation, invalid options, snapshot
# too old, and that.
SNAPSHOT_ERRORS = (2, 20, 72, 239, SNAPSHOT_UNAVAILABLE)


class Snapshot(ReadConcern):
    """Reads as of ``at``."""

    def __init__(self, at: Timestamp) -> None:
        super().__init__("snapshot")
        self.at = at

    @property
    def document(self) -> dict[str, Any]:
        """What is said of it in a command."""
        return {"level": "snapshot", "atClusterTime": self.at}


def take_snapshot(source: DatabaseHandle, collections: tuple[Collection, ...]) -> Snapshot | None:
    """Now, as the server of ``source`` tells it, if it can read ``collections`` as of that; else None."""
    some = next((one for one in collections if supports_snapshots(one)), None)
    if some is None:
        return None
    at = _now(source.on_primary())  # so that what has been written before is in it
    if at is None:
        return None
    moment = Snapshot(at)
    probe = {"find": some.data_name, "limit": 1, "singleBatch": True, "projection": {"_id": 1}}
    # It may have to wait until most members know of that moment; but not for ever, if they are away.
    probe |= {"readConcern": moment.document, "maxTimeMS": _PATIENCE_MS}
    with source.explained():
        try:
            source.database.command(probe)
        except OperationFailure:
            return None
    return moment


def _now(primary: DatabaseHandle) -> Timestamp | None:
    """Now, by the server's clock of operations; None if it has none."""
    for _ in range(_ASKED):
        at = primary.command("ping").get("operationTime")
        if isinstance(at, Timestamp):
            return at
        if "setName" not in primary.command("hello"):
            return None
        time.sleep(_BETWEEN)  # one that has just been started does not know yet
    return None


def fits_snapshot_window(collections: tuple[Collection, ...]) -> bool:
    """Whether the server will remember a moment until all of ``collections`` has been read."""
    return sum(one.bytes for one in collections) <= _MOST_BYTES


def supports_snapshots(collection: Collection) -> bool:
    """Whether the server can read it as of a moment."""
    return not collection.options.get("capped")
