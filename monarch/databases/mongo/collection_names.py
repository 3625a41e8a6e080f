"""The collections that monarch keeps for itself in a database."""

from __future__ import annotations

# The history of the database, which is part of every copy.
HISTORY = "mongo_migration_history"
JOURNAL = "mongo_migration_journal"

LEASE = "monarch_lease"
# Its only document.
THE_LEASE = "lease"
SWAP = "monarch_swap"
STAGING = "monarch_staging."
# The document of the swap log that marks a swap as begun.
HEAD = "head"
OURS = (LEASE, SWAP)


def is_ours(name: str) -> bool:
    """Return whether a collection is monarch's own, which copies leave out. They include the history."""
    return name in OURS or name.startswith(STAGING)
