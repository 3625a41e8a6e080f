"""Creating and dropping collections, views, time series and indexes in the target of a copy."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bson import Binary
from bson.binary import UUID_SUBTYPE
from pymongo.errors import OperationFailure

from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.catalog.old_options import modern_indexes
from monarch.databases.mongo.catalog.read import list_entries
from monarch.databases.mongo.connection.driver_errors import without_values
from monarch.databases.mongo.connection.handle import BY_NAME_MS, QUICK, DatabaseHandle
from monarch.errors import MonarchError, ServerError

# Fields of every command, which are no options of a collection.
_OF_COMMANDS = frozenset(
    (
        *("create", "writeConcern", "readConcern", "session", "lsid", "txnNumber", "autocommit", "comment"),
        *("startTransaction", "maxTimeMS", "check", "apiVersion", "apiStrict", "apiDeprecationErrors"),
        *("$db", "$clusterTime", "$readPreference", "$audit", "$client", "$configServerState"),
    )
)
UNAUTHORIZED, _NAMESPACE_NOT_FOUND, _OTHER_UUID = 13, 26, 361
# Of servers that do not know `collectionUUID`, or whose feature version does not: failed to parse, invalid
# options, unknown field.
_UNKNOWN_FIELD = (9, 72, 40415)
_BY_NAME = {"maxTimeMS": BY_NAME_MS}
# Bad value, failed to parse, type mismatch, cannot create index, invalid index specification option.
_INVALID_OPTIONS = (2, 9, 14, 67, 197)


def create(target: DatabaseHandle, collection: Collection, name: str) -> None:
    """Create an empty ``collection`` called ``name``, with no other index than that of ``_id``.

    :raises ServerError: if this server or this user cannot; it names the collection and quotes the server.
    """
    # Servers before 3.4 stored the whole command; and an archive's options are a stranger's.
    options = {key: value for key, value in collection.options.items() if key not in _OF_COMMANDS}
    options.pop("autoIndexId", None)  # old, the default anyway, and not allowed beside idIndex
    # Of what mapReduce and $out write while they run. No server accepts it from a client.
    options.pop("temp", None)
    id_index = next((dict(index) for index in collection.indexes if index["name"] == "_id_"), None)
    if id_index is not None and collection.kind == "collection" and not options.get("clusteredIndex"):
        options["idIndex"] = id_index
    with target.explained():
        try:
            target.database.command({"create": name, **options, "writeConcern": QUICK})
        except OperationFailure as error:
            if error.code == UNAUTHORIZED:
                raise
            words = " ".join(str(error).partition(", full error:")[0].split())
            what = f"{collection.kind} {collection.name!r}"
            raise ServerError(
                f"MongoDB of {target.name!r} does not accept the {what}: {words}",
                "Check whether it is older than the source's server, or has an older feature version. "
                f"To leave that out, add --exclude {shlex.quote(collection.name)}.",
            ) from error


def secondary(collection: Collection) -> list[Mapping[str, Any]]:
    """Return the indexes of ``collection`` that the server does not create with it."""
    return [index for index in collection.indexes if index["name"] != "_id_" and not index.get("clustered")]


def create_indexes(target: DatabaseHandle, collection: Collection, name: str) -> Collection:
    """Build the indexes of ``collection`` on the collection called ``name``.

    Options of old servers that this one refuses are left out, as mongorestore does.

    :return: the collection as it was built.
    :raises ServerError: if they cannot be built; it names the collection and quotes the server.
    """
    try:
        _build_indexes(target, collection, name)
        return collection
    except ServerError as error:
        cause = error.__cause__
        if not isinstance(cause, OperationFailure) or cause.code not in _INVALID_OPTIONS:
            raise
        modern = replace(collection, indexes=modern_indexes(collection.indexes, collection.options))
        if modern == collection:
            raise
    _build_indexes(target, modern, name)
    return modern


def _build_indexes(target: DatabaseHandle, collection: Collection, name: str) -> None:
    indexes = secondary(collection)
    if not indexes:
        return
    if "collation" in collection.options:
        # Without a collation of its own, an index would get that of its collection.
        indexes = [{"collation": {"locale": "simple"}, **index} for index in indexes]
    with target.explained():
        try:
            target.database.command("createIndexes", name, indexes=indexes, writeConcern=QUICK)
        except OperationFailure as error:
            words = " ".join(str(error).partition(", full error:")[0].replace(name, collection.name).split())
            words = without_values(words.partition(" dup key:")[0])
            named = [index["name"] for index in indexes if f'name: "{index["name"]}"' in words]
            refused = shlex.quote(f"{collection.name}.{named[0]}") if named else "COLLECTION.INDEX"
            raise ServerError(
                f"MongoDB of {target.name!r} cannot build the indexes of {collection.name!r}: {words[:500]}",
                "Fix the documents or the index at their source. To leave an index out, add "
                f"--exclude-index {refused}.",
            ) from error


def drop_all(target: DatabaseHandle, which: Callable[[str], bool]) -> list[str]:
    """Drop every collection whose name ``which`` accepts, and return their names.

    Buckets without their time series, which a server leaves that died in between, are dropped too.

    :raises ServerError: the first failure, after all others were dropped.
    """
    dropped: list[str] = []
    # A tool whose monarch was killed may still finish an insert, which creates its collection again.
    for _ in range(3):
        names = dict.fromkeys(str(entry["name"]).removeprefix(BUCKETS) for entry in list_entries(target))
        found = [name for name in names if which(name)]
        failures: list[MonarchError] = []
        for name in found:
            try:
                drop(target, name)
            except MonarchError as error:
                failures.append(error)
            else:
                dropped.append(name)
        if failures:
            raise failures[0]
        if not found:
            break
    return dropped


def drop(target: DatabaseHandle, name: str, **arguments: Any) -> None:
    """Drop a collection, view or time series; it need not exist.

    Buckets without their time series, which a server leaves that died in between, are dropped too.
    """
    with target.explained(), _suppress_missing():
        target.database.command({"drop": name, **arguments})


def drop_collection(target: DatabaseHandle, name: str, uuid: bytes, **arguments: Any) -> None:
    """Drop the collection with ``uuid``, if it is still called ``name``; another one of that name stays.

    The command may arrive late, when another run has the lease. Servers before 6.0 go by the name alone: the
    caller has looked at the UUID right before, and the server does not wait longer than the lease lasts.
    """
    with target.explained():
        _by_uuid(lambda more: target.database.command({"drop": name, **arguments, **more}), uuid)


def drop_by_name(target: DatabaseHandle, name: str) -> None:
    """Drop a view or time series. No server accepts a UUID for it, so look what has the name right before.

    :raises ServerError: also if the server has to wait longer than the lease lasts.
    """
    drop(target, name, **_BY_NAME)


def rename_collection(
    target: DatabaseHandle, name: str, uuid: bytes, new_name: str, *, replace: bool
) -> bool:
    """Rename the collection with ``uuid`` atomically, if it is still called ``name``; see `drop_collection`.

    With ``replace``, the collection called ``new_name`` is dropped.

    :return: whether it was renamed.
    """
    database = target.environment.db_name
    command = {
        "renameCollection": f"{database}.{name}",
        "to": f"{database}.{new_name}",
        "dropTarget": replace,
        "writeConcern": QUICK,
    }
    admin = target.database.client.admin
    with target.explained():
        return _by_uuid(lambda more: admin.command({**command, **more}), uuid)


def _by_uuid(send: Callable[[Mapping[str, Any]], object], uuid: bytes) -> bool:
    """Send a command about the collection with ``uuid``; return False if it is gone or has another name."""
    try:
        send({"collectionUUID": Binary(uuid, UUID_SUBTYPE)})
    except OperationFailure as error:
        if error.code in (_OTHER_UUID, _NAMESPACE_NOT_FOUND):
            return False
        if error.code not in _UNKNOWN_FIELD:
            raise
        with _suppress_missing():
            send(_BY_NAME)
            return True
        return False
    return True


@contextmanager
def _suppress_missing() -> Iterator[None]:
    """Pass over the error of a collection that is gone."""
    try:
        yield
    except OperationFailure as error:
        if error.code != _NAMESPACE_NOT_FOUND:
            raise
