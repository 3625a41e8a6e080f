"""What the server reports of the rights of its user. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import MongoClient, ReadPreference

Privilege = Mapping[str, Any]


def read_privileges(client: MongoClient[Any]) -> list[Privilege] | None:
    """Return the privileges of the user of ``client``; None if it has none, because it gives no user.

    :raises PyMongoError: if the server does not report them.
    """
    reply = client.admin.command(
        "connectionStatus", showPrivileges=True, read_preference=ReadPreference.NEAREST
    )
    info = reply.get("authInfo", {})
    found: list[Privilege] | None = info.get("authenticatedUserPrivileges")
    return found if info.get("authenticatedUsers") else None


def actions_on(privileges: Iterable[Privilege], database: str, collection: str) -> frozenset[str]:
    """Return the actions on ``collection``; "" are all but those of the system."""
    found: set[str] = set()
    for privilege in privileges:
        resource = privilege["resource"]
        fits = resource.get("collection") == collection and resource.get("db") in (database, "")
        if fits or resource.get("anyResource"):
            found.update(privilege["actions"])
    return frozenset(found)
