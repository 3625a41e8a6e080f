"""The collections that monarch keeps for itself in a database."""

from __future__ import annotations

# These two are the database's own history, and go along with every copy.
HISTORY = "mongo_migration_history"
JOURNAL = "mongo_migration_journal"

LEASE = "monarch_lease"
# Its only document.
THE_LEASE = "lease"
SWAP = "monarch_swap"
STAGING = "monarch_staging."
# The document of the swap's journal that says that it has begun.
HEAD = "head"
OURS = (LEASE, SWAP)


def is_ours(name: str) -> bool:
    """Whether a collection is monarch's own, which no copy takes along. Histories are the database's."""
    return name in OURS or name.startswith(STAGING)
