"""Try what a swap will need, on names of monarch's own, before anything of the target is changed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bson import Binary
from bson.binary import UUID_SUBTYPE
from pymongo.errors import OperationFailure

from monarch.databases.lease import Lease
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.read import JAVASCRIPT, list_entries
from monarch.databases.mongo.collection_names import LEASE, STAGING
from monarch.databases.mongo.connection.client import explain
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.swap.definitions import UNAUTHORIZED, create, drop, rename_collection
from monarch.databases.mongo.swap.lookup import find
from monarch.errors import MonarchError, ServerError

# Unauthorized, and illegal operation, which is what renaming an encrypted collection is for most users.
_FORBIDDEN = (UNAUTHORIZED, 20)


def rehearse(target: DatabaseHandle, lease: Lease, collections: tuple[Collection, ...]) -> None:
    """Try to rename onto and drop collections such as ``collections``.

    Encrypted ones (Queryable Encryption) and ``system.js`` are tried apart: other rights are needed to rename
    them. Views and time series are not tried here: `Staging.prepare` creates each of them.

    :raises ServerError: if this user may not; it names the collections and the role. Nothing was changed.
    """
    renamed = [one for one in collections if one.kind == "collection"]
    encrypted = {one.new_name: one.options for one in renamed if "encryptedFields" in one.options}
    names = {one.new_name for one in renamed}
    entries = list_entries(target)
    for entry in entries:
        if entry["name"] in names and "encryptedFields" in entry.get("options", {}):
            encrypted.setdefault(str(entry["name"]), entry["options"])
    _try(target, lease, {}, [one.new_name for one in collections[:1]], "readWrite")
    if JAVASCRIPT in names or any(entry["name"] == JAVASCRIPT for entry in entries):
        _try_javascript(target)
    if encrypted:
        fields = next(iter(encrypted.values()))["encryptedFields"]
        _try(target, lease, {"encryptedFields": fields}, list(encrypted), "restore")


def _try_javascript(target: DatabaseHandle) -> None:
    """Try the rights to rename ``system.js`` and to rename onto it, by renames that no server carries out."""
    database = target.environment.db_name
    for name, new_name in ((f"{STAGING}none", JAVASCRIPT), (JAVASCRIPT, LEASE)):
        try:
            # There is no such collection, the target of the other rename exists, and none has this UUID.
            target.database.client.admin.command(
                "renameCollection",
                f"{database}.{name}",
                to=f"{database}.{new_name}",
                collectionUUID=Binary(bytes(16), UUID_SUBTYPE),
            )
        except OperationFailure as error:
            if error.code == UNAUTHORIZED:
                raise _refused(
                    target, [JAVASCRIPT], "readWrite", explain(target.environment, error)
                ) from error


def _refused(target: DatabaseHandle, names: list[str], role: str, error: MonarchError) -> ServerError:
    what = ", ".join(map(repr, names)) or "collections"
    return ServerError(
        f"The swap could not rename {what} in {target.name!r}: {error.message}",
        f"Nothing was changed. Check that the user of the target has the role `{role}`.",
    )


def _rename(target: DatabaseHandle, staged: str, uuid: bytes, place: str) -> None:
    """Rename ``staged``, and check that its UUID is as before, by which a swap knows what it has renamed."""
    rename_collection(target, staged, uuid, place, replace=True)
    entry = find(target, place) or {}
    if bytes(entry.get("info", {}).get("uuid", b"")) != uuid:
        raise ServerError(
            f"The server of {target.name!r} does not rename a collection by its UUID, so a swap is not safe.",
            "Nothing was changed. If a proxy or mongos is in between, connect to the server itself.",
        )


def _try(
    target: DatabaseHandle, lease: Lease, options: Mapping[str, Any], names: list[str], role: str
) -> None:
    staged, place = (f"{STAGING}{lease.run}.rehearsal.{number}" for number in (1, 2))
    try:
        for name in (staged, place):
            lease.check()
            create(target, Collection(name, "collection", options, ()), name)
        entry = find(target, staged)
        if entry is not None:
            _rename(target, staged, bytes(entry["info"]["uuid"]), place)
        for name in (staged, place):
            drop(target, name)
    except ServerError as error:
        for name in (staged, place):
            with suppress(MonarchError):  # the first error is reported
                drop(target, name)
        cause = error.__cause__
        if not isinstance(cause, OperationFailure) or cause.code not in _FORBIDDEN:
            raise
        raise _refused(target, names, role, error) from error
