"""What a swap does, step by step, each as it is written down before the first one is taken.

Every step can be taken again without harm, from the first one on, however often a swap is cut off: it
looks at what is there, and does what is left of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

import bson
from bson import Binary
from bson.raw_bson import RawBSONDocument

from monarch.databases.mongo.catalog.model import BUCKETS, CODEC, Collection
from monarch.databases.mongo.catalog.read import list_entries
from monarch.databases.mongo.engines.native import refuse_write_errors
from monarch.databases.mongo.handle import QUICK, DatabaseHandle, Document
from monarch.databases.mongo.stream.batches import Batch, measure_documents, split
from monarch.databases.mongo.stream.zero_timestamps import TimestampTarget, ZeroTimestamps
from monarch.databases.mongo.swap.staging import create, create_indexes, drop
from monarch.errors import ServerError


class Unequal(ServerError):
    """A step has been taken, and what is there is not what was staged; taken again, it may be."""


class SwapStep(ABC):
    """One step; a frozen dataclass, so that it can be written down."""

    kind: ClassVar[str]
    # Whether it is written down when it has been taken, since taking it again would undo what came after.
    once: ClassVar[bool] = False

    @abstractmethod
    def take(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        """Do what is left to do of it, with a ``check`` right before each thing that is done.

        :raises ServerError: if that does not go.
        """


@dataclass(frozen=True)
class Clear(SwapStep):
    """Drop the view or time series whose name a collection is to get: a rename would not replace it."""

    kind = "clear"
    name: str

    def take(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        entry = find(target, self.name)
        # Without an entry there may be buckets, of a time series that a dying server has dropped in part;
        # the collection that gets its name would be hidden by them.
        if entry is None or entry.get("type") in ("view", "timeseries"):
            check()
            drop(target, self.name)


@dataclass(frozen=True)
class SetAside(SwapStep):
    """Rename ``name`` away: ``system.js`` can be neither dropped nor replaced, only renamed."""

    kind = "set aside"
    name: str
    uuid: bytes
    aside: str

    def take(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        if _uuid(target, self.name) == self.uuid:
            check()
            rename(target, self.name, self.aside, replace=False)


@dataclass(frozen=True)
class Move(SwapStep):
    """Give the staged collection its name, in place of what has it now."""

    kind = "move"
    staged: str
    uuid: bytes
    name: str
    replace: bool

    def take(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        if _uuid(target, self.staged) == self.uuid:
            check()
            rename(target, self.staged, self.name, replace=self.replace)
        elif _uuid(target, self.name) != self.uuid:
            raise ServerError(
                f"The copy of {self.name!r} in {target.name!r} has gone before it got its name.",
                f"Somebody has dropped it: `monarch drop_db {target.name}`, then copy again.",
            )


@dataclass(frozen=True)
class Drop(SwapStep):
    """Drop a collection that the source does not have; not one of that name that came meanwhile."""

    kind = "drop"
    name: str
    uuid: bytes

    def take(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        if _uuid(target, self.name) == self.uuid:
            check()
            drop(target, self.name)


@dataclass(frozen=True)
class Discard(SwapStep):
    """Drop a view or time series of the target's, whichever ``was`` says; not another of its name."""

    kind = "discard"
    name: str
    was: str

    def take(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        entry = find(target, self.name)
        # None too: of a time series there may be nothing left but its buckets.
        if entry is None or entry.get("type") == self.was:
            check()
            drop(target, self.name)


@dataclass(frozen=True)
class Series(SwapStep):
    """Make a time series anew and fill it from the staged one; once begun, from the beginning."""

    kind = "series"
    once = True
    name: str
    staged: str
    options: Mapping[str, Any]
    indexes: tuple[Mapping[str, Any], ...]
    as_documents: bool

    def take(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        if find(target, self.staged) is None:
            return  # dropped by what comes after all steps, so they have all been taken
        check()
        drop(target, self.name)
        series = Collection(
            self.name, "timeseries", self.options, self.indexes, as_documents=self.as_documents
        )
        check()
        create(target, series, self.name)
        prefix = "" if self.as_documents else BUCKETS
        staged, data = prefix + self.staged, prefix + self.name
        timestamps = ZeroTimestamps()
        with target.explained(), target.database[staged].find_raw_batches({}) as cursor:
            for payload in cursor:
                check()
                batch = Batch(data, cast(bytes, payload), measure_documents(cast(bytes, payload), 0)[1])
                # People's documents are taken by a time series as they are, its buckets are not.
                insert_raw(target, batch if self.as_documents else timestamps.mask(batch))
        check()
        meta = self.options["timeseries"].get("metaField")
        timestamps.restore(target, {data: TimestampTarget(self.name, meta)}, bypass_validation=False)
        self._compare(target, staged, data)
        check()
        create_indexes(target, series, self.name)

    def _compare(self, target: DatabaseHandle, staged: str, data: str) -> None:
        """An insert of a run that was cut off may have come late, and into this one."""
        with target.explained():
            wanted = target.database[staged].count_documents({})
            there = target.database[data].count_documents({})
        # Where the series itself lets documents expire, some may be gone already.
        if there > wanted or (there < wanted and "expireAfterSeconds" not in self.options):
            raise Unequal(
                f"{self.name!r} of {target.name!r} has {there:,} documents in place of {wanted:,}.",
                f"`monarch list_migrations {target.name}` tries once more.",
            )


@dataclass(frozen=True)
class View(SwapStep):
    """Make a view, in place of the one that has its name now."""

    kind = "view"
    name: str
    options: Mapping[str, Any]

    def take(self, target: DatabaseHandle, check: Callable[[], None]) -> None:
        check()
        drop(target, self.name)
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
    remembered = {field.name: getattr(step, field.name) for field in fields(step)}  # type: ignore[arg-type]
    return {"step": step.kind, "details": Binary(bson.encode(remembered, codec_options=CODEC))}


def from_document(document: Mapping[str, Any]) -> SwapStep:
    """The step that was written down as ``document``."""
    remembered = bson.decode(document["details"], CODEC)
    if "indexes" in remembered:
        remembered["indexes"] = tuple(remembered["indexes"])
    return KINDS[document["step"]](**remembered)


def find(target: DatabaseHandle, name: str) -> Document | None:
    """What listCollections says of ``name``."""
    return next(iter(list_entries(target, name)), None)


def rename(target: DatabaseHandle, name: str, new_name: str, *, replace: bool) -> None:
    """Rename a collection, in one moment; with ``replace`` what had ``new_name`` is dropped in the same."""
    database = target.environment.db_name
    with target.explained():
        target.database.client.admin.command(
            "renameCollection",
            f"{database}.{name}",
            to=f"{database}.{new_name}",
            dropTarget=replace,
            writeConcern=QUICK,
        )


def insert_raw(target: DatabaseHandle, batch: Batch) -> None:
    """Insert the documents of ``batch`` in their order."""
    documents = [RawBSONDocument(document) for document in split(batch.payload)]
    if documents:
        reply = target.command(
            "insert", batch.collection, documents=documents, ordered=True, writeConcern=QUICK
        )
        refuse_write_errors(target, batch.collection, reply, len(documents))


def _uuid(target: DatabaseHandle, name: str) -> bytes | None:
    entry = find(target, name)
    uuid = entry.get("info", {}).get("uuid") if entry is not None else None
    return bytes(uuid) if uuid is not None else None
