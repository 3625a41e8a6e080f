"""A project with two environments, for the commands that move data between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.database import Database

from tests.support.runs.shell import CommandResult, Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.mongod import Server

DOCUMENTS = 200


@dataclass
class TwoEnvironments:
    """Two environments with a database each: ``production`` holds the data, ``dev`` holds old data."""

    folder: Folder
    server: Server
    source: Database[dict[str, Any]]
    target: Database[dict[str, Any]]

    def copy(self, *arguments: str, **more: Any) -> CommandResult:
        return self.folder.monarch("copy_db", "production:dev", *arguments, **more)

    def reset_target(self) -> None:
        """Reset the target to its contents before any copy."""
        self.target.client.drop_database(self.target.name)
        self.target.users.insert_one({"_id": "old"})
        self.target.old.insert_one({})

    def assert_copied(self) -> None:
        assert_equal(describe(self.source), describe(self.target))

    def assert_unchanged(self) -> None:
        """Check that the target is unchanged, except for a free lease."""
        names = set(self.target.list_collection_names())
        # The server keeps system.views after the last view is dropped.
        assert names - {"monarch_lease", "system.views"} == {"old", "users"}
        assert self.target.users.find_one() == {"_id": "old"}
        lease = self.target.monarch_lease.find_one()
        assert lease is None or "holder" not in lease


def fill(database: Database[dict[str, Any]]) -> None:
    database.users.insert_many({"_id": n, "name": f"user {n}"} for n in range(DOCUMENTS))
    database.users.create_index("name", unique=True)
    database.create_collection("young", viewOn="users", pipeline=[{"$match": {"_id": {"$lt": 10}}}])
    database.mongo_migration_history.insert_one(
        {"key": "_201405290000_one_migration", "state": "Completed", "processed_at": datetime(2014, 5, 29)}
    )


def entry(server: Server, name: str, **more: Any) -> dict[str, Any]:
    return {"uri": server.uri, "db_name": name, **more}


def credentials(server: Server) -> dict[str, Any]:
    return {"username": server.user, "password": server.password, "authSource": "admin"}


def assert_error(result: CommandResult, code: int, message: str, hint: str) -> None:
    assert result.code == code, result.output
    error, hint_line = result.err.splitlines()
    assert re.search(message, error), error
    assert hint in hint_line, hint_line
