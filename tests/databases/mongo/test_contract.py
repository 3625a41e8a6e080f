from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from monarch.databases import open_database
from monarch.databases.base import Database, MigrationClient
from monarch.databases.environment import Environment
from monarch.databases.transfer import TransferDatabase, as_transfer_database
from monarch.settings.environments import parse_environment
from tests.databases.contract import DatabaseContract
from tests.databases.transfer_contract import TransformContract
from tests.support.servers.mongod import Server


@pytest.fixture
def environment(server: Server) -> Iterator[Environment]:
    entry: dict[str, Any] = {"uri": server.uri, "db_name": f"t_{ObjectId()}"}
    yield parse_environment("dev", entry)
    with server.client() as client:
        client.drop_database(entry["db_name"])


class TestMongoDatabase(DatabaseContract):
    def write_three(self, work: MigrationClient) -> None:
        database: Any = work.handles["database"]
        database.written.insert_one({"_id": 1})
        database.written.insert_many([{"_id": "two"}, {"_id": 3.5}])

    @pytest.fixture
    def database(self, environment: Environment) -> Iterator[Database]:
        with open_database(environment, Path()) as opened:
            yield opened

    @pytest.fixture
    def other(self, environment: Environment) -> Iterator[Database]:
        with open_database(environment, Path()) as opened:
            yield opened


class TestMongoTransfers(TransformContract):
    @pytest.fixture(params=["native", "tools"])
    def engine_name(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        """The engine that "auto" is: the tools, if they are on the PATH."""
        name: str = request.param
        if name == "tools":
            monkeypatch.setenv("PATH", str(request.getfixturevalue("tools")), prepend=":")
        return name

    @pytest.fixture
    def source(self, environment: Environment, engine_name: str) -> Iterator[TransferDatabase]:
        with open_database(environment, Path()) as opened:
            database = as_transfer_database(opened)
            assert database.choose_engine("auto").name == engine_name
            yield database

    @pytest.fixture
    def target(self, server: Server) -> Iterator[TransferDatabase]:
        name = f"t_{ObjectId()}"
        with open_database(
            parse_environment("other", {"uri": server.uri, "db_name": name}), Path()
        ) as opened:
            yield as_transfer_database(opened)
        with server.client() as client:
            client.drop_database(name)

    def fill(self, database: TransferDatabase, word: str) -> None:
        collection: Any = database.handles()["database"]
        collection[word].insert_many([{"word": word, "n": n} for n in range(100)])

    def words(self, database: TransferDatabase) -> set[str]:
        opened: Any = database.handles()["database"]
        names = [
            name
            for name in opened.list_collection_names()
            if not name.startswith(("monarch_", "mongo_migration_"))
        ]
        return {document["word"] for name in names for document in opened[name].find()}
