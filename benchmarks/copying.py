"""One database into another: ``python -m benchmarks.copying [--rounds N]``, from the top of the repository.

``copy_db`` with each of its engines beside ``mongodump | mongorestore --drop``, as most people write it: all
of each command, Python's start, staging, comparing and swap included, into a target that holds the copy of
the round before. Starts a server of its own, a replica set of one member, and fills it: source and target
are two databases of it. Takes the tools that are on the PATH, else those that the tests have, under Wine;
says which. Some 10 minutes and 5 GB of disk, and Linux, where the kernel tells a process's peak memory.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import paired_ratio, print_head, print_peak, print_row, time_and_weigh, time_in_turns
from benchmarks.sample import Client, describe, fill, host, make_project, run_server, see_equal, use_tools

ROUNDS = 5
# Limits by engine: monarch's own memory in MB, and its time relative to the tools alone.
PEAKS = {"tools": 100, "native": 150}
RATIOS = {"tools": 0.8, "native": 0.55}
SOURCE, TARGET = "source", "target"
# A database of a third the size, whose copy should take the same memory.
THIRD, ITS_TARGET = "third", "copy_of_third"


@dataclass
class Copies:
    """Runs the commands that copy, and checks their results."""

    client: Client
    peaks: dict[tuple[str, ...], int]

    def run(self, command: Sequence[str], folder: Path | None) -> float:
        seconds, peak = time_and_weigh(command, folder)
        self.peaks[tuple(command)] = max(peak, self.peaks.get(tuple(command), 0))
        see_equal(self.client[SOURCE], self.client[TARGET])
        # Flush the writes of the command before, so that the next one does not wait for them.
        self.client.admin.command("fsync")
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copying")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    monarch = str(Path(sys.executable).with_name("monarch"))
    with tempfile.TemporaryDirectory() as temporary, run_server(Path(temporary) / "data") as client:
        tools = use_tools(Path(temporary))
        fill(client[SOURCE])
        fill(client[THIRD], 3)
        names = (SOURCE, TARGET, THIRD, ITS_TARGET)
        folder = make_project(Path(temporary) / "project", client, names)
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
        see_equal(client[THIRD], client[ITS_TARGET])
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
