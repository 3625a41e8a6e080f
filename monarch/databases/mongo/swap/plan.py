"""Which steps a swap takes, and in which order.

Collections get their names first, each in a moment. What cannot be renamed, views and time series, is made
anew last, from what is safe by then.
"""

from __future__ import annotations

from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.catalog.read import is_copied, list_entries
from monarch.databases.mongo.handle import DatabaseHandle, Document
from monarch.databases.mongo.swap.staging import Staging
from monarch.databases.mongo.swap.steps import Clear, Discard, Drop, Move, Series, SetAside, SwapStep, View

_JAVASCRIPT = "system.js"


def plan_steps(target: DatabaseHandle, staging: Staging) -> list[SwapStep]:
    """What must be done so that the target holds what was staged, and nothing else.

    :raises ServerError: if a staged collection was dropped.
    """
    there = _what_is_there(target)
    wanted = {collection.name: collection for collection in staging.collections}
    uuids = staging.uuids()
    for collection in staging.collections:
        if collection.kind == "collection" and staging.names[collection.name] not in uuids:
            raise staging.missing(collection)
    clears: list[SwapStep] = []
    moves: list[SwapStep] = []
    drops: list[SwapStep] = []
    lasts: list[SwapStep] = []
    for name, collection in wanted.items():
        staged = staging.names[name]
        if collection.kind == "collection":
            if there.get(name, {}).get("type") in ("view", "timeseries"):
                clears.append(Clear(name))
            moves.append(Move(staged, uuids[staged], name, replace=name != _JAVASCRIPT))
        else:
            lasts.append(_remade(collection, staged))
            if there.get(name, {}).get("type") == "collection":
                drops.append(Drop(name, bytes(there[name]["info"]["uuid"])))
    for name, entry in there.items():
        if name == _JAVASCRIPT:
            clears.append(SetAside(name, bytes(entry["info"]["uuid"]), staging.aside))
        elif entry["type"] == "view":
            # All of them, those that stay too: a new view must not meet an old one that it does not fit.
            if name not in wanted or wanted[name].kind == "view":
                drops.append(Discard(name, "view"))
        elif name not in wanted:
            gone = entry["type"] == "timeseries"
            drops.append(Discard(name, "timeseries") if gone else Drop(name, bytes(entry["info"]["uuid"])))
    lasts.sort(key=lambda step: isinstance(step, View))
    return [*clears, *moves, *drops, *lasts]


def _what_is_there(target: DatabaseHandle) -> dict[str, Document]:
    """What listCollections says of everything that is to be replaced.

    Buckets without their time series, which a server that died in the middle leaves, count as one.
    """
    entries = {str(entry["name"]): entry for entry in list_entries(target)}
    for name in list(entries):
        if name.startswith(BUCKETS):
            entries.setdefault(name.removeprefix(BUCKETS), {"type": "timeseries"})
    return {name: entry for name, entry in entries.items() if is_copied(name)}


def _remade(collection: Collection, staged: str) -> SwapStep:
    if collection.kind == "view":
        return View(collection.name, collection.options)
    return Series(collection.name, staged, collection.options, collection.indexes, collection.as_documents)
