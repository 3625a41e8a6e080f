"""A fingerprint of a database, to detect later whether anything in it has changed."""

from __future__ import annotations

from collections.abc import Mapping

from bson import BSON
from bson.son import SON

from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, is_ours
from monarch.databases.mongo.connection.handle import DatabaseHandle


def take_fingerprint(endpoint: DatabaseHandle) -> Mapping[str, object]:
    """Return the options, indexes and ``dbHash`` of every collection, by its name."""
    hashes = endpoint.command("dbHash")["collections"]
    found: dict[str, object] = {}
    with endpoint.explained():
        for entry in endpoint.database.list_collections():
            name = entry["name"]
            if is_ours(name) or name in (HISTORY, JOURNAL):
                continue
            indexes: list[object] = []
            if entry["type"] == "collection":
                indexes = [BSON.encode(index) for index in endpoint.database[name].list_indexes()]
            options = BSON.encode(SON(entry["options"]))
            found[name] = (entry["type"], options, tuple(indexes), hashes.get(name))
    return found
