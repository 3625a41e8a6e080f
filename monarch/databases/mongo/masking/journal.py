"""What becomes of monarch's own collections in a masked copy.

Of the history is kept what monarch writes there. Entries of the journal keep what other commands need; what
migrations printed, errors, tracebacks, positions in collections, and who ran them where, are removed.
"""

from __future__ import annotations

from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.privacy.masks import CollectionMasks, CollectionRule
from monarch.privacy.rules import keep, remove

_STATES = ("_id", "key", "state", "processed_at")
_KEPT = (
    *("_id", "key", "action", "outcome", "checksum", "repeatable", "started_at", "finished_at"),
    *("seconds", "documents", "run", "fence", "lineage", "monarch", "environment", "replaced"),
)
OWN_RULES: dict[str, CollectionRule] = {
    HISTORY: CollectionMasks(HISTORY, {**dict.fromkeys(_STATES, keep), "*": remove}),
    JOURNAL: CollectionMasks(JOURNAL, {**dict.fromkeys(_KEPT, keep), "*": remove}),
}
