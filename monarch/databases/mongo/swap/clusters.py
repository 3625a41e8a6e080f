"""What keeps a database of a sharded cluster from being replaced.

The swap renames collections within one database. In a cluster the primary shard of the database does that in
one operation, as long as its collections are on that shard and have no shard key. A staged collection has
none, so a sharded one that it replaced would have lost its key, zones and chunks.
"""

from __future__ import annotations

from collections.abc import Iterable

from monarch.databases.mongo.catalog.read import JAVASCRIPT, list_entries
from monarch.databases.mongo.connection.cluster import Placement, list_names, read_placement, refuse_shard
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.errors import UsageError

_ELSEWHERE = (
    "Nothing was changed. Use Percona Backup for MongoDB, mongosync, or mongorestore into empty sharded "
    "collections; or copy into a database that is not sharded."
)


def require_replaceable(target: DatabaseHandle, comes: Iterable[str]) -> None:
    """Check that a swap can replace ``target`` by collections called ``comes``. Writes nothing.

    Only databases of clusters may fail this, and those of a shard that is reached without mongos.

    :raises UsageError: naming the collections that forbid it, and saying what to use instead.
    """
    placement = read_placement(target)
    if placement is None:
        refuse_shard(target)
        return
    if not placement.is_known:
        raise UsageError(
            f"{target.name!r} is a sharded cluster, and its user may not read which collections are sharded.",
            "Nothing was changed. Grant that user the right to find in config.collections, which the role "
            "clusterMonitor has.",
        )
    _refuse_distributed(target, placement)
    entries = {str(entry["name"]): entry for entry in list_entries(target)}
    if JAVASCRIPT in entries or JAVASCRIPT in comes:
        raise UsageError(
            f"{target.name!r} is a sharded cluster, where monarch does not replace {JAVASCRIPT!r}.",
            f"Nothing was changed. Drop it there, or leave it out: --exclude {JAVASCRIPT}",
        )
    unnamed = [
        name
        for name, entry in entries.items()
        if entry.get("type", "collection") == "collection" and "uuid" not in entry.get("info", {})
    ]
    if unnamed:
        raise UsageError(
            f"The mongos of {target.name!r} does not report the UUID of {list_names(unnamed)}, without which "
            "a swap is not safe.",
            _ELSEWHERE,
        )


def _refuse_distributed(target: DatabaseHandle, placement: Placement) -> None:
    reasons = []
    if placement.sharded:
        reasons.append(f"would lose the shard keys of {list_names(placement.sharded)}")
    if placement.moved:
        reasons.append(f"would move {list_names(placement.moved)} back to its primary shard")
    if reasons:
        raise UsageError(
            f"{target.name!r} is a sharded cluster, and replacing its contents {' and '.join(reasons)}.",
            _ELSEWHERE,
        )
