"""Fixtures for commands that need two environments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs.clusters import Sharded
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, entry, fill
from tests.support.servers.mongod import Server
from tests.support.servers.mongos import run_cluster


@pytest.fixture
def two(tmp_path: Path, server: Server) -> Iterator[TwoEnvironments]:
    folder = Folder(tmp_path, server)
    with server.client() as client:
        made = TwoEnvironments(folder, server, client[f"{folder.db_name}_a"], client[f"{folder.db_name}_b"])
        folder.settings(production=entry(server, made.source.name), dev=entry(server, made.target.name))
        fill(made.source)
        made.reset_target()
        yield made
        for database in (made.source, made.target):
            client.drop_database(database.name)


@pytest.fixture
def sharded(tmp_path: Path, replica_set: Server) -> Iterator[Sharded]:
    folder = Folder(tmp_path, replica_set)
    with replica_set.client() as client, run_cluster(replica_set) as mongos:
        made = Sharded(
            folder, replica_set, client[f"{folder.db_name}_a"], client[f"{folder.db_name}_b"], mongos
        )
        fill(made.source)
        made.reset_target()
        yield made
        for database in (made.source, made.target):
            client.drop_database(database.name)
