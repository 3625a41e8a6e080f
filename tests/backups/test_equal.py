"""A database with everything is backed up and restored by every pair of engines and with each codec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from monarch import Project
from monarch.errors import ServerError
from tests.databases.mongo.engines.test_pairs import PAIRS, Sources, joined, old, scratch
from tests.databases.mongo.engines.test_pairs import sources as sources  # a fixture
from tests.databases.mongo.engines.test_pairs import with_tools as with_tools  # a fixture
from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.mongod import PASSWORD, Server

CODECS = ("zst", "gz")
DAY = datetime(2014, 5, 29, tzinfo=UTC)


@contextmanager
def project(
    path: Path, server: Server, source: Database[Any], target: Database[Any], **more: Any
) -> Iterator[Project]:
    """A project with ``one`` to back up and ``other`` to restore into; both have the keys ``more``."""
    folder = Folder(path)
    tls = {"tlsCAFile": server.ca} if server.ca else {}
    common = {"uri": server.uri, **tls, **more}
    folder.settings(one={**common, "db_name": source.name}, other={**common, "db_name": target.name})
    folder.keep_backups()
    yield Project(path)


@pytest.mark.parametrize(("engines", "codec"), counts.sample(list(product(PAIRS, CODECS)), 4), ids=joined)
def test_everything_is_equal_afterwards(
    tmp_path: Path, with_tools: None, sources: Sources, server: Server, engines: tuple[str, str], codec: str
) -> None:
    source = sources.on(server)
    with scratch(server) as target, project(tmp_path, server, source, target) as two:
        old(target)
        created = two.backup("one", engine=engines[0], codec=codec)
        restored = two.restore(created.name, "other", engine=engines[1])
        assert_equal(describe(source), describe(target))
        assert [(one.name, one.documents) for one in restored.collections] == [
            (held.name, held.documents) for held in created.manifest.collections
        ]


@pytest.mark.parametrize("server_name", counts.sample(["replica_set", "tls_server"], 1))
def test_from_other_servers(
    request: pytest.FixtureRequest, tmp_path: Path, with_tools: None, sources: Sources, server_name: str
) -> None:
    server: Server = request.getfixturevalue(server_name)
    source = sources.on(server)
    with scratch(server) as target, project(tmp_path, server, source, target) as two:
        two.backup("one", engine="tools")
        two.restore("one", "other", engine="native", in_place=True)
        assert_equal(describe(source), describe(target))


@contextmanager
def plain_user(server: Server, *databases: Database[Any]) -> Iterator[dict[str, Any]]:
    """A user who may read and write the databases, but not the buckets of a time series."""
    with server.client() as client:
        roles = [{"role": "readWrite", "db": database.name} for database in databases]
        client.admin.command("createUser", "plain", pwd=PASSWORD, roles=roles)
        yield {"host": server.host, "username": "plain", "password": PASSWORD, "authSource": "admin"}
        client.admin.command("dropUser", "plain")


def test_a_time_series_without_the_role_backup(tmp_path: Path, server: Server) -> None:
    """It is copied as documents."""
    with scratch(server) as source, scratch(server) as target, plain_user(server, source, target) as user:
        fill_series(source)
        folder = Folder(tmp_path)
        folder.settings(one={**user, "db_name": source.name}, other={**user, "db_name": target.name})
        folder.keep_backups()
        two = Project(tmp_path)
        created = two.backup("one", engine="native")
        assert [held.documents for held in created.manifest.collections] == [30]
        two.restore(created.name, "other", engine="native")
        assert_equal(describe(source, buckets=False), describe(target, buckets=False))


def test_buckets_that_the_user_of_the_target_may_not_write(tmp_path: Path, server: Server) -> None:
    with scratch(server) as source, scratch(server) as target, plain_user(server, target) as user:
        fill_series(source)
        target["old"].insert_one({"_id": 1})
        folder = Folder(tmp_path)
        folder.settings(
            one={"uri": server.uri, "db_name": source.name}, other={**user, "db_name": target.name}
        )
        folder.keep_backups()
        two = Project(tmp_path)
        two.backup("one", engine="native")
        with pytest.raises(ServerError, match="in the buckets of a time series") as raised:
            two.restore("one", "other", engine="native")
        assert "the role `restore`" in (raised.value.hint or "")
        names = {name for name in target.list_collection_names() if not name.startswith("system.")}
        assert names == {"old", "monarch_lease"}


def fill_series(database: Database[Any]) -> None:
    database.create_collection("weather", timeseries={"timeField": "at", "metaField": "where"})
    database["weather"].insert_many([{"at": DAY, "where": n % 2, "n": n, "_id": n} for n in range(30)])
