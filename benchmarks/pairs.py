"""Timing commands in pairs: taken in turns, so that a busy moment of the machine hits them all."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Timed:
    """The seconds of every run of a command, the first of each left out."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def time_in_turns(
    commands: Mapping[str, Sequence[str]], rounds: int, folder: Path | None = None
) -> dict[str, Timed]:
    """Run every command once a round; a command that fails ends the benchmark."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - began)
    return {name: Timed(name, tuple(taken[1:])) for name, taken in seconds.items()}


def paired_ratio(one: Timed, other: Timed) -> float:
    """The median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(one.seconds, other.seconds, strict=True))


def print_head(title: str) -> None:
    """What ran where, without naming the machine."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("monarch", "click", "pymongo"))
    print(title)
    print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores")
    print()


def print_row(timed: Timed, ratio: float | None = None, beside: str = "", limit: float | None = None) -> None:
    """One line of a table: the median, and the ratio with its limit where there is one."""
    line = f"{timed.name:<44} {timed.median * 1000:8.1f} ms"
    if ratio is not None:
        line += f"   {ratio:5.2f} of {beside}"
    if limit is not None and ratio is not None:
        line += f" (at most {limit}: {'kept' if ratio <= limit else 'MISSED'})"
    print(line)
