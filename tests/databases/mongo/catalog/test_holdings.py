"""What a database holds, from a server that is slow, silent or refuses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from monarch.databases import open_database
from monarch.databases.environment import Environment
from monarch.errors import ServerError
from monarch.settings.environments import parse_environment
from tests.support.servers.mongod import Server
from tests.support.servers.proxy import Proxy

pytestmark = pytest.mark.server


@pytest.fixture
def entry(server: Server) -> Iterator[dict[str, Any]]:
    """The settings of a database with three collections, a view, a time series and monarch's lease."""
    made: dict[str, Any] = {"uri": server.uri, "db_name": f"t_{ObjectId()}"}
    with server.client() as client:
        database = client[made["db_name"]]
        for number, name in enumerate(("a", "b", "c.d")):
            database[name].insert_many({} for _ in range(number + 1))
        database["b"].create_index("x")
        database.create_collection("few", viewOn="a", pipeline=[])
        database.create_collection("weather", timeseries={"timeField": "at"})
        database.weather.insert_one({"at": ObjectId().generation_time})
        database.monarch_lease.insert_one({})
        yield made
        client.drop_database(made["db_name"])


def environment(entry: dict[str, Any], **more: Any) -> Environment:
    return parse_environment("dev", {**entry, **more})


def test_all_of_it_is_counted(entry: dict[str, Any]) -> None:
    with open_database(environment(entry), Path()) as database:
        held = database.holdings(60)
    assert (held.number, held.documents, held.buckets, held.uncounted) == (4, 6, 1, ())
    assert [(one.name, one.kind, one.documents) for one in held.collections] == [
        ("a", "collection", 1),
        ("b", "collection", 2),
        ("c.d", "collection", 3),
        ("few", "view", 0),
        ("weather", "timeseries", 1),
    ]
    assert [one.indexes for one in held.collections[:3]] == [1, 2, 1]
    assert held.bytes == sum(one.bytes for one in held.collections) > 0


def test_a_server_that_falls_silent_is_given_up(server: Server, entry: dict[str, Any]) -> None:
    with Proxy(server.port) as proxy:
        through = environment({**entry, "uri": server.uri.replace(str(server.port), str(proxy.port))})
        with open_database(through, Path()) as database:
            proxy.at(2, proxy.stall, then="go on", only="collStats")
            began = time.monotonic()
            held = database.holdings(3)
            assert time.monotonic() - began < 30
            assert [one.name for one in held.collections] == ["a", "few"]
            assert (held.number, held.documents, held.uncounted) == (4, 1, ("b", "c.d", "weather"))
            proxy.resume()
            assert database.holdings(60).uncounted == ()
            proxy.at(1, proxy.stall, then="go on", only="listCollections")
            with pytest.raises(ServerError):
                database.holdings(1)
            proxy.resume()


def test_what_a_user_may_not_count_is_named(server: Server, entry: dict[str, Any]) -> None:
    name = entry["db_name"]
    with server.client() as client:
        rights = [
            {"resource": {"db": name, "collection": ""}, "actions": ["listCollections"]},
            {"resource": {"db": name, "collection": "a"}, "actions": ["find", "collStats"]},
        ]
        client[name].command("createRole", "little", privileges=rights, roles=[])
        client[name].command("createUser", "little", pwd="little", roles=["little"])
        try:
            little = {"host": f"localhost:{server.port}", "db_name": name, "username": "little"}
            with open_database(
                environment({**little, "password": "little", "authSource": name}), Path()
            ) as one:
                held = one.holdings(60)
        finally:
            client[name].command("dropUser", "little")
            client[name].command("dropRole", "little")
    assert [one.name for one in held.collections] == ["a", "few"]
    assert held.uncounted == ("b", "c.d", "weather")
