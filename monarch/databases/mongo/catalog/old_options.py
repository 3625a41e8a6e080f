"""Convert options and indexes of the servers of monarch 0.1 into those of current servers.

Servers before 3.4 accepted any option and almost any value; current ones reject what they do not know.
Options that had a meaning keep it, and the others are left out. Old mongodumps wrote values in the first
version of Extended JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bson import json_util

# The options that current servers accept.
_OPTIONS = {
    *("capped", "changeStreamPreAndPostImages", "clusteredIndex", "collation", "encryptedFields"),
    *("expireAfterSeconds", "indexOptionDefaults", "max", "pipeline", "size", "storageEngine", "timeseries"),
    *("validationAction", "validationLevel", "validator", "viewOn"),
}
_OPTIONS_OF_INDEXES = {
    *("2dsphereIndexVersion", "background", "bits", "coarsestIndexedLevel", "collation", "default_language"),
    *("expireAfterSeconds", "finestIndexedLevel", "hidden", "key", "language_override", "max", "min", "name"),
    *("partialFilterExpression", "prepareUnique", "sparse", "storageEngine", "textIndexVersion", "unique"),
    *("weights", "wildcardProjection"),
}
_PLUGINS = {"2d", "2dsphere", "geoHaystack", "hashed", "text"}
_ID = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
_MOST = 2**31 - 1


def modern_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``options`` of a collection or view for a current server.

    :raises ValueError: if a view names no collection.
    """
    kept = _kept(options, _OPTIONS)
    if "viewOn" in options and not isinstance(options["viewOn"], str):
        raise ValueError("a view on nothing")
    if not kept.pop("capped", False):
        # Without capped, size was the size of the first data file.
        return {key: value for key, value in kept.items() if key not in ("size", "max")}
    if not _is_number(kept.get("max")) or kept["max"] > _MOST:
        kept.pop("max", None)
    return {"capped": True, **kept}


def modern_indexes(
    indexes: Iterable[Mapping[str, Any]], options: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ...]:
    """Return ``indexes`` for a current server, that of ``_id`` first; ``options`` are the collection's.

    :raises ValueError: if an index has no name or no fields.
    """
    found: list[Mapping[str, Any]] = []
    seen: list[Mapping[str, Any]] = []
    for index in indexes:
        modern = _index(index)
        if index["name"] == "_id_" or _is_of_id(modern["key"]):
            continue
        # Indexes that differ only in 1 and true are one index now.
        shape = {word: value for word, value in modern.items() if word not in ("name", "background")}
        ordered = {**shape, "key": list(modern["key"].items())}
        if ordered not in seen and not index.get("clustered"):
            seen.append(ordered)
            found.append(modern)
    if "timeseries" in options or "clusteredIndex" in options:
        return tuple(found)
    collation = {"collation": options["collation"]} if "collation" in options else {}
    return ({**_ID, **collation}, *found)


def unwrapped(value: Any, *, listed: bool = False) -> Any:
    """Return ``value`` with the types decoded that Extended JSON version 1 writes unlike version 2.

    A regular expression looks like the ``$regex`` operator, except if it is ``listed``: a list element cannot
    be an operator.
    """
    if isinstance(value, list):
        return [unwrapped(one, listed=True) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$binary", "$type"} or (listed and value.keys() == {"$regex", "$options"}):
        return json_util.object_hook(value)
    return {key: unwrapped(one) for key, one in value.items()}


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(index.get("name"), str) or not isinstance(index.get("key"), Mapping):
        raise ValueError("an index without a name, or without fields")
    kept = _kept(index, _OPTIONS_OF_INDEXES)
    old = index.get("v", 1) in (0, 1)
    key = kept["key"] = {field: _direction(value) if old else value for field, value in index["key"].items()}
    for word in {"background", "hidden", "prepareUnique", "sparse", "unique"} & kept.keys():
        kept[word] = bool(kept[word])
        if not kept[word]:  # false is the default, and servers omit some of these then
            del kept[word]
    if "expireAfterSeconds" in kept:
        seconds = kept.pop("expireAfterSeconds")
        if _is_number(seconds) and len(key) == 1:  # otherwise the server ignored it
            kept["expireAfterSeconds"] = _seconds(seconds)
    if "text" not in key.values():
        kept.pop("weights", None)
    return kept


def _kept(options: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """Return the ``known`` options that have a value, without storage engines that no longer exist."""
    kept = {key: value for key, value in options.items() if key in known and value is not None}
    engine = kept.pop("storageEngine", None)
    if isinstance(engine, dict) and "wiredTiger" in engine:
        kept["storageEngine"] = {"wiredTiger": engine["wiredTiger"]}
    return kept


def _direction(value: Any) -> Any:
    """Return the direction or type of an indexed field. Values that servers did not know meant 1."""
    if isinstance(value, str):
        return value if value in _PLUGINS else 1
    return value if _is_number(value) and value and not math.isnan(value) else 1


def _is_of_id(key: Mapping[str, Any]) -> bool:
    return list(key) == ["_id"] and not isinstance(key["_id"], str)


def _seconds(value: float) -> int:
    """Return ``value`` in whole seconds, within the range that a server accepts."""
    return _MOST if math.isnan(value) else int(min(max(value, 0), _MOST))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
