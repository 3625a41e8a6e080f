"""Encryption and hashes: ``python -m benchmarks.encryption [mongo|restore|postgres] [--rounds N]``.

``backup`` beside the same backup encrypted for one key, and beside the same backup without the hashes of
contents that the manifest has (which no user can turn off); ``restore`` of both backups. All of each
command: Python's start, manifest, comparing and swap included. ``mongo`` and ``restore`` have a MongoDB
server of their own and the native engine, ``postgres`` a PostgreSQL server. Each takes some 3 minutes.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import postgres_sample, sample
from benchmarks.pairs import (
    Timed,
    paired_ratio,
    print_head,
    print_peak,
    print_row,
    time_and_weigh,
    time_in_turns,
)
from monarch.backups.secrecy.age import age_library

ROUNDS = 5
# Relative to the backup that is not encrypted; the memory in MB.
ENCRYPTED, PEAK = 1.15, 150
SOURCE, TARGET, KEPT = "source", "target", "kept__"
NATIVE = ("--engine", "native")
PLAIN, SEALED, UNHASHED = "backup", "backup, encrypted", "backup, without hashes"
# The command line of monarch, with sources that make no hashes.
WITHOUT_HASHES = """
from importlib import import_module
from monarch.__main__ import main
source = getattr(import_module("monarch.databases.{module}"), "{name}")
write = source.write_archive
source.write_archive = lambda self, sink, progress, **_: write(self, sink, progress, hashes=False)
main()
"""
WRITERS = {
    "mongo": WITHOUT_HASHES.format(module="mongo.sources.server", name="MongoServerSource"),
    "postgres": WITHOUT_HASHES.format(module="postgres.sources.live", name="PostgresLiveSource"),
}


@dataclass
class Runs:
    """Runs the commands in turns, each from an empty folder of backups but for those that are kept."""

    backups: Path
    peaks: dict[str, int] = field(default_factory=dict)

    def run(self, command: Sequence[str], folder: Path | None) -> float:
        for old in self.backups.rglob(f"{SOURCE}__*"):
            old.unlink()
        os.sync()
        seconds, peak = time_and_weigh(command, folder)
        name = shlex.join(command)
        self.peaks[name] = max(peak, self.peaks.get(name, 0))
        return seconds

    def in_turns(self, commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Timed]:
        return time_in_turns(commands, rounds, None, self.run)

    def peak(self, command: Sequence[str]) -> int:
        return self.peaks[shlex.join(command)]


def settings(folder: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Return ``BACKUPS`` without and with encryption, with stores and a key below ``folder``."""
    identity = age_library().x25519.Identity.generate()
    keys = folder / "keys.txt"
    keys.touch(0o600)
    keys.write_text(f"{identity}\n")
    encrypt = {"recipients": [str(identity.to_public())], "identities": str(keys)}
    stores: list[dict[str, object]] = [
        {"LOCAL": {"backup_dir": str(folder / "backups" / name)}} for name in ("plain", "sealed")
    ]
    return stores[0], {**stores[1], "encrypt": encrypt}


def commands(plain: Path, sealed: Path, kind: str, *options: str) -> dict[str, list[str]]:
    """Return the backups that are compared, by the projects in the folders ``plain`` and ``sealed``."""
    backup = ["backup", SOURCE, *options]
    return {
        PLAIN: _monarch(plain, *backup),
        SEALED: _monarch(sealed, *backup),
        UNHASHED: ["env", "-C", str(plain), sys.executable, "-c", WRITERS[kind], *backup],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encryption")
    parser.add_argument("what", choices=("mongo", "restore", "postgres"))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if given.what == "postgres":
            _postgres(Path(temporary), given.rounds)
        else:
            _mongo(Path(temporary), given.rounds, restores=given.what == "restore")


def _mongo(folder: Path, rounds: int, *, restores: bool) -> None:
    with sample.run_server(folder / "data") as client:
        sample.fill(client[SOURCE])
        plain, sealed = (
            sample.make_project(folder / name, client, (SOURCE, TARGET), BACKUPS=backups)
            for name, backups in zip(("plain", "sealed"), settings(folder), strict=True)
        )
        runs = Runs(folder / "backups")
        client.admin.command("fsync")
        compared = _restores(plain, sealed) if restores else commands(plain, sealed, "mongo", *NATIVE)
        times = runs.in_turns(compared, rounds)
        if restores:
            sample.see_equal(client[SOURCE], client[TARGET])
        print_head(
            f"MongoDB: encryption and hashes, median of {rounds} rounds taken in turns",
            f"MongoDB {client.server_info()['version']}, native engine, a folder as store",
            sample.describe(client[SOURCE]),
        )
    _print(times, runs, compared)


def _restores(plain: Path, sealed: Path) -> dict[str, list[str]]:
    """Take a backup in both projects, and return the commands that restore them."""
    found = {}
    for name, project in (("restore", plain), ("restore, encrypted", sealed)):
        time_and_weigh(_monarch(project, "backup", SOURCE, "--name", "kept", *NATIVE), None)
        archives = (project.parent / "backups" / project.name).glob(f"{KEPT}*.dmp.*")
        kept = next(archives).name.partition(".")[0]
        found[name] = _monarch(project, "restore", f"{kept}:{TARGET}", "--yes", *NATIVE)
    return found


def _postgres(folder: Path, rounds: int) -> None:
    with postgres_sample.run_server() as server:
        os.environ["PATH"] = f"{server.programs}{os.pathsep}{os.environ['PATH']}"
        postgres_sample.fill(server, SOURCE)
        plain, sealed = (
            postgres_sample.make_project(folder / name, server, (SOURCE,), BACKUPS=backups)
            for name, backups in zip(("plain", "sealed"), settings(folder), strict=True)
        )
        postgres_sample.flush(server)
        runs = Runs(folder / "backups")
        compared = commands(plain, sealed, "postgres")
        times = runs.in_turns(compared, rounds)
        print_head(
            f"PostgreSQL: encryption and hashes, median of {rounds} rounds taken in turns",
            f"PostgreSQL {postgres_sample.server_version(server)}, a folder as store",
            postgres_sample.describe(server, SOURCE),
        )
    _print(times, runs, compared)


def _monarch(project: Path, *arguments: str) -> list[str]:
    return ["env", "-C", str(project), str(Path(sys.executable).with_name("monarch")), *arguments]


def _print(times: Mapping[str, Timed], runs: Runs, compared: Mapping[str, Sequence[str]]) -> None:
    base, *others = times.values()
    print_row(base)
    for timed in others:
        limit = ENCRYPTED if timed.name == SEALED else None
        print_row(timed, paired_ratio(timed, base), base.name, limit)
    if UNHASHED in times:
        ratio = paired_ratio(base, times[UNHASHED])
        print(f"{'backup, relative to that without hashes':<44} {ratio:8.2f}")
        ratio = paired_ratio(times[SEALED], times[UNHASHED])
        print(f"{'backup, encrypted, relative to that':<44} {ratio:8.2f}")
    print()
    for name, command in compared.items():
        print_peak(name, runs.peak(command), PEAK)


if __name__ == "__main__":
    main()
