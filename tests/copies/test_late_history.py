"""What is not read from one snapshot is refused if a migration ran meanwhile, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.native import NativeEngine
from monarch.databases.mongo.sources.base import unwatched
from monarch.databases.mongo.sources.server import MongoServerSource
from monarch.errors import ServerError
from tests.databases.mongo.subset.test_resolve import endpoint
from tests.support.servers.mongod import Server

HISTORY = "mongo_migration_history"
KEY = "_201405290000_one_migration"


@pytest.fixture
def source(server: Server) -> Iterator[DatabaseHandle]:
    """A database on a standalone server, which has no snapshots."""
    with endpoint(server) as made:
        made.database["people"].insert_many({"_id": n, "v": 1} for n in range(10))
        made.database[HISTORY].insert_one({"_id": 1, "key": KEY, "state": "Completed"})
        yield made


def read(source: DatabaseHandle, meanwhile: Callable[[Any], object]) -> None:
    """Read all of ``source``; ``meanwhile`` acts when the first piece has been read."""
    reading = MongoServerSource(source, NativeEngine())
    with reading.pieces(unwatched) as pieces:
        for number, _ in enumerate(pieces):
            if number == 0:
                meanwhile(source.database)
    reading.check()


def run_another(database: Any) -> None:
    database["people"].update_many({}, {"$set": {"v": 2}})
    database[HISTORY].insert_one({"key": KEY.replace("0000", "0001"), "state": "Completed"})


@pytest.mark.parametrize(
    "meanwhile",
    [
        run_another,
        lambda database: database[HISTORY].update_one({}, {"$set": {"state": "Processing"}}),
        lambda database: database[HISTORY].delete_many({}),
    ],
)
def test_a_migration_that_runs_meanwhile_is_noticed(
    source: DatabaseHandle, meanwhile: Callable[[Any], object]
) -> None:
    with pytest.raises(ServerError, match="A migration ran on 'production' while it was read") as error:
        read(source, meanwhile)
    assert error.value.hint == "Nothing was changed. Try again when no migration runs there."


def test_a_first_migration_is_noticed_too(source: DatabaseHandle) -> None:
    source.database[HISTORY].drop()
    with pytest.raises(ServerError, match="A migration ran"):
        read(source, run_another)


def test_other_writes_are_not_refused(source: DatabaseHandle) -> None:
    read(source, lambda database: database["people"].insert_one({"_id": 99}))


def test_one_snapshot_has_its_own_history(replica_set: Server) -> None:
    with endpoint(replica_set) as source:
        source.database["people"].insert_many({"_id": n, "v": 1} for n in range(10))
        read(source, run_another)
