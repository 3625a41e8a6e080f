"""The replica set of one member that an embedded server is, as it needs to be for transactions."""

from __future__ import annotations

import time
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

NAME = "monarch"
READY_SECONDS = 60.0
_NOT_YET_INITIALIZED = 94

Client = MongoClient[dict[str, Any]]


def initiate(port: int, user: str, password: str) -> None:
    """Make a server without data a replica set with one user, who may do everything.

    :raises PyMongoError: if it does not become one.
    """
    with _client(port) as client:
        client.admin.command("replSetInitiate", _configuration(port, 1))
        _await_primary(client)
        client.admin.command("createUser", user, pwd=password, roles=["root"])


def resume(port: int, user: str, password: str) -> None:
    """Wait until a server that was initiated before takes writes, perhaps on another port.

    :raises PyMongoError: if it does not.
    """
    with _client(port, username=user, password=password) as client:
        _follow(client, port)
        _await_primary(client)


def _follow(client: Client, port: int) -> None:
    """Tell the replica set when its member has moved to another port."""
    configuration = client.local["system.replset"].find_one() or {}
    wanted = _configuration(port, int(configuration.get("version", 0)) + 1)
    if configuration.get("members", [{}])[0].get("host") == wanted["members"][0]["host"]:
        return
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            client.admin.command("replSetReconfig", wanted, force=True)
            return
        except OperationFailure as error:
            # A server that has just begun to listen has not read its own configuration yet.
            if error.code != _NOT_YET_INITIALIZED or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _await_primary(client: Client) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not client.admin.command("hello").get("isWritablePrimary"):
        if time.monotonic() > deadline:
            raise PyMongoError("it did not become primary")
        time.sleep(0.01)


def _configuration(port: int, version: int) -> dict[str, Any]:
    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
    return {"_id": NAME, "version": version, "members": members}


def _client(port: int, **credentials: Any) -> Client:
    return MongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=20_000, **credentials
    )
