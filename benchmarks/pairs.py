"""Timing commands in pairs: taken in turns, so that a busy moment of the machine hits them all."""

from __future__ import annotations

import os
import platform
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
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


def time_once(command: Sequence[str], folder: Path | None) -> float:
    """The seconds that ``command`` takes; one that fails ends the benchmark."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def time_and_weigh(command: Sequence[str], folder: Path | None) -> tuple[float, int]:
    """Its seconds, and the most memory in bytes that its own process had, those that it started left out.

    For commands that take seconds: it is asked for its memory now and then. What it says on stderr is shown
    if it fails.
    """
    peak = 0
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            ended = os.pidfd_open(process.pid)
            while not select.select([ended], [], [], 0.05)[0]:
                peak = max(peak, _peak(process.pid))
            seconds = time.perf_counter() - began
            os.close(ended)
        except BaseException:
            process.terminate()
            raise
        finally:
            code = process.wait()
        if code != 0:
            errors.seek(0)
            sys.stderr.write(errors.read().decode(errors="replace"))
            raise subprocess.CalledProcessError(code, command)
    return seconds, peak


def _peak(pid: int) -> int:
    """Return the peak memory of a process since its program was started; 0 once it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else 0


def time_in_turns(
    commands: Mapping[str, Sequence[str]],
    rounds: int,
    folder: Path | None = None,
    run: Callable[[Sequence[str], Path | None], float] = time_once,
) -> dict[str, Timed]:
    """``run`` every command once a round, for its seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            seconds[name].append(run(command, folder))
    return {name: Timed(name, tuple(taken[1:])) for name, taken in seconds.items()}


def paired_ratio(one: Timed, other: Timed) -> float:
    """The median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(one.seconds, other.seconds, strict=True))


def print_head(title: str, *more: str) -> None:
    """Print what ran where, without naming the machine, and the lines ``more``."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("monarch", "click", "pymongo"))
    print(title)
    print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores")
    for line in more:
        print(line)
    print()


def print_row(timed: Timed, ratio: float | None = None, base: str = "", limit: float | None = None) -> None:
    """One line of a table: the median, and the ratio with its limit where there is one."""
    taken = f"{timed.median * 1000:8.1f} ms" if timed.median < 5 else f"{timed.median:8.1f} s "
    line = f"{timed.name:<44} {taken}"
    if ratio is not None:
        line += f"   {ratio:5.2f} of {base}"
    if limit is not None and ratio is not None:
        line += f" (at most {limit}: {'kept' if ratio <= limit else 'MISSED'})"
    print(line)


def print_peak(name: str, peak: int, limit: int | None = None) -> None:
    """One line of a table of peak memory, ``limit`` in MB."""
    line = f"{name:<44} {peak / 1e6:8.1f} MB at most"
    if limit is not None:
        line += f" (under {limit}: {'kept' if peak < limit * 1e6 else 'MISSED'})"
    print(line)
