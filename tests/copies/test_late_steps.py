"""A delayed step of a swap that arrives while another run holds the lease removes nothing of that run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from monarch import Project
from monarch.errors import MonarchError
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

# Long enough for the second run, which copies a few documents, even on a busy machine.
LATE_MS = 20_000


@pytest.mark.server
def test_a_delayed_drop_does_not_remove_a_new_collection_of_the_same_name(tmp_path: Path) -> None:
    with (
        run_mongod("--setParameter", "enableTestCommands=1") as (port, _),
        MongoClient[dict[str, Any]]("localhost", port) as client,
    ):
        client.source.users.insert_one({})
        client.target.z.insert_one({})
        folder = Folder(tmp_path)
        uri = f"mongodb://localhost:{port}"
        folder.settings(**{name: {"uri": uri, "db_name": name} for name in ("source", "target")})
        project, ended = Project(tmp_path), []
        late = {"failCommands": ["drop"], "namespace": "target.z", "blockConnection": True}
        point = {"configureFailPoint": "failCommand", "mode": {"times": 1}}
        client.admin.command({**point, "data": {**late, "blockTimeMS": LATE_MS}})

        def copy() -> None:
            try:
                project.copy("source", "target", engine="native")
            except MonarchError as error:
                ended.append(error)

        first = threading.Thread(target=copy)
        first.start()
        # The copy also drops the collections of its rehearsal.
        while not any(_drops_z(one) for one in client.admin.aggregate([{"$currentOp": {}}])):
            pass
        holder = Project(tmp_path).holder("target")
        assert holder is not None
        Project(tmp_path).unlock("target", holder)
        Project(tmp_path).copy("source", "target", engine="native")
        client.target.z.drop()
        client.target.z.insert_many({"_id": n} for n in range(100))
        assert first.is_alive()
        first.join()
        assert client.target.z.count_documents({}) == 100
        assert client.target.users.count_documents({}) == 1


def _drops_z(operation: dict[str, Any]) -> bool:
    return bool(operation.get("command", {}).get("drop") == "z")
