"""Options and indexes as servers took them in the days of monarch 0.1, as today's take them.

Until 3.4 servers took any option, and almost any value, and did something sensible with it; today's refuse
what they do not know. What had a meaning keeps it, and the rest is left out. And old mongodumps wrote values
in the first version of Extended JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bson import json_util

# What today's servers take.
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
    """The ``options`` of a collection or view.

    :raises ValueError: if a view has nothing that it is on.
    """
    kept = _kept(options, _OPTIONS)
    if "viewOn" in options and not isinstance(options["viewOn"], str):
        raise ValueError("a view on nothing")
    if not kept.pop("capped", False):
        # A size was that of the first file, once.
        return {key: value for key, value in kept.items() if key not in ("size", "max")}
    if not _is_number(kept.get("max")) or kept["max"] > _MOST:
        kept.pop("max", None)
    return {"capped": True, **kept}


def modern_indexes(
    indexes: Iterable[Mapping[str, Any]], options: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ...]:
    """The ``indexes`` of a collection with these ``options``, that of ``_id`` the first of them.

    :raises ValueError: if one lacks what no index can lack.
    """
    found: list[Mapping[str, Any]] = []
    seen: list[Mapping[str, Any]] = []
    for index in indexes:
        modern = _index(index)
        if index["name"] == "_id_" or _is_of_id(modern["key"]):
            continue
        # Some differed in nothing but 1 and true, and are one now.
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
    """``value`` with what the first version of Extended JSON wraps in another way than the second.

    A regular expression looks like the operator that does the same. Where it is ``listed``, in a list, it can
    be none.
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
        if not kept[word]:  # as when nothing is said of it, which is what some of them become in a server
            del kept[word]
    if "expireAfterSeconds" in kept:
        seconds = kept.pop("expireAfterSeconds")
        if _is_number(seconds) and len(key) == 1:  # else it was not heeded
            kept["expireAfterSeconds"] = _seconds(seconds)
    if "text" not in key.values():
        kept.pop("weights", None)
    return kept


def _kept(options: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """Those that are known and say something; nothing is said of a storage engine that is no more."""
    kept = {key: value for key, value in options.items() if key in known and value is not None}
    engine = kept.pop("storageEngine", None)
    if isinstance(engine, dict) and "wiredTiger" in engine:
        kept["storageEngine"] = {"wiredTiger": engine["wiredTiger"]}
    return kept


def _direction(value: Any) -> Any:
    """How a field is indexed; what was no number below zero and no kind of index meant 1."""
    if isinstance(value, str):
        return value if value in _PLUGINS else 1
    return value if _is_number(value) and value and not math.isnan(value) else 1


def _is_of_id(key: Mapping[str, Any]) -> bool:
    return list(key) == ["_id"] and not isinstance(key["_id"], str)


def _seconds(value: float) -> int:
    """As soon as that, but not before the time, and not later than a server can say."""
    return _MOST if math.isnan(value) else int(min(max(value, 0), _MOST))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
