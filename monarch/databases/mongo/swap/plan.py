"""Which steps a swap has, and in which order.

Collections are renamed first, each atomically. Views and time series cannot be renamed: they are created
last, from collections that are in place by then.
"""

from __future__ import annotations

from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.catalog.read import JAVASCRIPT, is_copied, list_entries
from monarch.databases.mongo.connection.handle import DatabaseHandle, Document
from monarch.databases.mongo.swap.lookup import identify, view_identity
from monarch.databases.mongo.swap.staging import Staging
from monarch.databases.mongo.swap.steps import (
    Clear,
    Discard,
    Drop,
    Move,
    Series,
    SetAside,
    SwapStep,
    View,
)


def plan_steps(target: DatabaseHandle, staging: Staging, *, keep_others: bool = False) -> list[SwapStep]:
    """Return the steps after which the target holds what was staged, and nothing else.

    With ``keep_others`` it also holds all that has none of the names that were staged.

    :raises ServerError: if a staged collection was dropped.
    """
    entries = _replaced_entries(target)
    staged_collections = {collection.new_name: collection for collection in staging.collections}
    if keep_others:
        entries = {name: entry for name, entry in entries.items() if name in staged_collections}
    uuids = staging.uuids()
    for collection in staging.collections:
        if collection.kind == "collection" and staging.names[collection.name] not in uuids:
            raise staging.missing(collection)
    clears: list[SwapStep] = []
    moves: list[SwapStep] = []
    drops: list[SwapStep] = []
    rebuilds: list[SwapStep] = []
    for name, collection in staged_collections.items():
        staged = staging.names[collection.name]
        if collection.kind == "collection":
            if entries.get(name, {}).get("type") in ("view", "timeseries"):
                clears.append(Clear(name))
            moves.append(Move(staged, uuids[staged], name, replace=name != JAVASCRIPT))
        else:
            rebuilds.append(_rebuild(collection, staged))
            if entries.get(name, {}).get("type") == "collection":
                drops.append(Drop(name, bytes(entries[name]["info"]["uuid"])))
    for name, entry in entries.items():
        if name == JAVASCRIPT:
            clears.append(SetAside(name, bytes(entry["info"]["uuid"]), staging.aside))
        elif entry["type"] == "view":
            # Also those that the copy changes: a new view may not fit an old one that it reads.
            old = view_identity(entry["options"])
            new = staged_collections.get(name)
            if new is None or (new.kind == "view" and view_identity(new.options) != old):
                drops.append(Discard(name, "view", old))
        elif name not in staged_collections:
            if entry["type"] == "timeseries":
                drops.append(Discard(name, "timeseries", identify(target, name)))
            else:
                drops.append(Drop(name, bytes(entry["info"]["uuid"])))
    rebuilds.sort(key=lambda step: isinstance(step, View))
    return [*clears, *moves, *drops, *rebuilds]


def _replaced_entries(target: DatabaseHandle) -> dict[str, Document]:
    """Return the listCollections entries, by name, of everything that a swap replaces.

    Buckets without their time series, which a server leaves that died in between, count as a time series.
    """
    entries = {str(entry["name"]): entry for entry in list_entries(target)}
    for name in list(entries):
        if name.startswith(BUCKETS):
            entries.setdefault(name.removeprefix(BUCKETS), {"type": "timeseries"})
    return {name: entry for name, entry in entries.items() if is_copied(name)}


def _rebuild(collection: Collection, staged: str) -> SwapStep:
    if collection.kind == "view":
        return View(collection.new_name, collection.options)
    return Series(
        collection.new_name, staged, collection.options, collection.indexes, collection.as_documents
    )
