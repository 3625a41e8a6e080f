"""What an archive may describe: nothing of it is believed before it was checked here.

An archive's manifest has a checksum and no key: whoever can write into the store can write both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.collection_names import is_ours

# Bytes of a namespace, which the name of the database is part of (MongoDB's manual, "Naming Restrictions").
_LONGEST_NAME = 255
# The only collection of the server's own in a database that is data of people.
_DATA_OF_SYSTEM = ("system.js",)
# Bytes of all descriptions in an archive: a hundred times those of a large database.
LARGEST_PRELUDE = 64 << 20
# Fields of every command, which are no options of a collection.
_OF_COMMANDS = frozenset(
    (
        *("create", "writeConcern", "readConcern", "session", "lsid", "txnNumber", "autocommit", "comment"),
        *("startTransaction", "maxTimeMS", "check", "apiVersion", "apiStrict", "apiDeprecationErrors"),
    )
)


def require_restorable(name: str, options: Mapping[str, Any], indexes: Sequence[Mapping[str, Any]]) -> None:
    """Check that a collection of this description may be created in somebody's database.

    :raises ArchiveError: if not; its message is only the reason.
    """
    reason = _why_no_name(name) or _why_no_options(options) or _why_no_indexes(indexes)
    if reason is not None:
        raise ArchiveError(reason)


def _why_no_name(name: str) -> str | None:
    if is_ours(name):
        return "monarch keeps a collection of that name for itself"
    if name.startswith("system.") and name not in _DATA_OF_SYSTEM:
        return "the server keeps a collection of that name for itself"
    if not name or "$" in name or "\0" in name or name.startswith(".") or name.endswith(".") or ".." in name:
        return "no collection can have that name"
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        return "the name is too long"
    return None


def _why_no_options(options: Mapping[str, Any]) -> str | None:
    wrong = next((key for key in options if key in _OF_COMMANDS or key.startswith("$")), None)
    return None if wrong is None else f"{wrong!r} is no option of a collection"


def _why_no_indexes(indexes: Sequence[Mapping[str, Any]]) -> str | None:
    names = [index["name"] for index in indexes]
    return "two indexes have one name" if len(set(names)) < len(names) else None
