"""Read the documents that a query matches as bytes.

If one server sends all replies, they are split here: pymongo's raw batches create an object for every
document, which takes longer than everything else that is done with it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from struct import Struct
from typing import Any, cast

import bson
from bson.codec_options import CodecOptions
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as PyMongoCollection
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from monarch.databases.mongo.catalog.model import CODEC
from monarch.databases.mongo.catalog.query import Find
from monarch.databases.mongo.connection.cluster import is_connected_to_mongos
from monarch.databases.mongo.stream.batches import LENGTH, SHORTEST, measure_documents
from monarch.databases.mongo.stream.snapshot import SNAPSHOT_ENDED, Snapshot
from monarch.errors import ServerError

_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
_LONG = Struct("<q")
# The lengths of the values in the reply's cursor whose types have a fixed length.
_FIXED = {0x08: 1, 0x09: 8, 0x10: 4, 0x11: 8, 0x12: 8, 0x01: 8, 0x0A: 0, 0x07: 12}
_STRING, _DOCUMENT, _ARRAY, _INT64 = 0x02, 0x03, 0x04, 0x12
# In these topologies every command for the primary goes to one server; in others it may go to several.
_ONE_PRIMARY = ("Single", "ReplicaSetWithPrimary")
# Options of find since 4.4, with which servers move data between shards: each reply has the place in the
# scan, and another scan can continue after it.
_WITH_PLACES = {"hint": {"$natural": 1}, "$_requestResumeToken": True}
# The error for a place whose document was deleted, and how often an earlier one is tried.
_KEY_NOT_FOUND, _ATTEMPTS = 211, 5


def read_raw_batches(
    documents: PyMongoCollection[Any],
    find: Find,
    projection: Mapping[str, Any] | None,
    size: int,
    snapshot_ended: Callable[[], None],
) -> Generator[tuple[bytes, int]]:
    """Yield the documents that ``find`` matches, about ``size`` at a time, concatenated, with their number.

    If a whole collection is read from a snapshot that the server drops meanwhile, and `can_read_on`, the
    rest is read without it; ``snapshot_ended`` is called then. Exceptions of pymongo are not translated.
    """
    if can_read_on(documents):
        return _by_commands(documents, find, projection, size, snapshot_ended)
    return _by_cursor(documents, find, projection, size)


def can_read_on(documents: PyMongoCollection[Any]) -> bool:
    """Whether one server sends all replies, so that a scan can continue where it has stopped."""
    client = documents.database.client
    one_server = client.topology_description.topology_type_name in _ONE_PRIMARY
    # mongos knows no place in the scans of its shards.
    one_server = one_server and not is_connected_to_mongos(client)
    return one_server and documents.read_preference == ReadPreference.PRIMARY


def _by_cursor(
    documents: PyMongoCollection[Any], find: Find, projection: Mapping[str, Any] | None, size: int
) -> Generator[tuple[bytes, int]]:
    sort = list(find.sort) or None
    with documents.find_raw_batches(
        find.filter, projection, sort=sort, limit=find.limit, batch_size=size
    ) as cursor:
        for reply in cursor:
            payload = cast(bytes, reply)  # as documented; the annotation says dict
            if payload:
                yield payload, measure_documents(payload, 0)[1]


def _by_commands(
    documents: PyMongoCollection[Any],
    find: Find,
    projection: Mapping[str, Any] | None,
    size: int,
    snapshot_ended: Callable[[], None],
) -> Generator[tuple[bytes, int]]:
    name, snapshot = documents.name, documents.read_concern
    first: dict[str, Any] = {"find": name, **find.in_command(), "batchSize": size}
    if projection is not None:
        first["projection"] = dict(projection)
    with _session(documents) as session:

        def ask(command: dict[str, Any]) -> _Reply:
            return _Reply.of(documents.database.command(command, codec_options=_RAW, session=session))

        if isinstance(snapshot, Snapshot):
            if find.is_all and not find.sort:
                first |= _WITH_PLACES
            reply = ask({**first, "readConcern": snapshot.document})
        else:
            reply = ask(first)
        try:
            while True:
                payload, count = unwrap(reply.batch)
                if count:
                    yield payload, count
                if not reply.cursor:
                    return
                more = {"getMore": Int64(reply.cursor), "collection": name, "batchSize": size}
                try:
                    reply = ask(more)
                except OperationFailure as error:
                    if error.code not in SNAPSHOT_ENDED or reply.place is None:
                        raise
                    snapshot_ended()
                    reply = _ask_after(reply.place, documents, first, ask)
        except GeneratorExit:
            if reply.cursor:
                with suppress(PyMongoError):  # the server closes it later by itself
                    documents.database.command(
                        "killCursors", name, cursors=[Int64(reply.cursor)], session=session
                    )
            raise


def _ask_after(
    place: bytes,
    documents: PyMongoCollection[Any],
    first: dict[str, Any],
    ask: Callable[[dict[str, Any]], _Reply],
) -> _Reply:
    """Begin another scan after ``place``, which may be that of a document that was deleted since."""
    after: bytes | None = place
    for _ in range(_ATTEMPTS):
        try:
            return ask({**first, "$_resumeAfter": RawBSONDocument(after)} if after else first)
        except OperationFailure as error:
            if error.code != _KEY_NOT_FOUND:
                raise
            after = _find_place_before(place, documents)
    raise ServerError(
        f"{documents.name!r} cannot be read on: its documents are deleted too fast.",
        "Nothing was changed. Try again when fewer are deleted.",
    )


def _find_place_before(place: bytes, documents: PyMongoCollection[Any]) -> bytes | None:
    """Return the place of the last document before ``place``; None if there is none. Reads ids only."""
    token = bson.decode(place)
    before = None
    current = documents.with_options(CODEC, read_concern=ReadConcern())
    with current.find({}, {"_id": 1}, hint=[("$natural", 1)], show_record_id=True) as cursor:
        for found in cursor:
            if found["$recordId"] > token["$recordId"]:
                break
            before = found["$recordId"]
    return None if before is None else bson.encode({**token, "$recordId": before})


@contextmanager
def _session(documents: PyMongoCollection[Any]) -> Iterator[ClientSession | None]:
    """Open a session, because a cursor belongs to the session that opened it; None if unsupported."""
    client = documents.database.client
    if client.topology_description.logical_session_timeout_minutes is None:
        yield None
        return
    with client.start_session(causal_consistency=False) as session:
        yield session


@dataclass(frozen=True)
class _Reply:
    """The ``batch`` of a reply, a BSON array, and the id of the ``cursor`` for more; 0 after the last.

    ``place`` is the place in a scan after the batch, a BSON document, if `_WITH_PLACES` has asked for it.
    """

    batch: bytes
    cursor: int
    place: bytes | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> _Reply:
        """Parse ``answer``.

        :raises ServerError: if it has no batch or no cursor. A missing batch is not an empty one.
        """
        data = bytes(answer["cursor"].raw)
        batch, cursor, place, start = b"", None, None, LENGTH.size
        while kind := data[start]:
            end = data.index(0, start)
            name, start = data[start + 1 : end], end + 1
            if kind in _FIXED:
                length = _FIXED[kind]
            else:
                (length,) = LENGTH.unpack_from(data, start)
                length += LENGTH.size if kind == _STRING else 0
            if kind == _ARRAY and name in (b"firstBatch", b"nextBatch"):
                batch = data[start : start + length]
            elif kind == _INT64 and name == b"id":
                (cursor,) = _LONG.unpack_from(data, start)
            elif kind == _DOCUMENT and name == b"postBatchResumeToken":
                place = data[start : start + length]
            start += length
        if not batch or cursor is None:
            raise _not_a_list()
        return cls(batch, cursor, place)


def _not_a_list() -> ServerError:
    return ServerError("The server's reply is not a list of documents.", "Check that it is a MongoDB server.")


def unwrap(array: bytes) -> tuple[bytes, int]:
    """Return the documents in a BSON array, concatenated, and their number.

    In the array, each document is preceded by its index as text.

    :raises ServerError: if it is not an array of documents.
    """
    unpack = LENGTH.unpack_from
    documents: list[bytes] = []
    append = documents.append
    start, last = LENGTH.size, len(array) - 1
    count, digits, more_digits = 0, 1, 10
    while start < last:
        begin = start + 2 + digits
        (length,) = unpack(array, begin) if begin + SHORTEST <= last else (0,)
        end = begin + length
        if array[start] != _DOCUMENT or length < SHORTEST or end > last or array[end - 1]:
            raise _not_a_list()
        append(array[begin:end])
        start = end
        count += 1
        if count == more_digits:
            digits += 1
            more_digits *= 10
    return b"".join(documents), count
