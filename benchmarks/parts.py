"""A query for each of many collections: ``python -m benchmarks.parts [--rounds N]``.

Run it from the top of the repository.

``backup`` with a query set beside ``backup`` without one, with each engine. There are 200 collections, and
the query of each finds all that it holds: both write the same documents. All of each command, Python's
start, finding out what is selected, and manifest included. For the server and the tools see
`benchmarks.copying`. Some 2 minutes.

A mongodump takes some 7 ms until its first document, and there are 200 of them. So with less data the ratio
of the tools is higher, and with more it is lower.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pymongo.database import Database

from benchmarks.pairs import paired_ratio, print_head, print_peak, print_row, time_and_weigh, time_in_turns
from benchmarks.sample import Client, Document, make_project, order, run_server, use_tools

ROUNDS = 5
SOURCE = "source"
ENGINES = ("tools", "native")
COLLECTIONS, DOCUMENTS = 200, 10_000
# Times the whole; and monarch's own memory, in MB.
LIMIT, PEAK = 2.0, 150
QUERY_SET = f"""
from monarch import QuerySet

class EachQuerySet(QuerySet):

    def run(self):
        for number in range({COLLECTIONS}):
            self.dump_collection(f"orders{{number}}", {{"pieces": {{"$gte": 0}}}})
"""


@dataclass
class Runs:
    """Runs commands and checks what each has stored."""

    client: Client
    backups: Path
    peaks: dict[str, int]

    def run(self, command: Sequence[str], folder: Path | None) -> float:
        for old in self.backups.glob(f"{SOURCE}__*"):
            old.unlink()
        seconds, peak = time_and_weigh(command, folder)
        engine = command[command.index("--engine") + 1]
        self.peaks[engine] = max(peak, self.peaks.get(engine, 0))
        (manifest,) = self.backups.glob(f"{SOURCE}__*.json")
        kept = sum(held["documents"] for held in json.loads(manifest.read_bytes())["collections"])
        if kept != COLLECTIONS * DOCUMENTS:
            sys.exit(f"{' '.join(command[1:])} has stored {kept:,} documents.")
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    monarch = str(Path(sys.executable).with_name("monarch"))
    with tempfile.TemporaryDirectory() as temporary, run_server(Path(temporary) / "data") as client:
        tools = use_tools(Path(temporary))
        size = fill(client[SOURCE])
        backups = Path(temporary) / "backups"
        stores = {"LOCAL": {"backup_dir": str(backups)}}
        folder = make_project(Path(temporary) / "project", client, (SOURCE,), BACKUPS=stores)
        (folder / "querysets").mkdir()
        (folder / "querysets" / "each.py").write_text(QUERY_SET)
        commands: dict[str, list[str]] = {}
        for engine in ENGINES:
            whole = [monarch, "backup", SOURCE, "--engine", engine]
            commands |= {name_of(engine): whole, name_of(engine, "-q"): [*whole, "-q", "EachQuerySet"]}
        looking = Runs(client, backups, {})
        times = time_in_turns(commands, rounds, folder, looking.run)
        print_head(
            f"Parts of a database, median of {rounds} rounds taken in turns, one server, cache of 1 GB",
            f"{tools}, MongoDB {client.server_info()['version']}",
            f"{size / 1e6:.0f} MB in {COLLECTIONS * DOCUMENTS:,} documents of {COLLECTIONS} collections",
        )
    for engine in ENGINES:
        whole_time, part_time = times[name_of(engine)], times[name_of(engine, "-q")]
        print_row(whole_time)
        print_row(part_time, paired_ratio(part_time, whole_time), whole_time.name, LIMIT)
    print()
    for engine in ENGINES:
        print_peak(name_of(engine, "-q"), looking.peaks[engine], PEAK)


def name_of(engine: str, *more: str) -> str:
    return " ".join(("backup --engine", engine, *more))


def fill(database: Database[Document]) -> int:
    """Fill ``database`` with documents that differ only in their ids between runs; return their bytes."""
    chance = random.Random(1)
    size = 0
    for number in range(COLLECTIONS):
        name = f"orders{number}"
        database[name].insert_many([order(chance, count) for count in range(DOCUMENTS)], ordered=False)
        size += int(database.command("collStats", name)["size"])
    return size


if __name__ == "__main__":
    main()
