"""The one-member replica set of an embedded server. Transactions need a replica set."""

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
    """Turn an empty server into a replica set with one user, who has the role ``root``.

    :raises PyMongoError: if that fails.
    """
    with _client(port) as client:
        client.admin.command("replSetInitiate", _configuration(port, 1))
        _await_primary(client)
        client.admin.command("createUser", user, pwd=password, roles=["root"])


def resume(port: int, user: str, password: str) -> None:
    """Wait until a server that was initiated earlier accepts writes. Its port may have changed since.

    :raises PyMongoError: if it does not.
    """
    with _client(port, username=user, password=password) as client:
        _follow(client, port)
        _await_primary(client)


def _follow(client: Client, port: int) -> None:
    """Reconfigure the replica set if its member listens on another port than before."""
    configuration = client.local["system.replset"].find_one() or {}
    current = _configuration(port, int(configuration.get("version", 0)) + 1)
    if configuration.get("members", [{}])[0].get("host") == current["members"][0]["host"]:
        return
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            client.admin.command("replSetReconfig", current, force=True)
            return
        except OperationFailure as error:
            # A server that has just started to listen may not have read its own configuration yet.
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
