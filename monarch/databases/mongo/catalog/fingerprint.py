"""A fingerprint of a database, to detect later whether anything in it has changed."""

from __future__ import annotations

from collections.abc import Mapping

from bson import BSON
from bson.son import SON

from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, is_ours
from monarch.databases.mongo.connection.cluster import is_cluster
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.errors import UsageError


def take_fingerprint(endpoint: DatabaseHandle) -> Mapping[str, object]:
    """Return the options, indexes and ``dbHash`` of every collection, by its name.

    :raises UsageError: if it is a sharded cluster, which has no ``dbHash``.
    """
    if is_cluster(endpoint):
        raise UsageError(
            f"{endpoint.name!r} is a sharded cluster, which cannot report what a migration has changed.",
            "Copy it into a database that is not sharded, and verify the migration there.",
        )
    hashes = endpoint.command("dbHash")["collections"]
    found: dict[str, object] = {}
    with endpoint.explained():
        for entry in endpoint.database.list_collections():
            name = entry["name"]
            if is_ours(name) or name in (HISTORY, JOURNAL):
                continue
            indexes: list[object] = []
            if entry["type"] == "collection":
                indexes = [BSON.encode(index) for index in endpoint.collection(name).list_indexes()]
            options = BSON.encode(SON(entry["options"]))
            found[name] = (entry["type"], options, tuple(indexes), hashes.get(name))
    return found
