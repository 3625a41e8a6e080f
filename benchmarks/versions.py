"""Two trees of monarch, this one and an older one: ``python -m benchmarks.versions OTHER [--rounds N]``.

Run it from the top of the repository. ``OTHER`` is the top of a clone of an older commit. Both run the same
commands, in turns and in changing order, on one server and one project each: start-up, migrations, copies,
backups and restores, all of each command. The ratios are medians of those of each round; under 1 this tree
is faster. Takes the tools that are on the PATH, else those that the tests have, under Wine. Some 15 minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import Timed, paired_ratio, print_head
from benchmarks.sample import FILLINGS, Client, fill, make_project, run_server, use_tools

LIMIT = 1.03
MANY, PENDING = 1_000, 20
SOURCE, TARGET, MIGRATED, FRESH = "source", "target", "migrated", "fresh"
MIGRATION = """\
from monarch import MongoBackedMigration


class StepMigration(MongoBackedMigration):
    def run(self):
        self.database.steps.insert_one({})
"""


@dataclass(frozen=True)
class Tree:
    """One of the two trees, and a project that only this one uses."""

    path: Path
    folder: Path

    def run(self, *arguments: str) -> None:
        """Run a command; one that fails ends the benchmark."""
        command = [sys.executable, "-m", "monarch", *arguments]
        environ = {**os.environ, "PYTHONPATH": str(self.path)}
        done = subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{arguments} of {self.path}: {done.stderr.decode(errors='replace')}")


@dataclass(frozen=True)
class Flow:
    """A command to time, what to do before each run of it, and how many runs one measurement takes."""

    arguments: tuple[str, ...]
    prepare: Callable[[Tree], None]
    runs: int = 1

    def time(self, tree: Tree) -> float:
        """Return the seconds of one run."""
        seconds = 0.0
        for _ in range(self.runs):
            self.prepare(tree)
            began = time.perf_counter()
            tree.run(*self.arguments)
            seconds += time.perf_counter() - began
        return seconds / self.runs


def nothing(_: Tree) -> None:
    """Prepare nothing."""


def flows(client: Client) -> dict[str, Flow]:
    """Return the flows to time, by their names."""

    def settle(_: Tree) -> None:
        client.admin.command("fsync")

    def forget(_: Tree) -> None:
        client.drop_database(FRESH)

    def empty_store(tree: Tree) -> None:
        shutil.rmtree(tree.folder / "backups", ignore_errors=True)
        settle(tree)

    def leave_one(tree: Tree) -> None:
        empty_store(tree)
        tree.run("backup", SOURCE, "--engine", "native")

    found = {
        "--help": Flow(("--help",), nothing, 5),
        "list_environments": Flow(("list_environments",), nothing, 5),
        f"migrate, nothing pending of {MANY:,}": Flow(("migrate", MIGRATED), nothing, 3),
        f"migrate, {PENDING} pending": Flow(
            ("migrate", FRESH, *(f"--only={name(number)}" for number in range(PENDING))), forget
        ),
    }
    for engine in ("native", "tools"):
        copy = ("copy_db", f"{SOURCE}:{TARGET}", "--yes", "--engine", engine)
        restore = ("restore", f"{SOURCE}:{TARGET}", "--yes", "--engine", engine)
        found[f"copy_db --engine {engine}"] = Flow(copy, settle)
        found[f"backup --engine {engine}"] = Flow(("backup", SOURCE, "--engine", engine), empty_store)
        found[f"restore --engine {engine}"] = Flow(restore, leave_one)
    return found


def name(number: int) -> str:
    """Return the name of a migration."""
    return f"step_{number:04}"


def make_tree(path: Path, folder: Path, client: Client) -> Tree:
    """Make the project that the tree at ``path`` uses, with `MANY` migrations."""
    names = (SOURCE, TARGET, MIGRATED, FRESH)
    make_project(folder, client, names, BACKUPS={"LOCAL": {"backup_dir": "backups"}})
    for number in range(MANY):
        stamp = f"2014{number // 28 % 12 + 1:02}{number % 28 + 1:02}{number // 336:02}00"
        (folder / "migrations" / f"_{stamp}_{name(number)}_migration.py").write_text(MIGRATION)
    return Tree(path.resolve(), folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions")
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--share", type=int, default=4, help="time on a share-th of the documents")
    parser.add_argument("--only", default="", help="only the flows with this text in their name")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, run_server(Path(temporary) / "data") as client:
        top = Path(temporary)
        tools = use_tools(top)
        fill(client[SOURCE], chosen.share)
        documents = sum(client[SOURCE][name].estimated_document_count() for name in FILLINGS)
        trees = [
            make_tree(path, top / label, client)
            for label, path in (("this", Path(__file__).parents[1]), ("other", chosen.other))
        ]
        trees[0].run("mark", MIGRATED, "--all", "--as", "completed", "--yes")
        print_head(
            f"This tree beside an older one, median of {chosen.rounds} rounds taken in turns",
            f"{tools}, MongoDB {client.server_info()['version']}",
            f"{documents:,} documents of {len(FILLINGS)} collections",
        )
        for label, flow in flows(client).items():
            if chosen.only in label:
                seconds: tuple[list[float], list[float]] = ([], [])
                for turn in range(chosen.rounds + 1):
                    for at in (0, 1) if turn % 2 else (1, 0):
                        seconds[at].append(flow.time(trees[at]))
                this, other = (Timed(label, tuple(taken[1:])) for taken in seconds)
                ratio = paired_ratio(this, other)
                verdict = "kept" if ratio <= LIMIT else "MISSED"
                print(
                    f"{label:<36} {this.median * 1000:9.1f} ms, before {other.median * 1000:9.1f} ms: "
                    f"{ratio:5.3f} (at most {LIMIT}: {verdict})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
