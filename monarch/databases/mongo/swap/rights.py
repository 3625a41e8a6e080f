"""Which rights a swap needs, compared with those that the server reports for the user. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo.errors import PyMongoError

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.read import JAVASCRIPT, list_entries
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.connection.privileges import Privilege, actions_on, read_privileges

WRITES = ("dropCollection", "find", "insert", "remove", "update")
# A rename within a database needs its own action, on both names, or else these.
RENAME, _INSTEAD = "renameCollectionSameDB", frozenset(("find", "insert", "createIndex", "dropCollection"))
# What the server asks for before it renames a collection with Queryable Encryption.
_ENCRYPTED = "setUserWriteBlockMode"


def missing_rights(target: DatabaseHandle, collections: tuple[Collection, ...]) -> str | None:
    """Return which rights this user lacks to replace ``target`` by ``collections``, and the role with them.

    None if it lacks none, or the server does not report them. `rehearsal.rehearse` tries it, but writes.
    """
    privileges = _read_privileges(target)
    if privileges is None:
        return None
    database = target.environment.db_name
    normal = actions_on(privileges, database, "")
    missing = [action for action in WRITES if action not in normal]
    if any(len(one.indexes) > 1 for one in collections) and "createIndex" not in normal:
        missing.append("createIndex")
    # Collections and time series can be created with the right to insert.
    if any(one.kind == "view" for one in collections) and "createCollection" not in normal:
        missing.append("createCollection")
    if not missing and not may_rename(normal, normal):
        missing.append(RENAME)
    if missing:
        return _lacks(target, f"{', '.join(sorted(missing))} in {database!r}", "readWrite")
    entries = {str(entry["name"]): entry for entry in list_entries(target)}
    names = {one.new_name for one in collections}
    if (JAVASCRIPT in entries or JAVASCRIPT in names) and not may_rename(
        normal, actions_on(privileges, database, JAVASCRIPT)
    ):
        return _lacks(target, f"{RENAME} on {JAVASCRIPT!r} in {database!r}", "readWrite")
    options = [one.options for one in collections]
    options += [entry.get("options", {}) for name, entry in entries.items() if name in names]
    if any("encryptedFields" in one for one in options) and _ENCRYPTED not in _cluster_actions(privileges):
        return _lacks(target, f"{_ENCRYPTED}, to rename collections with Queryable Encryption", "restore")
    return None


def _read_privileges(target: DatabaseHandle) -> list[Privilege] | None:
    """Return the privileges of the user; None if there is no user or they cannot be read."""
    try:
        return read_privileges(target.database.client)
    except PyMongoError:
        return None


def _cluster_actions(privileges: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    found: set[str] = set()
    for privilege in privileges:
        if privilege["resource"].get("cluster") or privilege["resource"].get("anyResource"):
            found.update(privilege["actions"])
    return frozenset(found)


def may_rename(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether the actions on two names allow to rename one into the other."""
    return (RENAME in one and RENAME in other) or (one >= _INSTEAD and other >= _INSTEAD)


def _lacks(target: DatabaseHandle, what: str, role: str) -> str:
    user = target.environment.username
    return (
        f"The copy would be refused: the user {user!r} of {target.name!r} lacks {what}. "
        f"The role `{role}` has it."
    )
