"""The steps of a swap, which are written into the swap log before the first one is applied.

Every step can be applied again, however often a swap is cut off: it looks at the target first, and does only
what is left to do.

A command of a step may arrive late, when another run has the lease. Then it must remove nothing of that run:

- *move*, *set aside* and *drop* name the UUID of the collection, which servers accept from 6.0 on.
- *clear*, *discard*, *series* and *view* drop views and time series, for which no server accepts a UUID. They
  look at what has the name right before, and send no drop if nothing is there or a view is already as it
  should be. The server gives the drop up after a third of the time of a lease.
- That leaves a drop of a view or time series, or any step on a server before 6.0, that is sent while the
  lease is held and that the network delivers after the lease was lost: it drops what then has the name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

import bson
from bson import Binary
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from monarch.databases.mongo.catalog.model import BUCKETS, CODEC, Collection
from monarch.databases.mongo.connection.handle import QUICK, DatabaseHandle, Document
from monarch.databases.mongo.engines.native import refuse_write_errors
from monarch.databases.mongo.stream.batches import Batch, measure_documents, split
from monarch.databases.mongo.stream.zero_timestamps import TimestampTarget, ZeroTimestamps
from monarch.databases.mongo.swap.definitions import (
    create,
    create_indexes,
    drop_by_name,
    drop_collection,
    rename_collection,
)
from monarch.databases.mongo.swap.lookup import (
    find,
    find_kind,
    find_uuid,
    identify,
    remove,
    view_identity,
)
from monarch.databases.mongo.swap_state import BY_NEWER, UnknownStep
from monarch.errors import ServerError


class Unequal(ServerError):
    """A step was applied, and the result is not what was staged. Applying it again may fix that."""


class SwapStep(ABC):
    """One step of a swap; a frozen dataclass, so that the swap log can store it."""

    kind: ClassVar[str]
    # Whether the log marks it as applied, because applying it again would undo later changes.
    once: ClassVar[bool] = False

    @abstractmethod
    def apply(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        """Do what is left of the step, and call ``check`` right before each change.

        :raises ServerError: if the server refuses it.
        """


@dataclass(frozen=True)
class Clear(SwapStep):
    """Drop the view or time series whose name a collection gets: a rename would not replace it."""

    kind = "clear"
    name: str

    def apply(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        check()
        # Buckets that are left would hide the collection that gets the name.
        if find_kind(target, self.name) in ("view", "timeseries"):
            drop_by_name(target, self.name)


@dataclass(frozen=True)
class SetAside(SwapStep):
    """Rename ``name`` away: ``system.js`` can be neither dropped nor replaced, only renamed."""

    kind = "set aside"
    name: str
    uuid: bytes
    aside: str

    def apply(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        if find_uuid(target, self.name) == self.uuid:
            check()
            rename_collection(target, self.name, self.uuid, self.aside, replace=False)


@dataclass(frozen=True)
class Move(SwapStep):
    """Rename the staged collection, and replace the collection that has its name now."""

    kind = "move"
    staged: str
    uuid: bytes
    name: str
    replace: bool

    def apply(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        if find_uuid(target, self.staged) == self.uuid:
            check()
            if rename_collection(target, self.staged, self.uuid, self.name, replace=self.replace):
                return
        if find_uuid(target, self.name) != self.uuid:
            raise ServerError(
                f"The staged copy of {self.name!r} in {target.name!r} was dropped during the swap.",
                f"Copy again, or drop the database: monarch drop_db {target.name}",
            )


@dataclass(frozen=True)
class Drop(SwapStep):
    """Drop a collection that the source does not have, unless it was created anew meanwhile."""

    kind = "drop"
    name: str
    uuid: bytes

    def apply(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        if find_uuid(target, self.name) == self.uuid:
            check()
            drop_collection(target, self.name, self.uuid)


@dataclass(frozen=True)
class Discard(SwapStep):
    """Drop a view or time series of the target. ``was`` is which; anything else of its name stays.

    ``identity`` is that of `identify`; None, in logs of earlier versions, stands for any.
    """

    kind = "discard"
    name: str
    was: str
    identity: bytes | None = None

    def apply(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        check()
        same = self.identity is None or identify(target, self.name) == self.identity
        if same and find_kind(target, self.name) == self.was:
            drop_by_name(target, self.name)


@dataclass(frozen=True)
class Series(SwapStep):
    """Create a time series and fill it from the staged one; after an interruption, from the beginning."""

    kind = "series"
    once = True
    name: str
    staged: str
    options: Mapping[str, Any]
    indexes: tuple[Mapping[str, Any], ...]
    as_documents: bool

    def apply(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        if find(target, self.staged) is None:
            return  # the staging is dropped after all steps have been applied
        check()
        remove(target, self.name)
        series = Collection(
            self.name, "timeseries", self.options, self.indexes, as_documents=self.as_documents
        )
        check()
        create(target, series, self.name)
        prefix = "" if self.as_documents else BUCKETS
        staged, data = prefix + self.staged, prefix + self.name
        timestamps = ZeroTimestamps()
        with target.explained(), target.collection(staged).find_raw_batches({}) as cursor:
            for payload in cursor:
                check()
                batch = Batch(data, cast(bytes, payload), measure_documents(cast(bytes, payload), 0)[1])
                # A time series accepts empty timestamps in documents, but not in buckets.
                insert_raw(target, batch if self.as_documents else timestamps.mask(batch))
        check()
        meta = self.options["timeseries"].get("metaField")
        timestamps.restore(target, {data: TimestampTarget(self.name, meta)}, bypass_validation=False)
        self._compare(target, staged, data)
        check()
        create_indexes(target, series, self.name)

    def _compare(self, target: DatabaseHandle, staged: str, data: str) -> None:
        """Compare the documents: a late insert of a run that was cut off may have been added."""
        with target.explained():
            expected = target.collection(staged).count_documents({})
            found = target.collection(data).count_documents({})
        # If documents expire, some may be gone already.
        if found > expected or (found < expected and "expireAfterSeconds" not in self.options):
            raise Unequal(
                f"{self.name!r} of {target.name!r} has {found:,} documents instead of {expected:,}.",
                f"To try again, run `monarch list_migrations {target.name}`.",
            )


@dataclass(frozen=True)
class View(SwapStep):
    """Create a view, and replace the one that has its name now, unless that is equal."""

    kind = "view"
    name: str
    options: Mapping[str, Any]

    def apply(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        check()
        if identify(target, self.name) == view_identity(self.options):
            return
        remove(target, self.name)
        check()
        create(target, Collection(self.name, "view", self.options, ()), self.name)


KINDS: Mapping[str, type[SwapStep]] = {
    step.kind: step for step in (Clear, SetAside, Move, Drop, Discard, Series, View)
}


def to_document(step: SwapStep) -> Document:
    """Return ``step`` as the swap log stores it.

    Its details are BSON in one value: options of collections hold names and values that not every server
    accepts in a document.
    """
    details = {field.name: getattr(step, field.name) for field in fields(step)}  # type: ignore[arg-type]
    return {"step": step.kind, "details": Binary(bson.encode(details, codec_options=CODEC))}


def from_document(document: Mapping[str, Any]) -> SwapStep:
    """Return the step that the swap log stores as ``document``.

    :raises UnknownStep: if this monarch does not know such a step.
    """
    try:
        details = bson.decode(document["details"], CODEC)
        if "indexes" in details:
            details["indexes"] = tuple(details["indexes"])
        return KINDS[document["step"]](**details)
    except (KeyError, TypeError, BSONError) as error:
        raise UnknownStep(
            f"The swap log has a step that this monarch does not know: {document.get('step')!r}.", BY_NEWER
        ) from error


def insert_raw(target: DatabaseHandle, batch: Batch) -> None:
    """Insert the documents of ``batch`` in their order."""
    documents = [RawBSONDocument(document) for document in split(batch.payload)]
    if documents:
        reply = target.command(
            "insert", batch.collection, documents=documents, ordered=True, writeConcern=QUICK
        )
        refuse_write_errors(target, batch.collection, reply, len(documents))
