"""A masked copy: ``python -m benchmarks.masking [--rounds N]``, from the top of the repository.

``copy_db`` as it is, with two masked fields of a tenth of all documents, and with six masked fields of all
documents, beside what a person would write: a loop with pymongo (and Faker, if that is installed) that
changes six fields of all documents. All of each command is timed. Starts a server of its own, a replica set
of one member, and fills it; source and targets are databases of it.

The environment that is masked is private. The masks are those that ``migrations/privacy.py`` imports. The
leak check is part of the masked copies; fields without a mask are ``public`` here, which it does not search.
The memory is that of the largest process of a command: two more mask beside it, each with less.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import paired_ratio, print_head, print_peak, print_row, time_and_weigh, time_in_turns
from benchmarks.sample import FILLINGS, Client, describe, fill, host, run_server

ROUNDS = 3
LIMITS = {"two fields of a tenth": 1.3, "six fields of all": 3.5}
# Millions of documents that are masked; the articles are not.
MILLIONS = {"two fields of a tenth": 0.195, "six fields of all": 1.95}
PEAK = 300
SOURCE, TARGET = "source", "target"
# Of the people, so that these are a tenth of all documents.
CUSTOMERS = 195_000
KEPT = "articles"
TWO = """
from monarch.privacy import Masks, email, full_name, public

masks = Masks()
masks["customers"] = {"name": full_name(), "email": email(unique=True), "*": public}
for name in ("people", "orders", "visits", "articles"):
    masks[name] = public
"""
SIX = """
from monarch.privacy import (
    Masks, choice, city, email, full_name, hashed, identifier, number, public, shift_date, text, url
)

masks = Masks()
for name in ("people", "customers"):
    masks[name] = {
        "name": full_name(), "email": email(unique=True), "age": number(noise=0.1), "city": city(),
        "joined": shift_date(days=30), "tags[]": city(), "*": public,
    }
masks["orders"] = {
    "person": identifier(), "product": number(noise=0.1), "price": number(noise=0.1),
    "pieces": number(noise=0.1), "at": shift_date(days=30), "note": text(), "*": public,
}
masks["visits"] = {
    "_id": identifier(), "at": shift_date(days=30), "path": text(), "from": hashed(), "ms": number(noise=0.1),
    "status": choice(200, 304, 404), "*": public,
}
masks["articles"] = public
"""
BY_HAND = """
import random, sys
from pymongo import MongoClient

try:
    from faker import Faker
    fake = Faker()
    name, mail, town, words = fake.name, fake.email, fake.city, fake.sentence
except ImportError:
    letters = "abcdefghijklmnopqrstuvwxyz"
    def words():
        return " ".join("".join(random.choices(letters, k=6)) for _ in range(3))
    name = mail = town = words

client = MongoClient(sys.argv[1])
source, target = client["source"], client["by_hand"]
client.drop_database("by_hand")
for collection in source.list_collection_names():
    batch, number = [], 0
    for one in source[collection].find():
        if collection in ("people", "customers"):
            number += 1
            one |= {"name": name(), "email": f"{number}{mail()}", "age": random.randrange(90), "city": town()}
            one |= {"joined": one["joined"], "tags": [town(), town()]}
        elif collection == "orders":
            one |= {"person": random.randrange(10**6), "product": random.randrange(10**5), "note": words()}
            one |= {"price": random.random() * 500, "pieces": random.randrange(9), "at": one["at"]}
        elif collection == "visits":
            one |= {"path": words(), "from": words(), "ms": random.random(), "status": 200}
        batch.append(one)
        if len(batch) == 1000:
            target[collection].insert_many(batch, ordered=False)
            batch = []
    if batch:
        target[collection].insert_many(batch, ordered=False)
    for index, about in source[collection].index_information().items():
        if index != "_id_":
            target[collection].create_index(about["key"], name=index, unique=about.get("unique", False))
"""


@dataclass
class MaskedCopies:
    """Runs the commands, and checks that each has copied as many documents."""

    client: Client
    peaks: dict[tuple[str, ...], int]

    def run(self, command: Sequence[str], folder: Path | None) -> float:
        seconds, peak = time_and_weigh(command, folder)
        key = tuple(command)
        self.peaks[key] = max(peak, self.peaks.get(key, 0))
        target = self.client[TARGET if "copy_db" in command else "by_hand"]
        for name in (*FILLINGS, "customers"):
            expected = self.client[SOURCE][name].estimated_document_count()
            if target[name].estimated_document_count() != expected:
                sys.exit(f"The copy has another number of {name}.")
        self.client.admin.command("fsync")
        return seconds


def make_masked_project(folder: Path, client: Client, rules: str) -> Path:
    """A project whose source is private and whose target is not; without ``rules`` neither is private."""
    uri = f"mongodb://{host(client)}"
    environments = {
        SOURCE: {"uri": uri, "db_name": SOURCE, "private": bool(rules)},
        TARGET: {"uri": uri, "db_name": TARGET},
    }
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "settings.py").write_text(f"ENVIRONMENTS = {environments!r}\n")
    (folder / "migrations" / "privacy.py").write_text(rules)
    return folder


def fill_customers(client: Client) -> None:
    """Move some people into a collection of their own."""
    people = client[SOURCE]["people"]
    people.aggregate([{"$sort": {"_id": 1}}, {"$limit": CUSTOMERS}, {"$out": "customers"}])
    last = client[SOURCE]["customers"].find_one(sort=[("_id", -1)])
    assert last is not None
    people.delete_many({"_id": {"$lte": last["_id"]}})
    client[SOURCE]["customers"].create_indexes(FILLINGS["people"].indexes)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.masking")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    monarch = str(Path(sys.executable).with_name("monarch"))
    with tempfile.TemporaryDirectory() as temporary, run_server(Path(temporary) / "data") as client:
        fill(client[SOURCE])
        fill_customers(client)
        commands, names = {}, ("not masked", *LIMITS)
        for name, rules in zip(names, ("", TWO, SIX), strict=True):
            folder = make_masked_project(Path(temporary) / name.replace(" ", "_"), client, rules)
            commands[name] = [
                *("env", "-C", str(folder), monarch, "copy_db"),
                *(f"{SOURCE}:{TARGET}", "--yes", "--engine", "native"),
            ]
        commands["six fields of all, by hand"] = [sys.executable, "-c", BY_HAND, f"mongodb://{host(client)}"]
        running = MaskedCopies(client, {})
        began = time.monotonic()
        times = time_in_turns(commands, rounds, None, running.run)
        print_head(
            f"Copying and masking a database, median of {rounds} rounds taken in turns, one server",
            f"MongoDB {client.server_info()['version']}, native engine",
            describe(client[SOURCE]),
            f"{CUSTOMERS:,} documents are in a collection of their own, a tenth of all",
            f"all rounds took {time.monotonic() - began:.0f} s",
        )
    base = times["not masked"]
    print_row(base)
    for name in list(times)[1:]:
        print_row(times[name], paired_ratio(times[name], base), base.name, LIMITS.get(name))
    print()
    for name, millions in MILLIONS.items():
        seconds = (times[name].median - base.median) / millions
        print(f"{name:<44} {seconds:8.1f} s  more for a million documents")
    print()
    for name in names:
        print_peak(name, running.peaks[tuple(commands[name])], PEAK)


if __name__ == "__main__":
    main()
