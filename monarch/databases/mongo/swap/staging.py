"""The staging of a copy: collections inside the target database, under names of monarch's own.

They are called ``monarch_staging.<run>.<number>``. A number instead of the collection's name keeps the name
short; by the run, later runs recognize whose staging it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from pymongo.errors import OperationFailure

from monarch.databases.lease import Lease
from monarch.databases.mongo.catalog.index_shapes import index_shapes
from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.catalog.read import list_entries, read_indexes
from monarch.databases.mongo.collection_names import STAGING
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.base import Destination
from monarch.databases.mongo.stream.zero_timestamps import TimestampTarget
from monarch.databases.mongo.swap.definitions import (
    UNAUTHORIZED,
    create,
    create_indexes,
    drop_all,
    secondary,
)
from monarch.errors import MonarchError, ServerError

_BUILDERS = 2
_SMALL = 1000
_LONGEST_NAME = 255
_OTHER_COLLATION = 167


class Staging:
    """The staged collections of one run, which holds ``lease``."""

    def __init__(self, target: DatabaseHandle, lease: Lease, collections: tuple[Collection, ...]) -> None:
        self._target = target
        self._lease = lease
        self._prefix = f"{STAGING}{lease.run}."
        self.collections = collections
        self.aside = f"{self._prefix}aside"
        # Those that could not be built with the options of an old server, as they were built.
        self.adapted: dict[str, Collection] = {}
        self.names = {
            collection.name: f"{self._prefix}{number}" for number, collection in enumerate(collections)
        }

    def prepare(self) -> None:
        """Create all staged collections, empty, to find out what this server or this user cannot create.

        Small ones get their indexes now: building an index later takes a tenth of a second even for few
        documents. Those of large ones are built and dropped again: a server that refuses one, such as
        geoHaystack since 5.0, must not do so only when hours of copying are over.

        :raises ServerError: if one cannot be created; it names the collection and the reason.
        """
        for collection in self.collections:
            self._lease.check()
            self._require_short_name(collection)
            if collection.kind == "view":
                # On the staged collection, not on the one that has this name in the target now.
                on = str(collection.options["viewOn"])
                options = {**collection.options, "viewOn": self.names.get(on, on)}
                self._require_valid_view(replace(collection, options=options))
                continue
            create(self._target, collection, self.names[collection.name])
            if _is_small(collection):
                self._create_indexes(collection)
            elif collection.kind == "collection" and secondary(collection):
                self._create_indexes(collection)
                self._target.command("dropIndexes", self.names[collection.name], index="*")

    def _require_short_name(self, collection: Collection) -> None:
        """Check the length of the name before the swap, which could not be finished with a longer one.

        :raises ServerError: if the name is too long.
        """
        name = collection.new_name if collection.kind != "timeseries" else BUCKETS + collection.new_name
        size = len(f"{self._target.environment.db_name}.{name}".encode())
        if size > _LONGEST_NAME:
            raise ServerError(
                f"{collection.new_name!r} is too long a name for {self._target.name!r}: with the name of its "
                f"database it has {size} bytes, and MongoDB allows {_LONGEST_NAME}.",
                "Give the target a database with a shorter name.",
            )

    def _require_valid_view(self, view: Collection) -> None:
        """Create a staged view, to see whether the server accepts it.

        A collation that differs from that of a view in the target is no error: that view will be replaced.
        """
        try:
            create(self._target, view, self.names[view.name])
        except ServerError as error:
            cause = error.__cause__
            if not isinstance(cause, OperationFailure) or cause.code != _OTHER_COLLATION:
                raise

    def timestamp_targets(self) -> dict[str, TimestampTarget]:
        """Return where empty timestamps are restored, by the collection names of the batches.

        Time series that are copied as documents are left out: they accept empty timestamps.
        """
        return {
            collection.data_name: TimestampTarget(
                self.names[collection.name], collection.options.get("timeseries", {}).get("metaField")
            )
            for collection in self.collections
            if collection.kind == "collection" or collection.data_name.startswith(BUCKETS)
        }

    def destinations(self) -> dict[str, Destination]:
        """Return where the documents of each collection go, by the collection names of the batches."""
        return {
            collection.data_name: Destination(
                self.data_name(collection), ordered=bool(collection.options.get("capped"))
            )
            for collection in self.collections
            if collection.kind != "view"
        }

    def data_name(self, collection: Collection) -> str:
        """Return the collection that holds the documents of ``collection`` while it is staged."""
        staged = self.names[collection.name]
        return BUCKETS + staged if collection.data_name.startswith(BUCKETS) else staged

    def may_bypass_validation(self) -> bool:
        """Whether this user may write documents that a validator refuses. Tries it without a document."""
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
        """Build the indexes that `prepare` has not built, with one command for each collection.

        ``built`` is called with each collection and the seconds that it took.
        """
        with ThreadPoolExecutor(_BUILDERS) as pool:
            todo = [one for one in self.collections if secondary(one) and not _is_small(one)]
            try:
                for collection, seconds in zip(todo, pool.map(self._build, todo), strict=True):
                    built(collection, seconds)
            except BaseException:
                # Waiting builds must not begin; dropping their collections ends those that run.
                pool.shutdown(wait=False, cancel_futures=True)
                with suppress(MonarchError):  # the first error is reported
                    self.drop()
                raise

    def _build(self, collection: Collection) -> float:
        self._lease.check()
        began = time.monotonic()
        self._create_indexes(collection)
        return time.monotonic() - began

    def _create_indexes(self, collection: Collection) -> None:
        built = create_indexes(self._target, collection, self.names[collection.name])
        if built != collection:
            self.adapted[collection.name] = built

    def compare_documents(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Compare the number of staged documents with ``counts``, those that were read.

        Must run before an index lets documents expire.

        :return: how many documents capped collections have dropped, by name: masked ones may be longer.
        :raises ServerError: if they differ; it names the collection.
        """
        dropped = {}
        for collection in self.collections:
            if collection.kind != "view":
                self._lease.check()
                missing = self._compare_count(collection, counts.get(collection.data_name, 0))
                if missing and "capped" in collection.options:
                    dropped[collection.name] = missing
        return dropped

    def compare_indexes(self) -> None:
        """Compare the staged indexes with those of the source.

        :raises ServerError: if they differ; it names the collection and its indexes.
        """
        for collection in self.collections:
            if collection.kind == "view":
                continue
            self._lease.check()
            found = index_shapes(read_indexes(self._target, self.names[collection.name]))
            expected = index_shapes(self.adapted.get(collection.name, collection).indexes)
            wrong = [name for name in {**found, **expected} if found.get(name) != expected.get(name)]
            if wrong:
                raise self._differs(collection, f"other indexes: {', '.join(wrong)[:200]}")

    def uuids(self) -> dict[str, bytes]:
        """Return the UUIDs of the staged collections, by name; a UUID stays the same under any name."""
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
        """Drop the staged collections that are left."""
        drop_all(self._target, lambda name: name.startswith(self._prefix))

    def _compare_count(self, collection: Collection, came: int) -> int:
        data = self._target.database[self.data_name(collection)]
        with self._target.explained():
            if collection.kind == "timeseries" and collection.as_documents:
                found = data.count_documents({})
            else:
                found = data.estimated_document_count()
            if found != came:  # the quick count may be wrong, for example on a cluster
                found = data.count_documents({})
        # A capped collection and one whose documents expire may have dropped some already.
        may_shrink = {"expireAfterSeconds", "capped"} & set(collection.options)
        if found > came or (found < came and not may_shrink):
            raise self._differs(collection, f"{found:,} documents instead of {came:,}")
        return came - found

    def _differs(self, collection: Collection, what: str) -> ServerError:
        return ServerError(
            f"The copy of {collection.name!r} has {what}. Nothing of {self._target.name!r} was changed.",
            "Make sure that nothing else writes to the target. Then try again, or use another --engine.",
        )


def _is_small(collection: Collection) -> bool:
    """Whether its indexes can be built while it is empty; not those that make documents expire."""
    expires = any("expireAfterSeconds" in index for index in collection.indexes)
    return collection.kind == "collection" and collection.documents <= _SMALL and not expires
