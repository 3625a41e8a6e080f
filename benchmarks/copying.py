"""One database into another: ``python -m benchmarks.copying [--rounds N]``, from the top of the repository.

``copy_db`` with each of its engines beside ``mongodump | mongorestore --drop``, as most people write it: all
of each command, Python's start, staging, comparing and swap included, into a target that holds the copy of
the round before. Starts a server of its own, a replica set of one member, and fills it: source and target
are two databases of it. Takes the tools that are on the PATH, else those that the tests have, under Wine;
says which. Some 10 minutes and 5 GB of disk, and Linux, where the kernel tells a process's peak memory.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, MongoClient
from pymongo.database import Database

from benchmarks.pairs import paired_ratio, print_head, print_peak, print_row, time_and_weigh, time_in_turns
from monarch.databases.mongo.embedded.program import find_mongod
from tests.tools import NAMES, find_tools, why_none

ROUNDS = 5
# monarch's own memory, by its engines, in MB; and its time, of that of the tools alone.
PEAKS = {"tools": 100, "native": 150}
RATIOS = {"tools": 0.8, "native": 0.55}
SOURCE, TARGET = "source", "target"
# A database of a third the size, whose copy should take the same memory.
THIRD, ITS_TARGET = "third", "copy_of_third"

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


def make_project(folder: Path, client: Client) -> Path:
    """A project whose environments are called as their databases are."""
    uri = f"mongodb://{host(client)}"
    environments = {name: {"uri": uri, "db_name": name} for name in (SOURCE, TARGET, THIRD, ITS_TARGET)}
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "settings.py").write_text(f"ENVIRONMENTS = {environments!r}\n")
    return folder


def host(client: Client) -> str:
    address = client.address
    assert address is not None
    return f"{address[0]}:{address[1]}"


def shape(database: Database[Document], names: Sequence[str]) -> dict[str, tuple[int, list[str]]]:
    """What a copy must have like its source, as far as that is seen at once."""
    return {
        name: (database[name].estimated_document_count(), sorted(database[name].index_information()))
        for name in names
    }


@dataclass
class Copies:
    """Runs the commands that copy, and looks at what each has done."""

    client: Client
    peaks: dict[tuple[str, ...], int]

    def run(self, command: Sequence[str], folder: Path | None) -> float:
        seconds, peak = time_and_weigh(command, folder)
        self.peaks[tuple(command)] = max(peak, self.peaks.get(tuple(command), 0))
        self.check(SOURCE, TARGET)
        # Each begins with a server that has nothing left to write of the one before.
        self.client.admin.command("fsync")
        return seconds

    def check(self, source: str, target: str) -> None:
        wanted, found = (shape(self.client[name], list(FILLINGS)) for name in (source, target))
        if wanted != found:
            sys.exit(f"The copy has {found} in place of {wanted}.")


def use_tools(folder: Path) -> str:
    """Have both tools first on the PATH; which they are."""
    cache = Path(__file__).parents[1] / ".pytest_cache" / "wine"
    cache.mkdir(parents=True, exist_ok=True)
    found = find_tools(cache, folder)
    if found is None:
        sys.exit(why_none())
    os.environ["PATH"] = f"{found}{os.pathsep}{os.environ['PATH']}"
    versions = []
    for name in NAMES:
        said = subprocess.run([name, "--version"], check=True, capture_output=True, text=True).stdout
        versions.append(f"{name} {said.splitlines()[0].split()[-1]}")
    return ", ".join(versions) + (" (both MongoDB's own for Windows, under Wine)" if found == folder else "")


def describe(database: Database[Document]) -> str:
    size = sum(int(database.command("collStats", name)["size"]) for name in FILLINGS)
    documents = sum(filling.number for filling in FILLINGS.values())
    indexes = sum(len(filling.indexes) for filling in FILLINGS.values())
    return (
        f"{size / 1e6:.0f} MB in {documents:,} documents of {len(FILLINGS)} collections, "
        f"{indexes} indexes beside those of _id"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copying")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    monarch = str(Path(sys.executable).with_name("monarch"))
    with tempfile.TemporaryDirectory() as temporary, run_server(Path(temporary) / "data") as client:
        tools = use_tools(Path(temporary))
        fill(client[SOURCE])
        fill(client[THIRD], 3)
        folder = make_project(Path(temporary) / "project", client)
        where = f"--host={host(client)}"
        piped = (
            f"mongodump {where} --db={SOURCE} --archive | "
            f"mongorestore {where} --drop --archive --nsFrom='{SOURCE}.*' --nsTo='{TARGET}.*'"
        )
        copy = [monarch, "copy_db", f"{SOURCE}:{TARGET}", "--yes", "--engine"]
        copies = {engine: [*copy, engine] for engine in PEAKS}
        commands = {
            "mongodump | mongorestore --drop": ["bash", "-o", "pipefail", "-c", piped],
            **{f"copy_db --engine {engine}": command for engine, command in copies.items()},
        }
        looking = Copies(client, {})
        times = time_in_turns(commands, rounds, folder, looking.run)
        of_third = [monarch, "copy_db", f"{THIRD}:{ITS_TARGET}", "--yes", "--engine", "native"]
        peak_of_third = time_and_weigh(of_third, folder)[1]
        looking.check(THIRD, ITS_TARGET)
        base, *ours = times.values()
        print_head(
            f"Copying a database, median of {rounds} rounds taken in turns, one server, cache of 1 GB",
            f"{tools}, MongoDB {client.server_info()['version']}",
            describe(client[SOURCE]),
            piped.replace(f" {where}", ""),
            shlex.join(["monarch", *copy[1:], "ENGINE"]),
        )
    print_row(base)
    for timed, engine in zip(ours, PEAKS, strict=True):
        print_row(timed, paired_ratio(timed, base), base.name, RATIOS[engine])
    print()
    for engine, command in copies.items():
        print_peak(f"copy_db --engine {engine}", looking.peaks[tuple(command)], PEAKS[engine])
    print_peak("copy_db --engine native, a third as large", peak_of_third)


if __name__ == "__main__":
    main()
