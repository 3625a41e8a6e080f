"""Empty timestamps, which a server fills in with the time of day when they are inserted.

MongoDB does so with every field of a document's top level, other than ``_id``, whose value is
``Timestamp(0, 0)`` (its manual, "Timestamps"). A copy must not. So they travel as another value, which no
document holds by chance, and are put back by updates, which servers leave alone.
"""

from __future__ import annotations

import re
import secrets
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bson.timestamp import Timestamp

from monarch.databases.mongo.handle import QUICK, DatabaseHandle
from monarch.databases.mongo.stream.batches import Batch, split
from monarch.errors import ServerError

_TYPE = 0x11
_EMPTY = bytes(8)
# The type, the name and its end, an empty timestamp: where they occur there may be one. Which of the bytes
# before the zeros is the type cannot be told from here; the last that looks like it will do.
_NINE_ZEROS = bytes(9)
_LIKE_ONE = re.compile(rb"\x11[^\0\x11]*+\0{9}")
# The sizes of values by BSON's type numbers (bsonspec.org); "s" a string, "d" a document, "b" a binary.
_FIXED = {0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
_FIXED |= {0xFF: 0, 0x7F: 0}
_STRINGS, _DOCUMENTS = (0x02, 0x0D, 0x0E), (0x03, 0x04, 0x0F)
_BINARY, _REGEX, _POINTER = 0x05, 0x0B, 0x0C


@dataclass(frozen=True)
class TimestampTarget:
    """Where the documents of one collection have been written, and are updated.

    Of a time series that is its own name, not that of its buckets; ``meta`` is then how its documents call
    what is ``meta`` in a bucket.
    """

    collection: str
    meta: str | None = None


class ZeroTimestamps:
    """Those of one copy, by collection."""

    def __init__(self) -> None:
        # Eight random bytes: a time and a count that nobody has.
        self._mask = secrets.token_bytes(8)
        self._fields: dict[str, set[str]] = {}

    def mask(self, batch: Batch) -> Batch:
        """``batch``, with every empty timestamp of a top level replaced.

        :raises ServerError: for a document in which it could not be put back.
        """
        if not _may_have_one(batch.payload):
            return batch
        documents = [self._mask_in(batch.collection, document) for document in split(batch.payload)]
        return Batch(batch.collection, b"".join(documents), batch.count)

    def restore(
        self, target: DatabaseHandle, places: Mapping[str, TimestampTarget], *, bypass_validation: bool
    ) -> None:
        """Put them back in ``places``, which are called by the names that batches have.

        :raises ServerError: if the server refuses that of a document.
        """
        for collection, fields in self._fields.items():
            for field in sorted(fields):
                self._restore(target, collection, field, places[collection], bypass_validation)

    def _restore(
        self,
        target: DatabaseHandle,
        collection: str,
        field: str,
        place: TimestampTarget,
        bypass_validation: bool,
    ) -> None:
        update = self._update(field if place.meta is None else place.meta)
        reply = target.command(
            "update",
            place.collection,
            updates=[{**update, "multi": True}],
            bypassDocumentValidation=bypass_validation,
            writeConcern=QUICK,
        )
        with target.explained():
            left = target.database[place.collection].find_one(update["q"], {"_id": 1})
        if reply.get("writeErrors") or left is not None:
            problems = reply.get("writeErrors") or [{}]
            words = " ".join(str(problems[0].get("errmsg", "it is still another value")).split())
            raise ServerError(
                f"MongoDB of {target.name!r} refused the empty timestamp {field!r} of a document of "
                f"{collection!r}: {words[:500]}",
                "Mend that document at its source. To write what a validator refuses, the user needs the "
                "role dbAdmin too.",
            )

    def _mask_in(self, collection: str, document: bytes) -> bytes:
        names = []
        found = []
        for kind, name, start in elements(document):
            names.append(name)
            if kind == _TYPE and name != b"_id" and document[start : start + 8] == _EMPTY:
                found.append((name, start))
        if not found:
            return document
        changed = bytearray(document)
        for name, start in found:
            if (
                names.count(name) > 1
                or (_is_odd(name) and len(set(names)) < len(names))
                or not _is_text(name)
            ):
                raise ServerError(
                    f"A document of {collection!r} has an empty timestamp {name.decode(errors='replace')!r} "
                    "and a field name twice or one that is no text; no server takes both as they are.",
                    "Mend that document at its source.",
                )
            changed[start : start + 8] = self._mask
            self._fields.setdefault(collection, set()).add(name.decode())
        return bytes(changed)

    def _update(self, field: str) -> dict[str, Any]:
        inc, seconds = struct.unpack("<II", self._mask)
        mask, empty = Timestamp(seconds, inc), Timestamp(0, 0)
        if not _is_odd(field.encode()):
            return {"q": {field: mask}, "u": {"$set": {field: empty}}}
        # Names that the operators of an update would take for paths or operators.
        name = {"$literal": field}
        value = {"$getField": {"field": name, "input": "$$ROOT"}}
        changed = {"$setField": {"field": name, "input": "$$ROOT", "value": {"$literal": empty}}}
        return {"q": {"$expr": {"$eq": [value, {"$literal": mask}]}}, "u": [{"$replaceWith": changed}]}


def elements(document: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The elements of a document's top level: type, name, and where the value begins."""
    position, end = 4, len(document) - 1
    while position < end:
        kind = document[position]
        stop = document.index(b"\0", position + 1)
        yield kind, document[position + 1 : stop], stop + 1
        position = stop + 1 + _size(kind, document, stop + 1)


def _size(kind: int, document: bytes, start: int) -> int:
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == _REGEX:
        return document.index(b"\0", document.index(b"\0", start) + 1) + 1 - start
    (length,) = struct.unpack_from("<i", document, start)
    if kind in _DOCUMENTS:
        return int(length)
    if kind in _STRINGS:
        return int(length) + 4
    if kind == _BINARY:
        return int(length) + 5
    if kind == _POINTER:
        return int(length) + 16
    raise ValueError(f"no BSON type {kind}")


def _may_have_one(payload: bytes) -> bool:
    """Whether a timestamp's type stands right before what may be its name and its value."""
    return _NINE_ZEROS in payload and _LIKE_ONE.search(payload) is not None


def _is_text(name: bytes) -> bool:
    return name.decode(errors="replace").encode() == name


def _is_odd(name: bytes) -> bool:
    return not name or b"." in name or name.startswith(b"$")
