"""A database for benchmarks: a server, its contents, and a project with its environments."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, MongoClient
from pymongo.database import Database

from monarch.databases.mongo.embedded.program import find_mongod
from tests.support.servers.tools import NAMES, find_tools, why_none

Document = dict[str, Any]
Client = MongoClient[Document]


@dataclass(frozen=True)
class Filling:
    """A collection of the source: ``number`` documents as ``make`` makes them, and its indexes."""

    number: int
    make: Callable[[random.Random, int], Document]
    indexes: Sequence[IndexModel]


def words(chance: random.Random, number: int) -> str:
    return " ".join(chance.choices(VOCABULARY, k=number))


def person(chance: random.Random, number: int) -> Document:
    name = words(chance, 2)
    return {
        "name": name.title(),
        "email": f"{name.replace(' ', '.')}{number}@example.com",
        "age": chance.randrange(18, 90),
        "city": chance.choice(CITIES),
        "joined": MOMENT + timedelta(seconds=chance.randrange(10**8)),
        "tags": chance.sample(CITIES, 2),
    }


def order(chance: random.Random, number: int) -> Document:
    return {
        "person": chance.randrange(620_000),
        "product": chance.randrange(20_000),
        "price": round(chance.uniform(1, 500), 2),
        "pieces": chance.randrange(1, 9),
        "at": MOMENT + timedelta(seconds=chance.randrange(10**8)),
        "note": words(chance, 4),
    }


def visit(chance: random.Random, number: int) -> Document:
    return {
        "at": MOMENT + timedelta(seconds=number),
        "path": "/" + words(chance, 3).replace(" ", "/"),
        "from": f"{chance.getrandbits(64):016x}",
        "ms": chance.random() * 1000,
        "status": chance.choice((200, 200, 200, 304, 404)),
    }


def article(chance: random.Random, number: int) -> Document:
    """Some 40 KB, and every hundredth some 2 MB."""
    long = 50 if number % 100 == 99 else 1
    return {"title": words(chance, 5), "text": words(chance, long * chance.randrange(4_000, 6_000))}


def _vocabulary() -> list[str]:
    chance = random.Random(1)
    return ["".join(chance.choices(ascii_lowercase, k=chance.randrange(3, 11))) for _ in range(5_000)]


VOCABULARY = _vocabulary()
CITIES = VOCABULARY[:300]
MOMENT = datetime(2014, 5, 29)
FILLINGS = {
    "people": Filling(
        620_000,
        person,
        [
            IndexModel("email", unique=True),
            IndexModel([("city", ASCENDING), ("age", ASCENDING)]),
            IndexModel("joined"),
        ],
    ),
    "orders": Filling(
        720_000, order, [IndexModel("person"), IndexModel([("product", ASCENDING), ("at", DESCENDING)])]
    ),
    "visits": Filling(610_000, visit, [IndexModel("at")]),
    "articles": Filling(700, article, [IndexModel("title")]),
}


def fill(database: Database[Document], share: int = 1) -> None:
    """Fill ``database`` with a ``share``-th of all documents, always the same but for their ids."""
    for name, filling in FILLINGS.items():
        chance = random.Random(name)
        number = filling.number // share
        step = 10_000 if number > 10_000 else 50
        for first in range(0, number, step):
            documents = [filling.make(chance, count) for count in range(first, min(first + step, number))]
            database[name].insert_many(documents, ordered=False)
        database[name].create_indexes(filling.indexes)


@contextmanager
def run_server(folder: Path) -> Iterator[Client]:
    """A replica set of one member, with its data in ``folder``, as a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir()
    command = [str(find_mongod()), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
    command += [
        "--replSet",
        "benchmark",
        "--oplogSize",
        "1000",
        "--wiredTigerCacheSizeGB",
        "1",
        "--nounixsocket",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        with MongoClient[Document]("127.0.0.1", port, directConnection=True) as client:
            members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
            client.admin.command("replSetInitiate", {"_id": "benchmark", "members": members})
            while not client.admin.command("hello")["isWritablePrimary"]:
                pass
            yield client
    finally:
        process.kill()
        process.wait()


def make_project(folder: Path, client: Client, names: Sequence[str], **settings: Any) -> Path:
    """A project whose environments are called as their databases are, by ``names``; with more settings."""
    uri = f"mongodb://{host(client)}"
    environments = {name: {"uri": uri, "db_name": name} for name in names}
    (folder / "migrations").mkdir(parents=True)
    lines = [f"{name} = {value!r}\n" for name, value in {"ENVIRONMENTS": environments, **settings}.items()]
    (folder / "migrations" / "settings.py").write_text("".join(lines))
    return folder


def host(client: Client) -> str:
    address = client.address
    assert address is not None
    return f"{address[0]}:{address[1]}"


def see_equal(source: Database[Document], target: Database[Document]) -> None:
    """Compare ``target`` with ``source`` by a quick check; end the benchmark if they differ."""
    wanted, found = (_shape(database) for database in (source, target))
    if wanted != found:
        sys.exit(f"The copy has {found} instead of {wanted}.")


def _shape(database: Database[Document]) -> Mapping[str, tuple[int, list[str]]]:
    return {
        name: (database[name].estimated_document_count(), sorted(database[name].index_information()))
        for name in FILLINGS
    }


def use_tools(folder: Path) -> str:
    """Put both tools first on the PATH; return their versions."""
    cache = Path(__file__).parents[1] / ".pytest_cache" / "wine"
    cache.mkdir(parents=True, exist_ok=True)
    found = find_tools(cache, folder)
    if found is None:
        sys.exit(why_none())
    os.environ["PATH"] = f"{found}{os.pathsep}{os.environ['PATH']}"
    versions = []
    for name in NAMES:
        output = subprocess.run([name, "--version"], check=True, capture_output=True, text=True).stdout
        versions.append(f"{name} {output.splitlines()[0].split()[-1]}")
    return ", ".join(versions) + (" (both MongoDB's own for Windows, under Wine)" if found == folder else "")


def describe(database: Database[Document]) -> str:
    size = sum(int(database.command("collStats", name)["size"]) for name in FILLINGS)
    documents = sum(filling.number for filling in FILLINGS.values())
    indexes = sum(len(filling.indexes) for filling in FILLINGS.values())
    return (
        f"{size / 1e6:.0f} MB in {documents:,} documents of {len(FILLINGS)} collections, "
        f"{indexes} indexes beside those of _id"
    )
