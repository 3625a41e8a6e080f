"""A fixture of those commands that need two environments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, entry, fill
from tests.support.servers.mongod import Server


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
