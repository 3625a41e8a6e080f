"""The real restic (Debian's package), whose policy of `forget` monarch's retention has to match."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MISSING = "There is no restic (apt-get install --no-install-recommends restic)."


def is_installed() -> bool:
    return shutil.which("restic") is not None


def keeps_oldest() -> bool:
    """Whether this version keeps the oldest snapshot while a number is not used up."""
    version = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, version.split()[1].split(".")[:2])) >= (0, 16)


@dataclass(frozen=True)
class Repository:
    """A repository of restic in ``folder``, whose snapshots have times and tags."""

    folder: Path

    def run(self, *arguments: str) -> str:
        variables = {"RESTIC_REPOSITORY": str(self.folder), "RESTIC_PASSWORD": "x", "TZ": "UTC"}
        run = subprocess.run(
            ["restic", "--no-cache", *arguments],
            input="nothing",
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout

    def add(self, moment: datetime, tags: Iterable[str]) -> None:
        """Make a snapshot with that time."""
        tagged = [part for tag in tags for part in ("--tag", tag)]
        time = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        self.run("backup", "--host", "h", "--stdin", "--stdin-filename", "f", "--time", time, *tagged)

    def kept(self, tag: str, options: Mapping[str, object]) -> list[datetime]:
        """Return the times of the snapshots with ``tag`` that `forget` would keep, the newest first."""
        given = [part for name, value in options.items() for part in (f"--keep-{name}", str(value))]
        groups = json.loads(
            self.run("forget", "--dry-run", "--json", "--group-by", "host", "--tag", tag, *given)
        )
        return sorted(
            (datetime.fromisoformat(one["time"]) for group in groups for one in group["keep"] or ()),
            reverse=True,
        )


def make_repository(folder: Path, snapshots: Sequence[tuple[datetime, Iterable[str]]]) -> Repository:
    """Make a repository with ``snapshots``, pairs of a time and tags."""
    repository = Repository(folder)
    repository.run("init")
    for moment, tags in snapshots:
        repository.add(moment, tags)
    return repository
