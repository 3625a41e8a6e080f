"""Backing up and restoring: ``python -m benchmarks.backups [--rounds N]``, from the top of the repository.

``backup`` beside ``mongodump --gzip --archive``, ``restore`` beside ``mongorestore --drop --gzip``, with each
engine: all of each command, Python's start, manifest, verification, comparing and swap included. For
the server and the tools see `benchmarks.copying`. Some 10 minutes and 5 GB of disk.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import (
    Timed,
    paired_ratio,
    print_head,
    print_peak,
    print_row,
    time_and_weigh,
    time_in_turns,
)
from benchmarks.sample import Client, describe, fill, host, make_project, run_server, see_equal, use_tools

ROUNDS = 5
SOURCE, TARGET = "source", "target"
ENGINES = ("tools", "native")
# Limits: monarch's own memory in MB, and times and bytes relative to the tools alone.
PEAKS = {"tools": 100, "native": 150}
BACKUP, BYTES, VERIFY = 0.75, 0.93, 0.5
RESTORE = {"tools": 0.8, "native": 0.6}
KEPT = "kept__"


@dataclass
class Runs:
    """Runs commands and checks their results."""

    client: Client
    backups: Path
    peaks: dict[str, int]

    def run(self, command: Sequence[str], folder: Path | None) -> float:
        for old in self.backups.glob(f"{SOURCE}__*"):
            old.unlink()
        seconds, peak = time_and_weigh(command, folder)
        name = shlex.join(command)
        self.peaks[name] = max(peak, self.peaks.get(name, 0))
        if "restore" in name:
            see_equal(self.client[SOURCE], self.client[TARGET])
        # Flush the writes of the command before, so that the next one does not wait for them.
        self.client.admin.command("fsync")
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backups")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    monarch = str(Path(sys.executable).with_name("monarch"))
    with tempfile.TemporaryDirectory() as temporary, run_server(Path(temporary) / "data") as client:
        tools = use_tools(Path(temporary))
        fill(client[SOURCE])
        backups = Path(temporary) / "backups"
        stores = {"LOCAL": {"backup_dir": str(backups)}}
        folder = make_project(Path(temporary) / "project", client, (SOURCE, TARGET), BACKUPS=stores)
        typed = Path(temporary) / "typed.gz"
        where = f"--host={host(client)}"
        dump = f"mongodump {where} --db={SOURCE} --gzip --archive={typed}"
        restore = (
            f"mongorestore {where} --drop --gzip --archive={typed} --nsFrom='{SOURCE}.*' --nsTo='{TARGET}.*'"
        )
        time_and_weigh([monarch, "backup", SOURCE, "--name", "kept", "--engine", "native"], folder)
        (archive,) = backups.glob(f"{KEPT}*.zst")
        kept = archive.name.partition(".")[0]
        ours = {
            **{f"backup --engine {one}": [monarch, "backup", SOURCE, "--engine", one] for one in ENGINES},
            **{
                f"restore --engine {one}": [monarch, "restore", f"{kept}:{TARGET}", "--yes", "--engine", one]
                for one in ENGINES
            },
            "verify_backup": [monarch, "verify_backup", kept],
        }
        commands = {
            "mongodump --gzip": shlex.split(dump),
            **{name: command for name, command in ours.items() if name.startswith("backup")},
            "mongorestore --drop --gzip": shlex.split(restore),
            **{name: command for name, command in ours.items() if not name.startswith("backup")},
        }
        looking = Runs(client, backups, {})
        times = time_in_turns(commands, rounds, folder, looking.run)
        sizes = typed.stat().st_size, archive.stat().st_size
        print_head(
            f"Backups, median of {rounds} rounds taken in turns, one server, cache of 1 GB",
            f"{tools}, MongoDB {client.server_info()['version']}",
            describe(client[SOURCE]),
            dump.replace(f" {where}", "").replace(str(typed), "FILE"),
            restore.replace(f" {where}", "").replace(str(typed), "FILE"),
        )
    _print(times, sizes, {name: looking.peaks[shlex.join(command)] for name, command in ours.items()})


def _print(times: dict[str, Timed], sizes: tuple[int, int], peaks: dict[str, int]) -> None:
    dumped, restored = times["mongodump --gzip"], times["mongorestore --drop --gzip"]
    print_row(dumped)
    for engine in ENGINES:
        timed = times[f"backup --engine {engine}"]
        print_row(timed, paired_ratio(timed, dumped), dumped.name, BACKUP)
    print_row(restored)
    for engine in ENGINES:
        timed = times[f"restore --engine {engine}"]
        print_row(timed, paired_ratio(timed, restored), restored.name, RESTORE[engine])
    verified, native = times["verify_backup"], times["restore --engine native"]
    print_row(verified, paired_ratio(verified, native), native.name, VERIFY)
    print()
    share = sizes[1] / sizes[0]
    ratio = f"{share:.2f} of mongodump --gzip (at most {BYTES}: {'kept' if share <= BYTES else 'MISSED'})"
    print(f"{'bytes of a backup':<44} {sizes[1] / 1e6:8.1f} MB   {ratio}")
    print()
    for name, peak in peaks.items():
        engine = name.rpartition(" ")[2]
        print_peak(name, peak, PEAKS.get(engine, min(PEAKS.values())))


if __name__ == "__main__":
    main()
