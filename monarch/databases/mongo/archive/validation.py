"""What an archive may describe: nothing of it is believed before it was checked here.

An archive's manifest has a checksum and no key: whoever can write into the store can write both.
"""

from __future__ import annotations

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.collection_names import is_ours

# Bytes of a namespace, which the name of the database is part of (MongoDB's manual, "Naming Restrictions").
_LONGEST_NAME = 255
# The only collection of the server's own in a database that is data of people.
_DATA_OF_SYSTEM = ("system.js",)
# Bytes of all descriptions in an archive: a hundred times those of a large database.
LARGEST_PRELUDE = 64 << 20


def require_name(name: str) -> None:
    """Check that a collection of this name may be created in somebody's database.

    :raises ArchiveError: if not.
    """
    reason = _why_not(name)
    if reason is not None:
        raise ArchiveError(f"The archive holds a collection called {name[:_LONGEST_NAME]!r}: {reason}.")


def _why_not(name: str) -> str | None:
    if is_ours(name):
        return "monarch keeps that one for itself"
    if name.startswith("system.") and name not in _DATA_OF_SYSTEM:
        return "the server keeps that one for itself"
    if not name or name.startswith(".") or "$" in name or "\0" in name:
        return "no collection can have that name"
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        return "the name is too long"
    return None
