"""What has a name in the target of a swap right now; a step looks at it before it removes anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson

from monarch.databases.mongo.catalog.model import BUCKETS, CODEC
from monarch.databases.mongo.catalog.read import list_entries
from monarch.databases.mongo.connection.handle import DatabaseHandle, Document
from monarch.databases.mongo.swap.definitions import drop_by_name, drop_collection


def find(target: DatabaseHandle, name: str) -> Document | None:
    """Return the listCollections entry of ``name``; None if there is none."""
    return next(iter(list_entries(target, name)), None)


def find_uuid(target: DatabaseHandle, name: str) -> bytes | None:
    """Return the UUID of the collection called ``name``; None if there is none, or it is a view."""
    entry = find(target, name)
    uuid = entry.get("info", {}).get("uuid") if entry is not None else None
    return bytes(uuid) if uuid is not None else None


def identify(target: DatabaseHandle, name: str) -> bytes | None:
    """Return what distinguishes a view or time series from another one that gets its name later.

    That is the definition of a view, and the UUID of the buckets of a time series; None for anything else.
    """
    entry = find(target, name)
    if entry is not None and entry.get("type") == "view":
        return view_identity(entry.get("options", {}))
    return find_uuid(target, BUCKETS + name)


def view_identity(options: Mapping[str, Any]) -> bytes:
    """Return the definition of a view as BSON, in which the order of the fields counts."""
    return bytes(bson.encode(options, codec_options=CODEC))


def find_kind(target: DatabaseHandle, name: str) -> str | None:
    """Return the type of what is called ``name``; None if there is nothing.

    If the server died while it dropped a time series, only its buckets are left. They count as one.
    """
    entry = find(target, name)
    if entry is not None:
        return str(entry.get("type", "collection"))
    return "timeseries" if find(target, BUCKETS + name) is not None else None


def remove(target: DatabaseHandle, name: str) -> None:
    """Drop what is called ``name``, if there is something: a collection by its UUID."""
    kind, uuid = find_kind(target, name), find_uuid(target, name)
    if kind == "collection" and uuid is not None:
        drop_collection(target, name, uuid)
    elif kind is not None:
        drop_by_name(target, name)
