"""Options that an application sets for short requests do not interrupt longer operations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.databases.mongo.engines.test_pairs import scratch
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import PASSWORD, USER, Server
from tests.support.servers.proxy import Proxy

SHORT = {"socketTimeoutMS": 300, "timeoutMS": 300, "maxPoolSize": 1, "waitQueueTimeoutMS": 1}


@pytest.fixture
def source(server: Server) -> Iterator[Database[Any]]:
    with scratch(server) as database:
        database["people"].insert_many({"_id": n, "name": f"n{n}"} for n in range(2_000))
        database["people"].create_index("name")
        yield database


@pytest.fixture
def target(server: Server) -> Iterator[Database[Any]]:
    with scratch(server) as database:
        database["old"].insert_one({"_id": 1})
        yield database


def project(path: Path, server: Server, options: dict[str, Any], **databases: Database[Any]) -> Folder:
    folder = Folder(path)
    folder.settings(
        **{
            name: {"uri": server.uri, "db_name": database.name, **options}
            for name, database in databases.items()
        }
    )
    return folder


def names(database: Database[Any]) -> list[str]:
    own = ("monarch_lease", "mongo_migration_journal")
    return sorted(name for name in database.list_collection_names() if name not in own)


def test_an_index_that_takes_longer_than_the_socket_timeout(
    tmp_path: Path, server: Server, source: Database[Any], target: Database[Any]
) -> None:
    with Proxy(server.port) as proxy:
        proxy.at(1, lambda: time.sleep(1), moment="after", then="go on", only="createIndexes")
        folder = Folder(tmp_path)
        to = {"uri": f"{proxy.uri}&authSource=admin", "username": USER, "password": PASSWORD}
        from_ = {"uri": server.uri, "db_name": source.name}
        folder.settings(a=from_, b={**to, "db_name": target.name, **SHORT})
        result = folder.monarch("copy_db", "a:b", "--yes", "--engine", "native")
    assert "createIndexes" in proxy.names
    assert result.code == 0, result.err
    assert names(target) == ["people"]
    assert target["people"].count_documents({}) == 2_000
    assert "name_1" in target["people"].index_information()


@pytest.mark.parametrize("options", [{"w": 2}, {"w": "nowhere"}, {"w": 1, "journal": True}])
def test_a_write_concern_of_an_application(
    tmp_path: Path,
    server: Server,
    source: Database[Any],
    target: Database[Any],
    options: dict[str, Any],
) -> None:
    folder = project(tmp_path, server, options, a=source, b=target)
    result = folder.monarch("copy_db", "a:b", "--yes")
    assert result.code == 0, result.err
    assert names(target) == ["people"]
    result = folder.monarch("drop_db", "b", "--yes")
    assert result.code == 0, result.err
    assert names(target) == []
