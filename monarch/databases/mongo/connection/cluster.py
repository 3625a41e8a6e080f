"""Sharded clusters: how monarch recognizes one, and which of its collections are not on the primary shard.

A program reaches a cluster through mongos, which passes its commands on to the shards. This is the one place
that knows how mongos answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.errors import UsageError

_UNAUTHORIZED, _NAMESPACE_NOT_FOUND, _IS_A_VIEW = 13, 26, 166
# Time series are sharded by their buckets.
_BUCKETS = "system.buckets."
_MOST_NAMES = 10
# How pymongo calls what leads to shards.
_ROUTERS = ("Mongos", "LoadBalancer")


@dataclass(frozen=True)
class Placement:
    """The collections of a database of a cluster that are not, or not only, on its primary shard.

    ``sharded`` have a shard key. ``moved`` have none, and are on another shard (moveCollection, MongoDB 8.0).
    Without ``is_known`` the user may not read the config database: ``sharded`` comes from the statistics of
    each collection then, and ``moved`` is empty.
    """

    sharded: tuple[str, ...]
    moved: tuple[str, ...]
    is_known: bool = True


def is_mongos(hello: Mapping[str, Any]) -> bool:
    """Whether mongos sent this reply to the command ``hello``."""
    return hello.get("msg") == "isdbgrid"


def is_connected_to_mongos(client: MongoClient[Any]) -> bool:
    """Whether ``client``, which has sent a command, knows that it is connected to mongos; asks nothing."""
    servers = client.topology_description.server_descriptions().values()
    return any(server.server_type_name in _ROUTERS for server in servers)


def is_cluster(endpoint: DatabaseHandle) -> bool:
    """Whether ``endpoint`` is reached through mongos.

    :raises ServerError: if the server cannot be asked.
    """
    with endpoint.explained():
        return is_mongos(endpoint.database.client.admin.command("hello"))


def is_shard(endpoint: DatabaseHandle) -> bool:
    """Whether ``endpoint`` is a member of a shard, reached without mongos; False if this user may not know.

    :raises ServerError: if the server cannot be asked.
    """
    versions = endpoint.database.client["admin"].get_collection(
        "system.version", read_preference=ReadPreference.PRIMARY
    )
    with endpoint.explained():
        try:
            return versions.find_one({"_id": "shardIdentity"}, {"_id": 1}) is not None
        except OperationFailure as error:
            if error.code != _UNAUTHORIZED:
                raise
            return False


def refuse_shard(endpoint: DatabaseHandle) -> None:
    """Check that ``endpoint``, which is not reached through mongos, is not one shard of a cluster.

    :raises UsageError: if it is: what is written to a shard directly, the cluster does not know.
    """
    if is_shard(endpoint):
        raise UsageError(
            f"The server of {endpoint.name!r} is one shard of a cluster, reached without mongos.",
            "Nothing was changed. In migrations/settings.py, set its 'uri' or 'host' to a mongos.",
        )


def read_cluster_id(client: MongoClient[Any]) -> object | None:
    """Return the id of the cluster, the same through each mongos; None if this user may not read it.

    Exceptions of pymongo are not translated.
    """
    try:
        version = _config(client, "version").find_one({"_id": 1})
    except OperationFailure as error:
        if error.code != _UNAUTHORIZED:
            raise
        return None
    return (version or {}).get("clusterId")


def read_placement(endpoint: DatabaseHandle, names: Iterable[str] | None = None) -> Placement | None:
    """Return where the collections of ``endpoint`` are; None if it is not reached through mongos.

    :param names: the only collections that matter, if statistics are read; None for all.
    :raises ServerError: if the server cannot be asked.
    """
    if not is_cluster(endpoint):
        return None
    database = endpoint.environment.db_name
    entries = _config(endpoint.database.client, "collections")
    # All names that begin with the database and a dot: in ASCII, "/" follows ".".
    query = {"_id": {"$gte": f"{database}.", "$lt": f"{database}/"}, "dropped": {"$ne": True}}
    with endpoint.explained():
        try:
            found = list(entries.find(query, {"unsplittable": 1}))
        except OperationFailure as error:
            if error.code != _UNAUTHORIZED:
                raise
            return Placement(_find_sharded(endpoint, names), (), is_known=False)
    placed: dict[bool, set[str]] = {True: set(), False: set()}
    for entry in found:
        name = str(entry["_id"]).removeprefix(f"{database}.").removeprefix(_BUCKETS)
        placed[bool(entry.get("unsplittable"))].add(name)
    return Placement(tuple(sorted(placed[False])), tuple(sorted(placed[True])))


def _config(client: MongoClient[Any], name: str) -> Collection[Any]:
    # From the primary, whatever the settings prefer: what is refused depends on it.
    return client["config"].get_collection(name, read_preference=ReadPreference.PRIMARY)


def _find_sharded(endpoint: DatabaseHandle, names: Iterable[str] | None) -> tuple[str, ...]:
    """Return the sharded collections by the statistics of each, which need the role ``read`` only."""
    found: list[str] = []
    if names is None:
        names = endpoint.database.list_collection_names(filter={"type": {"$ne": "view"}})
    for name in names:
        try:
            statistics = endpoint.database.command("collStats", name)
        except OperationFailure as error:
            # A user may read some of the collections only; and one may be dropped meanwhile.
            if error.code not in (_UNAUTHORIZED, _NAMESPACE_NOT_FOUND, _IS_A_VIEW):
                raise
            continue
        if statistics.get("sharded") is True:
            found.append(name.removeprefix(_BUCKETS))
    return tuple(sorted(set(found)))


def list_names(names: Iterable[str]) -> str:
    """Return ``names`` for people: at most ten, and the number of the others."""
    all_names = list(names)
    shown = ", ".join(map(repr, all_names[:_MOST_NAMES]))
    more = len(all_names) - _MOST_NAMES
    return shown + (f" and {more} more" if more > 0 else "")
