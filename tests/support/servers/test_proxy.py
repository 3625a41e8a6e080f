"""The proxy: what it counts, and that it fails exactly at the chosen command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError

from tests.support.servers.mongod import Server
from tests.support.servers.proxy import HANDSHAKE, Command, Moment, Proxy, Then

LARGE = "x" * 1_000_000


@pytest.fixture
def direct(server: Server) -> Iterator[Collection[dict[str, Any]]]:
    """A separate collection, with a direct connection to the server."""
    with server.client() as client:
        name = f"t_{ObjectId()}"
        yield client[name]["things"]
        client.drop_database(name)


@pytest.fixture
def proxy(server: Server, direct: Collection[dict[str, Any]]) -> Iterator[Proxy]:
    with Proxy(server.port) as running:
        yield running


@pytest.fixture
def things(
    proxy: Proxy, server: Server, direct: Collection[dict[str, Any]]
) -> Iterator[Collection[dict[str, Any]]]:
    """The same collection, through the proxy, with a client that does not retry."""
    with MongoClient[dict[str, Any]](
        proxy.uri,
        username=server.user,
        password=server.password,
        retryReads=False,
        retryWrites=False,
        socketTimeoutMS=1000,
        serverSelectionTimeoutMS=1000,
    ) as client:
        yield client[direct.database.name][direct.name]


def ids(collection: Collection[dict[str, Any]]) -> list[int]:
    return sorted(collection.distinct("_id"))


def test_commands_are_counted_in_order(proxy: Proxy, things: Collection[dict[str, Any]]) -> None:
    things.insert_many([{"_id": number} for number in range(5)])
    assert len(list(things.find(batch_size=2))) == 5
    things.update_one({"_id": 1}, {"$set": {"text": LARGE}})
    name = things.database.name
    assert proxy.commands[0] == Command("insert", name, "things")
    assert proxy.commands[2:4] == [Command("getMore", name, None)] * 2
    assert proxy.names == ["insert", "find", "getMore", "getMore", "update"]


def test_more_can_be_ignored(server: Server) -> None:
    with (
        Proxy(server.port, ignored=HANDSHAKE | {"buildinfo"}) as proxy,
        MongoClient[dict[str, Any]](proxy.uri, username=server.user, password=server.password) as client,
    ):
        client.server_info()
        client.list_database_names()
        assert proxy.names == ["listDatabases"]


@pytest.mark.parametrize(("moment", "stored"), [("before", [1]), ("after", [1, 2])])
@pytest.mark.parametrize("then", ["drop", "go on", "refuse"])
def test_it_acts_at_the_right_moment(
    proxy: Proxy,
    things: Collection[dict[str, Any]],
    direct: Collection[dict[str, Any]],
    moment: Moment,
    stored: list[int],
    then: Then,
) -> None:
    seen: list[list[int]] = []
    proxy.at(2, lambda: seen.append(ids(direct)), moment=moment, then=then)
    things.insert_one({"_id": 1})
    if then == "go on":
        things.insert_one({"_id": 2})
    else:
        with pytest.raises(AutoReconnect):
            things.insert_one({"_id": 2})
    assert seen == [stored]
    assert ids(direct) == ([1, 2] if then == "go on" else stored)
    if then == "refuse":
        with pytest.raises(AutoReconnect):
            things.insert_one({"_id": 3})
    else:
        things.insert_one({"_id": 3})
    assert len(seen) == 1


def test_only_commands_of_a_name_count(proxy: Proxy, things: Collection[dict[str, Any]]) -> None:
    proxy.at(2, only="insert")
    for number in (1, 2):
        assert things.find_one({"_id": number}) is None
        if number == 1:
            things.insert_one({"_id": number})
    with pytest.raises(AutoReconnect):
        things.insert_one({"_id": 2})


@pytest.mark.parametrize(("moment", "stored"), [("before", 2), ("after", 3)])
def test_a_process_is_killed_at_the_chosen_command(
    proxy: Proxy, server: Server, direct: Collection[dict[str, Any]], moment: Moment, stored: int
) -> None:
    code = (
        "import sys; from pymongo import MongoClient\n"
        "uri, user, password, database = sys.argv[1:]\n"
        "things = MongoClient(uri, username=user, password=password)[database].things\n"
        "for number in range(100): things.insert_one({'_id': number})"
    )
    arguments = (proxy.uri, str(server.user), str(server.password), direct.database.name)
    process: subprocess.Popen[bytes]

    def kill() -> None:
        process.kill()
        process.wait()

    proxy.at(3, kill, moment=moment)
    process = subprocess.Popen([sys.executable, "-c", code, *arguments])
    assert process.wait(30) == -9
    assert ids(direct) == list(range(stored))
    assert proxy.names == ["insert"] * 3


def send_command(proxy: Proxy) -> None:
    with MongoClient[dict[str, Any]](proxy.uri, retryReads=False) as client, suppress(AutoReconnect):
        client.server_info()


def test_the_proxy_raises_the_error_of_the_action(server: Server) -> None:
    def fail() -> None:
        raise LookupError("here")

    proxy = Proxy(server.port)
    proxy.at(1, fail)
    with pytest.raises(LookupError, match="here"), proxy:
        send_command(proxy)


def test_an_answer_is_cut(
    proxy: Proxy, things: Collection[dict[str, Any]], direct: Collection[dict[str, Any]]
) -> None:
    direct.insert_one({"_id": 1, "text": LARGE})
    assert things.find_one() is not None
    proxy.cut(len(LARGE) // 2)
    with pytest.raises(AutoReconnect):
        things.find_one()
    assert things.find_one() is not None


def test_a_request_is_cut(
    proxy: Proxy, things: Collection[dict[str, Any]], direct: Collection[dict[str, Any]]
) -> None:
    things.insert_one({"_id": 1})
    proxy.cut(len(LARGE) // 2, "server")
    with pytest.raises(AutoReconnect):
        things.insert_one({"_id": 2, "text": LARGE})
    assert ids(direct) == [1]
    assert ids(things) == [1]


def test_it_stalls_and_resumes(proxy: Proxy, things: Collection[dict[str, Any]]) -> None:
    things.insert_one({"_id": 1})
    proxy.stall()
    with pytest.raises(NetworkTimeout):
        things.insert_one({"_id": 2})
    proxy.resume()
    things.insert_one({"_id": 3})


def test_it_refuses_and_accepts(proxy: Proxy, things: Collection[dict[str, Any]]) -> None:
    things.insert_one({"_id": 1})
    proxy.refuse()
    with pytest.raises((AutoReconnect, ServerSelectionTimeoutError)):
        things.insert_one({"_id": 2})
    proxy.accept()
    things.insert_one({"_id": 3})
    assert ids(things) == [1, 3]


def test_without_a_server_it_drops_connections() -> None:
    with Proxy(1) as proxy, MongoClient[dict[str, Any]](proxy.uri, serverSelectionTimeoutMS=300) as client:
        with pytest.raises(ServerSelectionTimeoutError):
            client.server_info()
        assert proxy.commands == []
