"""The journal of a target whose contents are replaced: it is staged with them, and arrives with them.

It is that of the source, and what the target's own journal has of its own environment. With it arrives the
entry of the command that replaces the contents, even if the run is killed right after the swap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bson import ObjectId

from monarch.databases.history import MigrationState
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.read import read_catalog
from monarch.databases.mongo.collection_names import JOURNAL
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.swap.staging import Staging
from monarch.databases.transfer import CopiedCollection
from monarch.errors import ServerError, UsageError

_ID_INDEX = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
# Returns what an update stores as the entry of the journal, with expressions.
Recording = Callable[[tuple[CopiedCollection, ...]], Mapping[str, Any]]


def with_journal(collections: tuple[Collection, ...], whose: str) -> tuple[Collection, ...]:
    """Return ``collections``, and an empty journal if none of them is one.

    ``whose`` says where its journal comes from.

    :raises UsageError: if the journal is a view or a time series, to which no entry can be added.
    """
    journal = next((one for one in collections if one.name == JOURNAL), None)
    if journal is None:
        return (*collections, Collection(JOURNAL, "collection", {}, (_ID_INDEX,)))
    if journal.kind != "collection":
        kind = "view" if journal.kind == "view" else "time series"
        raise UsageError(
            f"{JOURNAL!r} of {whose} is a {kind}, and no entry can be added to it.",
            f"Nothing was changed. Rename or drop the {kind} there: the name is monarch's own.",
        )
    return collections


def require_accepted(
    target: DatabaseHandle, staging: Staging, lineage: object, entry: Mapping[str, Any]
) -> None:
    """Try to write into the staged journal, which is still empty, if the source's has a validator.

    A user who may bypass validators needs no trial.

    :raises ServerError: if the validator refuses ``entry`` or one of the target's own.
    """
    (journal,) = (one for one in staging.collections if one.name == JOURNAL)
    if "validator" not in journal.options or staging.may_bypass_validation():
        return
    try:
        keep_own_entries(target, staging, lineage)
        record(target, staging, entry)
    except ServerError as error:
        raise ServerError(
            f"The validator of {JOURNAL!r} of the source refuses the entry of this command: {error.message}",
            "Nothing was changed. "
            f"Remove that validator, or give the user of {target.name!r} the role `dbAdmin`.",
        ) from error
    with target.explained():
        target.database[staging.names[JOURNAL]].delete_many({})


def keep_own_entries(target: DatabaseHandle, staging: Staging, lineage: object) -> None:
    """Add to the staged journal what that of ``target`` has of its own environment, or of its ``lineage``.

    That is what was done on contents that are replaced now. Attempts that are open were cut off: this run
    holds the lease.
    """
    own = {"$or": [{"environment": target.name}, {"lineage": lineage}]}
    interrupted = {"$ifNull": ["$outcome", MigrationState.INTERRUPTED.value]}
    merge = {"on": "_id", "whenMatched": "keepExisting", "whenNotMatched": "insert"}
    pipeline: list[dict[str, Any]] = [
        {"$match": own},
        {"$set": {"replaced": True, "outcome": interrupted}},
        {"$merge": {"into": staging.names[JOURNAL], **merge}},
    ]
    bypass = staging.may_bypass_validation()
    with target.explained():
        target.database[JOURNAL].aggregate(pipeline, bypassDocumentValidation=bypass)


def own_journal(target: DatabaseHandle) -> tuple[Collection, ...]:
    """Return the journal of ``target``, to be staged again; empty if there is none."""
    return tuple(one for one in read_catalog(target) if one.name == JOURNAL)


def keep_all_entries(target: DatabaseHandle, staging: Staging) -> None:
    """Add to the staged journal all that of ``target`` has."""
    pipeline: list[dict[str, Any]] = [{"$merge": {"into": staging.names[JOURNAL]}}]
    bypass = staging.may_bypass_validation()
    with target.explained():
        target.database[JOURNAL].aggregate(pipeline, bypassDocumentValidation=bypass)


def record(target: DatabaseHandle, staging: Staging, entry: Mapping[str, Any]) -> None:
    """Write ``entry`` into the staged journal."""
    journal = target.database[staging.names[JOURNAL]]
    bypass = staging.may_bypass_validation()
    with target.explained():
        journal.update_one(
            {"_id": ObjectId()}, [{"$set": dict(entry)}], upsert=True, bypass_document_validation=bypass
        )
