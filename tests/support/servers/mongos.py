"""A proxy in front of a mongod that looks to clients like the mongos of a sharded cluster.

There is one shard, the mongod. Its config database is that of the cluster, and tests write entries into it.
The proxy refuses what a mongos refuses; its replies follow MongoDB's manual and source.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import bson
from bson import Int64, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient

from tests.support.servers.mongod import Server
from tests.support.servers.proxy import _HEADER, Proxy, _Link

Document = dict[str, Any]
# The id of the cluster, which each mongos reports.
CLUSTER = ObjectId("5a5a5a5a5a5a5a5a5a5a5a5a")
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_HELLO = frozenset({"hello", "isMaster", "ismaster"})
# The fields that a member of a replica set reports about itself.
_OF_MEMBERS = frozenset(
    (
        *(
            "setName",
            "setVersion",
            "hosts",
            "passives",
            "arbiters",
            "primary",
            "me",
            "electionId",
            "lastWrite",
        ),
        *("secondary", "tags", "topologyVersion"),
    )
)
# Commands of mongod that mongos does not have, in lower case.
_UNKNOWN = frozenset(("dbhash", "replsetgetstatus", "replsetgetconfig", "applyops", "oplog"))
_ANY: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_FLAGS = struct.Struct("<I")
_REPLY = struct.Struct("<iqii")


class Mongos(Proxy):
    """A mongos on a free port; see the module.

    ``refusals`` reply to a command in place of the server, and ``changes`` replace the server's reply. They
    are called with the command, and return None to leave it alone. ``asked`` has all commands, in order. With
    ``is_balancer``, each connection leads to a different process.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server.port)
        self._process = ObjectId()
        self.is_balancer = False
        self._server_with_users = server
        self.asked: list[Document] = []
        self.refusals: list[Callable[[Document], Document | None]] = [_refuse_what_mongod_has]
        self.changes: list[Callable[[Document, Document], Document | None]] = []
        self._sent: dict[tuple[int, int], Document] = {}

    @property
    def uri(self) -> str:
        """The URI for an environment: nothing in it names a mongos, so monarch has to detect it."""
        userinfo, separator, _ = self._server_with_users.uri.rpartition("@")
        options = "?authSource=admin" if separator else ""
        return f"{userinfo or 'mongodb:/'}{separator or '/'}localhost:{self.port}/{options}"

    def _asked(self, link: _Link, message: memoryview) -> bool:
        command = _body(message)
        if command is None:
            return super()._asked(link, message)
        request = _HEADER.unpack_from(message)[1]
        self.asked.append(command)
        for refuse in self.refusals:
            reply = refuse(command)
            if reply is not None:
                link.ends[0].sendall(_message(request, reply))
                return False
        self._sent[id(link), request] = command
        return super()._asked(link, message)

    def _rewrite(self, link: _Link, message: memoryview) -> memoryview:
        request = _HEADER.unpack_from(message)[2]
        command = self._sent.pop((id(link), request), None)
        if command is None:
            return message
        name = next(iter(command))
        if name in _HELLO:
            return _with_body(message, lambda reply: self._hello(command, reply))
        for change in self.changes:
            reply = _body(message)
            changed = None if reply is None else change(command, reply)
            if changed is not None:
                message = memoryview(_message(request, changed))
        return message

    def _hello(self, command: Document, reply: Document) -> Document:
        reply = {name: value for name, value in reply.items() if name not in _OF_MEMBERS}
        reply |= {"ismaster": True, "isWritablePrimary": True, "msg": "isdbgrid"}
        # Not for a driver's monitor, which would ask the mongod to report changes of a different process.
        if "lsid" in command:
            process = ObjectId() if self.is_balancer else self._process
            reply["topologyVersion"] = {"processId": process, "counter": Int64(0)}
        return reply


@contextmanager
def run_cluster(server: Server, *, cluster: ObjectId | None = CLUSTER) -> Iterator[Mongos]:
    """Run a mongos for ``server``, whose config database has the id of the ``cluster`` meanwhile."""
    with server.client() as client, Mongos(server) as mongos:
        config = client["config"]
        if cluster is not None:
            config["version"].replace_one({"_id": 1}, {"_id": 1, "clusterId": cluster}, upsert=True)
        try:
            yield mongos
        finally:
            config["version"].delete_many({})
            config["collections"].delete_many({})


def shard(client: MongoClient[Document], database: str, name: str, **more: Any) -> None:
    """Add an entry for a sharded collection, with the fields ``more``, to the config database."""
    entry = {"_id": f"{database}.{name}", "key": {"user": 1}, "unique": False, **more}
    client["config"]["collections"].insert_one(entry)


def refuse(name: str, code: int, words: str) -> Callable[[Document], Document | None]:
    """Return a refusal of the commands called ``name``."""

    def reply(command: Document) -> Document | None:
        return {"ok": 0.0, "code": code, "errmsg": words} if next(iter(command)) == name else None

    return reply


def _refuse_what_mongod_has(command: Document) -> Document | None:
    name = next(iter(command))
    if name.lower() in _UNKNOWN:
        return {"ok": 0.0, "code": 59, "codeName": "CommandNotFound", "errmsg": f"no such command: {name!r}"}
    if name == "find" and {"$_requestResumeToken", "$_resumeAfter"} & command.keys():
        return {"ok": 0.0, "code": 72, "codeName": "InvalidOptions", "errmsg": "not supported on mongos"}
    if command.get("$db") == "local":
        return {"ok": 0.0, "code": 20, "codeName": "IllegalOperation", "errmsg": "no local database"}
    return None


def _body(message: memoryview) -> Document | None:
    """Return the command or reply in ``message``; None if there is none."""
    kind = _HEADER.unpack_from(message)[3]
    if kind == _OP_QUERY:
        offset = bytes(message).index(0, _HEADER.size + 4) + 1 + 8
    elif kind == _OP_REPLY:
        offset = _HEADER.size + _REPLY.size
    elif kind == _OP_MSG and message[_HEADER.size + 4] == 0:
        offset = _HEADER.size + 5
    else:
        return None
    (size,) = struct.unpack_from("<i", message, offset)
    return bson.decode(bytes(message[offset : offset + size]), _ANY)


def _with_body(message: memoryview, change: Callable[[Document], Mapping[str, Any]]) -> memoryview:
    """Return ``message`` with another body, of the same kind."""
    body = _body(message)
    assert body is not None
    _, number, request, kind = _HEADER.unpack_from(message)
    if kind == _OP_MSG:
        return memoryview(_message(request, change(body), number))
    content = _REPLY.pack(8, 0, 0, 1) + bson.encode(change(body))
    return memoryview(_HEADER.pack(_HEADER.size + len(content), number, request, _OP_REPLY) + content)


def _message(request: int, reply: Mapping[str, Any], number: int = 1) -> bytes:
    content = _FLAGS.pack(0) + b"\0" + bson.encode(reply)
    return _HEADER.pack(_HEADER.size + len(content), number, request, _OP_MSG) + content
