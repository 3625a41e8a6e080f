"""The collections that monarch keeps for itself in a database; no copy takes them along."""

from __future__ import annotations

LEASE = "monarch_lease"
SWAP = "monarch_swap"
STAGING = "monarch_staging."
# The document of the swap's journal that says that it has begun.
HEAD = "head"
OURS = (LEASE, SWAP)


def is_ours(name: str) -> bool:
    """Whether a collection is monarch's own. Histories are the database's, and are not."""
    return name in OURS or name.startswith(STAGING)
