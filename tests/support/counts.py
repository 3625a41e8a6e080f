"""How many cases the long tests run: all of them, or a reduced sample that a seed chooses.

Kills, races, replicas and corruptions have hundreds of cases that take minutes and rarely break. `tox` runs
a sample of them, `tox -e full` runs all. Such tests draw from their cases by `sample`, and of the tests in
the modules `LONG` one in `ONE_IN` runs. `tests/conftest.py` reads the options ``--counts`` and
``--counts-seed`` and calls `configure`; nothing else reads them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar, get_args

# Modules below `tests/` that cause dangers, or repeat a test with every engine, server and fault.
LONG = frozenset(
    (
        "backups/test_corruption.py",
        "backups/test_equal.py",
        "backups/test_kills.py",
        "backups/test_many.py",
        "backups/test_moments.py",
        "backups/test_restore_kills.py",
        "commands/backups/test_buckets.py",
        "commands/test_servers.py",
        "copies/test_kills.py",
        "copies/test_leases.py",
        "copies/test_server_kills.py",
        "copies/test_tool_kills.py",
        "databases/mongo/embedded/test_server.py",
        "databases/mongo/engines/test_archives.py",
        "databases/mongo/engines/test_pairs.py",
        "databases/mongo/sources/test_folder.py",
        "migrations/test_kills.py",
        "migrations/test_races.py",
        "migrations/test_replicas.py",
        "stores/s3/test_faults.py",
        "stores/s3/test_kills.py",
        "stores/s3/test_store.py",
        "stores/test_faulty.py",
        "stores/test_local_backups.py",
    )
)
ONE_IN = 8

Case = TypeVar("Case")
Mode = Literal["reduced", "full"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Counts:
    """Which counts a run uses, and the seed of its samples."""

    mode: Mode
    seed: int

    def describe(self) -> str:
        """Return one line for the header and the end of a run."""
        if self.mode == "full":
            return f"counts: full, seed {self.seed} (the long tests ran every case)"
        repeat = f"--counts-seed={self.seed}"
        return (
            f"counts: reduced, seed {self.seed} ({repeat} repeats this sample, --counts=full runs every case)"
        )


_current = Counts("reduced", 0)


def configure(counts: Counts) -> None:
    """Set the counts of this process, before the test modules are imported."""
    global _current
    _current = counts


def sample(cases: Sequence[Case], reduced: int) -> list[Case]:
    """Return all ``cases`` in full mode, ``reduced`` of them in reduced mode.

    A sample is spread: the cases are divided into ``reduced`` parts of equal length, and one is drawn from
    each. It depends on the seed and the two numbers only, so that every worker of a run draws the same.
    """
    if _current.mode == "full" or len(cases) <= reduced:
        return list(cases)
    chance = random.Random(f"{_current.seed} {len(cases)} {reduced}")
    ends = [len(cases) * part // reduced for part in range(reduced + 1)]
    return [cases[chance.randrange(start, end)] for start, end in pairwise(ends)]


def sample_of_long(tests: Sequence[Case]) -> list[Case]:
    """Return the tests of a module in `LONG` that run."""
    return sample(tests, max(1, len(tests) // ONE_IN))


def number(*, reduced: int, full: int) -> int:
    """Return how often to repeat something, for loops without a list of cases."""
    return full if _current.mode == "full" else reduced
