"""The pipelines that read the history, the journal, the lease and the swap in one command."""

from __future__ import annotations

from typing import Any

from monarch.databases.history import MigrationState
from monarch.databases.mongo.collection_names import HEAD, HISTORY, JOURNAL, LEASE, SWAP, THE_LEASE
from monarch.databases.mongo.history.reconcile import NO_ATTEMPTS

_PROCESSING, _COMPLETED = MigrationState.PROCESSING.value, MigrationState.COMPLETED.value
# Removed before sorting, which needs memory.
_LONG = {"traceback": 0, "echoed": 0}
_LAST_FIRST = {"started_at": -1, "_id": -1}
# What was done on contents that a copy has replaced says nothing of these.
OF_THESE_CONTENTS = {"replaced": {"$ne": True}}
_UNFINISHED_OR_REPEATABLE = {
    **OF_THESE_CONTENTS,
    "$or": [
        {"outcome": {"$ne": _COMPLETED}, "action": {"$nin": NO_ATTEMPTS}},
        {"repeatable": {"$exists": True}},
    ],
}


def _union(collection: str, *pipeline: dict[str, Any]) -> dict[str, Any]:
    return {"$unionWith": {"coll": collection, "pipeline": list(pipeline)}}


# All in one command: whether a history is valid depends on a swap that may be replacing it, what a state of
# Processing means on the holder of the lease, and what runs again on the checksum that ran last.
EVERYTHING: list[dict[str, Any]] = [
    {"$project": {"_id": 0, "key": 1, "state": 1, "processed_at": 1}},
    _union(SWAP, {"$match": {"_id": HEAD}}, {"$project": {"_id": 0, "swap": "$$ROOT"}}),
    _union(
        LEASE,
        {"$match": {"_id": THE_LEASE}},
        {
            "$project": {
                "_id": 0,
                "lineage": 1,
                "run": "$holder.run",
                "held": {"$gt": ["$expires_at", "$$NOW"]},
            }
        },
    ),
    _union(
        JOURNAL,
        {"$match": _UNFINISHED_OR_REPEATABLE},
        {"$project": _LONG},
        {"$sort": {"started_at": 1, "_id": 1}},
        {
            "$group": {
                "_id": {"key": "$key", "completed": {"$eq": ["$outcome", _COMPLETED]}},
                "attempt": {"$last": "$$ROOT"},
            }
        },
        {"$project": {"_id": 0, "attempt": 1}},
    ),
]
# The last attempt at each migration in Processing, also if it completed.
LAST_ATTEMPTS = _union(
    HISTORY,
    {"$match": {"state": _PROCESSING}},
    {
        "$lookup": {
            "from": JOURNAL,
            "let": {"key": "$key"},
            "pipeline": [
                {
                    "$match": {
                        "$expr": {"$eq": ["$key", "$$key"]},
                        "action": {"$nin": NO_ATTEMPTS},
                        **OF_THESE_CONTENTS,
                    }
                },
                {"$project": _LONG},
                {"$sort": _LAST_FIRST},
                {"$limit": 1},
            ],
            "as": "last",
        }
    },
    {"$unwind": "$last"},
    {"$project": {"_id": 0, "last": 1}},
)
