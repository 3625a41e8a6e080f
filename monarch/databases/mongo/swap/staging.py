"""Where a copy is built: collections inside the target database, under names of monarch's own.

``monarch_staging.<run>.<number>``: the number in place of the name, so that no name is too long. A name
tells whose it is, so that the leavings of a run that was cut off are recognised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pymongo.errors import OperationFailure

from monarch.databases.lease import Lease
from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.catalog.read import list_entries, read_indexes
from monarch.databases.mongo.collection_names import STAGING
from monarch.databases.mongo.engines.base import Destination
from monarch.databases.mongo.handle import QUICK, DatabaseHandle
from monarch.databases.mongo.stream.zero_timestamps import TimestampTarget
from monarch.errors import DuplicateKey, MonarchError, ServerError

_BUILDERS = 2
_SMALL = 1000
_LONGEST_NAME = 255
_OTHER_COLLATION = 167
_TELLING = ("unique", "sparse", "hidden", "expireAfterSeconds", "partialFilterExpression")
UNAUTHORIZED, _NAMESPACE_NOT_FOUND = 13, 26


class Staging:
    """The staged collections of one run, which holds ``lease``."""

    def __init__(self, target: DatabaseHandle, lease: Lease, collections: tuple[Collection, ...]) -> None:
        self._target = target
        self._lease = lease
        self._prefix = f"{STAGING}{lease.run}."
        self.collections = collections
        self.aside = f"{self._prefix}aside"
        self.names = {
            collection.name: f"{self._prefix}{number}" for number, collection in enumerate(collections)
        }

    def prepare(self) -> None:
        """Make them all, empty: what this server or this user cannot make is found out here.

        Small ones get their indexes already: to build one later takes a tenth of a second, however few
        the documents are.

        :raises ServerError: naming the collection that cannot be made, and why.
        """
        for collection in self.collections:
            self._lease.check()
            self._refuse_long_name(collection)
            if collection.kind == "view":
                # On what it will be on; not on what has that name in the target today.
                on = str(collection.options["viewOn"])
                options = {**collection.options, "viewOn": self.names.get(on, on)}
                self._try_view(replace(collection, options=options))
                continue
            create(self._target, collection, self.names[collection.name])
            if _is_small(collection):
                create_indexes(self._target, collection, self.names[collection.name])

    def _refuse_long_name(self, collection: Collection) -> None:
        """Before anything is swapped, for in the middle of that there would be no way on."""
        name = collection.name if collection.kind != "timeseries" else BUCKETS + collection.name
        size = len(f"{self._target.environment.db_name}.{name}".encode())
        if size > _LONGEST_NAME:
            raise ServerError(
                f"{collection.name!r} is too long a name for {self._target.name!r}: with that of its "
                f"database it has {size} bytes, and MongoDB takes {_LONGEST_NAME}.",
                "Give the target a database with a shorter name.",
            )

    def _try_view(self, view: Collection) -> None:
        """See that the server takes it, unless that depends on views of the target that will be gone."""
        try:
            create(self._target, view, self.names[view.name])
        except ServerError as error:
            cause = error.__cause__
            if not isinstance(cause, OperationFailure) or cause.code != _OTHER_COLLATION:
                raise

    def places(self) -> dict[str, TimestampTarget]:
        """Where the documents of each collection are updated, by the names that their batches have.

        Those of a time series that are taken as they are, empty timestamps and all, are not among them.
        """
        return {
            collection.data_name: TimestampTarget(
                self.names[collection.name], collection.options.get("timeseries", {}).get("metaField")
            )
            for collection in self.collections
            if collection.kind == "collection" or collection.data_name.startswith(BUCKETS)
        }

    def destinations(self) -> dict[str, Destination]:
        """Where the documents of each collection go, by the names that their batches have."""
        return {
            collection.data_name: Destination(
                self.data_name(collection), ordered=bool(collection.options.get("capped"))
            )
            for collection in self.collections
            if collection.kind != "view"
        }

    def data_name(self, collection: Collection) -> str:
        """Where the documents of ``collection`` lie while it is staged."""
        staged = self.names[collection.name]
        return BUCKETS + staged if collection.data_name.startswith(BUCKETS) else staged

    def may_bypass_validation(self) -> bool:
        """Whether this user may write documents that a validator refuses. Tried, with no document."""
        with self._target.explained():
            try:
                self._target.database.command(
                    "update",
                    f"{self._prefix}none",
                    updates=[{"q": {"_id": 0}, "u": {"$set": {"a": 0}}}],
                    bypassDocumentValidation=True,
                )
            except OperationFailure as error:
                if error.code != UNAUTHORIZED:
                    raise
                return False
        return True

    def build_indexes(self, built: Callable[[Collection, float], None]) -> None:
        """Build all indexes that are not there yet, those of a collection in a single command.

        ``built`` hears of each collection and the seconds it took.
        """
        with ThreadPoolExecutor(_BUILDERS) as pool:
            todo = [one for one in self.collections if secondary(one) and not _is_small(one)]
            try:
                for collection, seconds in zip(todo, pool.map(self._build, todo), strict=True):
                    built(collection, seconds)
            except BaseException:
                # Those that wait must not begin; those that are being built end with their collections.
                pool.shutdown(wait=False, cancel_futures=True)
                with suppress(MonarchError):  # what went wrong first is to be told
                    self.drop()
                raise

    def _build(self, collection: Collection) -> float:
        self._lease.check()
        began = time.monotonic()
        create_indexes(self._target, collection, self.names[collection.name])
        return time.monotonic() - began

    def compare_documents(self, counts: Mapping[str, int]) -> None:
        """Compare the number of documents that are there with that of those that came, by ``counts``.

        To be done before an index lets documents expire.

        :raises ServerError: naming what differs.
        """
        for collection in self.collections:
            if collection.kind != "view":
                self._lease.check()
                self._compare_count(collection, counts.get(collection.data_name, 0))

    def compare_indexes(self) -> None:
        """Compare the indexes that are there with those that are wanted.

        :raises ServerError: naming what differs.
        """
        for collection in self.collections:
            if collection.kind == "view":
                continue
            self._lease.check()
            there = _shapes(read_indexes(self._target, self.names[collection.name]))
            wanted = _shapes(collection.indexes)
            wrong = [name for name in {**there, **wanted} if there.get(name) != wanted.get(name)]
            if wrong:
                raise self._differs(collection, f"other indexes: {', '.join(wrong)[:200]}")

    def uuids(self) -> dict[str, bytes]:
        """The staged collections that the server knows, each with what identifies it under any name."""
        return {
            str(entry["name"]): bytes(entry["info"]["uuid"])
            for entry in list_entries(self._target)
            if str(entry["name"]).startswith(self._prefix) and "uuid" in entry.get("info", {})
        }

    def missing(self, collection: Collection) -> ServerError:
        """Return the error for a staged ``collection`` that is not there any more."""
        return ServerError(
            f"The staged copy of {collection.name!r} in {self._target.name!r} was dropped before the swap.",
            "Find out what drops collections there, then run the command again.",
        )

    def drop(self) -> None:
        """Drop what is left of them."""
        drop_all(self._target, lambda name: name.startswith(self._prefix))

    def _compare_count(self, collection: Collection, came: int) -> None:
        data = self._target.database[self.data_name(collection)]
        with self._target.explained():
            if collection.kind == "timeseries" and collection.as_documents:
                there = data.count_documents({})
            else:
                there = data.estimated_document_count()
            if there != came:  # the quick count may be wrong, say on a cluster
                there = data.count_documents({})
        # Where the collection itself lets documents go, old or too many, some may be gone already.
        goes = {"expireAfterSeconds", "capped"} & set(collection.options)
        if there > came or (there < came and not goes):
            raise self._differs(collection, f"{there:,} documents in place of {came:,}")

    def _differs(self, collection: Collection, what: str) -> ServerError:
        return ServerError(
            f"The copy of {collection.name!r} has {what}. Nothing of {self._target.name!r} was changed.",
            "Does somebody else write there? Try again, or with the other --engine.",
        )


def _is_small(collection: Collection) -> bool:
    """Whether its indexes can be built while it is empty; not those that make documents expire."""
    expires = any("expireAfterSeconds" in index for index in collection.indexes)
    return collection.kind == "collection" and collection.documents <= _SMALL and not expires


def create(target: DatabaseHandle, collection: Collection, name: str) -> None:
    """Make an empty ``collection`` called ``name``, without its indexes but that of ``_id``.

    :raises ServerError: naming it, in the server's words, if this server or this user cannot.
    """
    options = dict(collection.options)
    options.pop("autoIndexId", None)  # old, says what is so anyway, and does not go with idIndex
    id_index = next((dict(index) for index in collection.indexes if index["name"] == "_id_"), None)
    if id_index is not None and collection.kind == "collection" and not options.get("clusteredIndex"):
        options["idIndex"] = id_index
    with target.explained():
        try:
            target.database.command("create", name, **options, writeConcern=QUICK)
        except OperationFailure as error:
            if error.code == UNAUTHORIZED:
                raise
            words = " ".join(str(error).partition(", full error:")[0].split())
            what = f"{collection.kind} {collection.name!r}"
            raise ServerError(
                f"MongoDB of {target.name!r} does not take the {what}: {words}",
                "Is it older than the one it comes from, or set to an older feature version?",
            ) from error


def secondary(collection: Collection) -> list[Mapping[str, Any]]:
    """The indexes of ``collection`` that do not come with it."""
    return [index for index in collection.indexes if index["name"] != "_id_" and not index.get("clustered")]


def create_indexes(target: DatabaseHandle, collection: Collection, name: str) -> None:
    """Build the indexes of ``collection`` on the one called ``name``.

    :raises ServerError: naming it, in the server's words, if that does not go.
    """
    indexes = secondary(collection)
    if not indexes:
        return
    if "collation" in collection.options:
        # Said of none, an index would get that of its collection.
        indexes = [{"collation": {"locale": "simple"}, **index} for index in indexes]
    with target.explained():
        try:
            target.database.command("createIndexes", name, indexes=indexes, writeConcern=QUICK)
        except OperationFailure as error:
            words = " ".join(str(error).partition(", full error:")[0].replace(name, collection.name).split())
            kind = DuplicateKey if "E11000" in words else ServerError
            raise kind(
                f"MongoDB of {target.name!r} cannot build the indexes of {collection.name!r}: {words[:500]}",
                "Fix the documents or the index at their source.",
            ) from error


def drop_all(target: DatabaseHandle, which: Callable[[str], bool]) -> list[str]:
    """Drop every collection whose name ``which`` wants, and return them.

    Of a time series that a dying server has made or dropped in part, its buckets too.
    """
    dropped: list[str] = []
    # A tool whose monarch was killed may still finish an insert, and make its collection anew by it.
    for _ in range(3):
        names = dict.fromkeys(str(entry["name"]).removeprefix(BUCKETS) for entry in list_entries(target))
        found = [name for name in names if which(name)]
        for name in found:
            drop(target, name)
        dropped += found
        if not found:
            break
    return dropped


def drop(target: DatabaseHandle, name: str, **arguments: Any) -> None:
    """Drop a collection, view or time series; that it is not there is fine.

    Where there are only buckets of that name, which a server that died in the middle leaves, they go.
    """
    with target.explained():
        try:
            target.database.command("drop", name, **arguments)
        except OperationFailure as error:
            if error.code != _NAMESPACE_NOT_FOUND:
                raise


def _shapes(indexes: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What of each index must be the same; the rest another version may write in another way."""
    return {
        str(index["name"]): {
            "key": list(index["key"].items()),  # their order counts
            # Some servers write down that an index is not unique, others say nothing.
            **{word: None if index.get(word) is False else index.get(word) for word in _TELLING},
        }
        for index in indexes
        if not index.get("clustered")
    }
