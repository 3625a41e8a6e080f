"""Empty timestamps, which a server replaces by the current time when they are inserted.

MongoDB does that for every top-level field except ``_id`` with the value ``Timestamp(0, 0)`` (its manual,
"Timestamps"). A copy must keep them empty. So they are sent as another value, which no document holds by
chance, and are restored by updates, in which servers do not replace them.
"""

from __future__ import annotations

import re
import secrets
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bson.timestamp import Timestamp

from monarch.databases.mongo.connection.handle import QUICK, DatabaseHandle
from monarch.databases.mongo.stream.batches import Batch, split
from monarch.errors import ServerError

_TYPE = 0x11
_EMPTY = bytes(8)
# The type, the name with its end, an empty timestamp: a match may be one. Which byte before the zeros is the
# type is not known here; the last one that looks like it is enough.
_NINE_ZEROS = bytes(9)
_LIKE_ONE = re.compile(rb"\x11[^\0\x11]*+\0{9}")
# The sizes of values by BSON's type numbers (bsonspec.org); "s" a string, "d" a document, "b" a binary.
_FIXED = {0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
_FIXED |= {0xFF: 0, 0x7F: 0}
_STRINGS, _DOCUMENTS = (0x02, 0x0D, 0x0E), (0x03, 0x04, 0x0F)
_BINARY, _REGEX, _POINTER = 0x05, 0x0B, 0x0C


@dataclass(frozen=True)
class TimestampTarget:
    """The collection in which documents are updated.

    For a time series this is its own name, not that of its buckets; ``meta`` is the name of its meta field.
    """

    collection: str
    meta: str | None = None


class ZeroTimestamps:
    """The empty timestamps of one transfer."""

    def __init__(self) -> None:
        # Eight random bytes: a time and a counter that no document has.
        self._mask = secrets.token_bytes(8)
        self._fields: dict[str, set[str]] = {}

    def mask(self, batch: Batch) -> Batch:
        """Return ``batch`` with every empty top-level timestamp replaced.

        :raises ServerError: for a document in which it could not be restored.
        """
        if not _may_have_one(batch.payload):
            return batch
        documents = [self._mask_in(batch.collection, document) for document in split(batch.payload)]
        return Batch(batch.collection, b"".join(documents), batch.count)

    def restore(
        self, target: DatabaseHandle, places: Mapping[str, TimestampTarget], *, bypass_validation: bool
    ) -> None:
        """Restore them in ``places``, by the names that batches have.

        :raises ServerError: if the server refuses an update.
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
                "Fix that document at its source. To write documents that a validator refuses, the user also "
                "needs the role dbAdmin.",
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
                    "and a field name twice or one that is not text; no server accepts both as they are.",
                    "Fix that document at its source.",
                )
            changed[start : start + 8] = self._mask
            self._fields.setdefault(collection, set()).add(name.decode())
        return bytes(changed)

    def _update(self, field: str) -> dict[str, Any]:
        inc, seconds = struct.unpack("<II", self._mask)
        mask, empty = Timestamp(seconds, inc), Timestamp(0, 0)
        if not _is_odd(field.encode()):
            return {"q": {field: mask}, "u": {"$set": {field: empty}}}
        # The operators of an update would take these names for paths or operators.
        name = {"$literal": field}
        value = {"$getField": {"field": name, "input": "$$ROOT"}}
        changed = {"$setField": {"field": name, "input": "$$ROOT", "value": {"$literal": empty}}}
        return {"q": {"$expr": {"$eq": [value, {"$literal": mask}]}}, "u": [{"$replaceWith": changed}]}


def elements(document: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield the top-level elements of a document: type, name, and the offset of the value."""
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
    """Whether the bytes contain what may be an empty timestamp."""
    return _NINE_ZEROS in payload and _LIKE_ONE.search(payload) is not None


def _is_text(name: bytes) -> bool:
    return name.decode(errors="replace").encode() == name


def _is_odd(name: bytes) -> bool:
    return not name or b"." in name or name.startswith(b"$")
