"""What a swap does, step by step, each as it is written down before the first one is taken.

Every step can be taken again without harm, from the first one on, however often a swap is cut off: it
looks at what is there, and does what is left of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

import bson
from bson import Binary
from bson.raw_bson import RawBSONDocument

from monarch.databases.mongo.catalog import BUCKETS, CODEC, Collection
from monarch.databases.mongo.endpoint import QUICK, Document, Endpoint
from monarch.databases.mongo.engines.native import refuse_write_errors
from monarch.databases.mongo.pieces import split
from monarch.databases.mongo.staging import create, create_indexes, drop
from monarch.errors import ServerError


class Step(ABC):
    """One step; a frozen dataclass, so that it can be written down."""

    kind: ClassVar[str]
    # Whether it is written down when it has been taken, since taking it again would undo what came after.
    once: ClassVar[bool] = False

    @abstractmethod
    def take(self, target: Endpoint) -> None:
        """Do what is left to do of it.

        :raises ServerError: if that does not go.
        """


@dataclass(frozen=True)
class Clear(Step):
    """Drop the view or time series whose name a collection is to get: a rename would not replace it."""

    kind = "clear"
    name: str

    def take(self, target: Endpoint) -> None:
        entry = find(target, self.name)
        # Without an entry there may be buckets, of a time series that a dying server has dropped in part;
        # the collection that gets its name would be hidden by them.
        if entry is None or entry.get("type") in ("view", "timeseries"):
            drop(target, self.name)


@dataclass(frozen=True)
class SetAside(Step):
    """Rename ``name`` away: ``system.js`` can be neither dropped nor replaced, only renamed."""

    kind = "set aside"
    name: str
    uuid: bytes
    aside: str

    def take(self, target: Endpoint) -> None:
        if _uuid(target, self.name) == self.uuid:
            rename(target, self.name, self.aside, replace=False)


@dataclass(frozen=True)
class Move(Step):
    """Give the staged collection its name, in place of what has it now."""

    kind = "move"
    staged: str
    uuid: bytes
    name: str
    replace: bool

    def take(self, target: Endpoint) -> None:
        if _uuid(target, self.staged) == self.uuid:
            rename(target, self.staged, self.name, replace=self.replace)
        elif _uuid(target, self.name) != self.uuid:
            raise ServerError(
                f"The copy of {self.name!r} in {target.name!r} has gone before it got its name.",
                f"Somebody has dropped it: `monarch drop_db {target.name}`, then copy again.",
            )


@dataclass(frozen=True)
class Drop(Step):
    """Drop a collection that the source does not have; not one of that name that came meanwhile."""

    kind = "drop"
    name: str
    uuid: bytes

    def take(self, target: Endpoint) -> None:
        if _uuid(target, self.name) == self.uuid:
            drop(target, self.name)


@dataclass(frozen=True)
class Discard(Step):
    """Drop a view or time series that the source does not have."""

    kind = "discard"
    name: str

    def take(self, target: Endpoint) -> None:
        drop(target, self.name)


@dataclass(frozen=True)
class Series(Step):
    """Make a time series anew and fill it from the staged one; once begun, from the beginning."""

    kind = "series"
    once = True
    name: str
    staged: str
    options: Mapping[str, Any]
    indexes: tuple[Mapping[str, Any], ...]
    as_documents: bool

    def take(self, target: Endpoint) -> None:
        if find(target, self.staged) is None:
            return  # dropped by what comes after all steps, so they have all been taken
        drop(target, self.name)
        series = Collection(
            self.name, "timeseries", self.options, self.indexes, as_documents=self.as_documents
        )
        create(target, series, self.name)
        prefix = "" if self.as_documents else BUCKETS
        with target.explained(), target.database[prefix + self.staged].find_raw_batches({}) as cursor:
            for payload in cursor:
                insert_raw(target, prefix + self.name, cast(bytes, payload))
        create_indexes(target, series, self.name)


@dataclass(frozen=True)
class View(Step):
    """Make a view, in place of the one that has its name now."""

    kind = "view"
    name: str
    options: Mapping[str, Any]

    def take(self, target: Endpoint) -> None:
        drop(target, self.name)
        create(target, Collection(self.name, "view", self.options, ()), self.name)


KINDS: Mapping[str, type[Step]] = {
    step.kind: step for step in (Clear, SetAside, Move, Drop, Discard, Series, View)
}


def to_document(step: Step) -> Document:
    """``step`` as it is written down: what it has to remember as BSON, since options of collections hold
    names and values that not every server takes in a document."""
    remembered = {field.name: getattr(step, field.name) for field in fields(step)}  # type: ignore[arg-type]
    return {"step": step.kind, "details": Binary(bson.encode(remembered, codec_options=CODEC))}


def from_document(document: Mapping[str, Any]) -> Step:
    """The step that was written down as ``document``."""
    remembered = bson.decode(document["details"], CODEC)
    if "indexes" in remembered:
        remembered["indexes"] = tuple(remembered["indexes"])
    return KINDS[document["step"]](**remembered)


def find(target: Endpoint, name: str) -> Document | None:
    """What listCollections says of ``name``."""
    with target.explained():
        return next((dict(entry) for entry in target.database.list_collections(filter={"name": name})), None)


def rename(target: Endpoint, name: str, new_name: str, *, replace: bool) -> None:
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


def insert_raw(target: Endpoint, name: str, payload: bytes) -> None:
    """Insert the documents of ``payload`` in their order."""
    documents = [RawBSONDocument(document) for document in split(payload)]
    if documents:
        reply = target.command("insert", name, documents=documents, ordered=True, writeConcern=QUICK)
        refuse_write_errors(target, name, reply, len(documents))


def _uuid(target: Endpoint, name: str) -> bytes | None:
    entry = find(target, name)
    uuid = entry.get("info", {}).get("uuid") if entry is not None else None
    return bytes(uuid) if uuid is not None else None
