"""The real command lists a folder with thousands of backups."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monarch.backups.manifest import Manifest
from monarch.backups.names import MANIFEST, archive_name
from monarch.databases.transfer import CollectionSummary
from tests.support import counts
from tests.support.runs.shell import MONARCH, Folder

FEW, MANY = 10, counts.number(reduced=2_500, full=10_000)
# Bytes of memory for the command's own work, and for each backup: its manifest, as an object.
OWN, EACH = 10_000_000, 3_000
DAY = datetime(2014, 5, 29, tzinfo=UTC)
ARCHIVE = b"tiny"
# A child's peak memory includes its parent's at the fork, so the parent is a small process.
MEASURED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, used = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(used.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Listed:
    """The output of a command, and its peak memory in bytes."""

    out: str
    memory: int


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A project with two folders of backups."""
    made = Folder(tmp_path_factory.mktemp("project"))
    made.settings(dev={"embedded": True, "db_name": "app"})
    fill(made.path / "few", FEW)
    fill(made.path / "many", MANY)
    yield made
    shutil.rmtree(made.path)


def fill(folder: Path, many: int) -> None:
    """Create ``many`` backups, each from a different day."""
    folder.mkdir()
    (folder / "tiny").write_bytes(ARCHIVE)
    held = tuple(CollectionSummary(f"collection_{number}", "collection", 10, 1000, 2) for number in range(5))
    manifest = Manifest(
        archive="",
        kind="mongo",
        environment="production",
        database="app",
        server="MongoDB 7.0.0",
        engine="native",
        versions=("pymongo 4.0",),
        monarch="1.0",
        query_set=None,
        query_options=(),
        query_filters=(),
        one_moment=True,
        taken_at=DAY,
        finished_at=DAY,
        codec="zst",
        level=3,
        size=len(ARCHIVE),
        sha256=hashlib.sha256(ARCHIVE).hexdigest(),
        collections=held,
    )
    for number in range(many):
        day = DAY + timedelta(days=number)
        archive = archive_name(f"app__{day:%Y_%m_%d}", "zst")
        (folder / archive).hardlink_to(folder / "tiny")
        text = replace(manifest, archive=archive, taken_at=day, finished_at=day).to_bytes()
        (folder / (archive + MANIFEST)).write_bytes(text)


def list_backups(folder: Folder, backup_dir: str, *arguments: str) -> Listed:
    folder.keep_backups(backup_dir)
    measured = folder.path / "memory"
    command = [sys.executable, "-c", MEASURED, str(measured), *MONARCH, "list_backups", *arguments]
    result = subprocess.run(command, cwd=folder.path, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")
    return Listed(result.stdout, int(measured.read_text()) * 1024)


@pytest.mark.parametrize("as_json", counts.sample([True, False], 1))
def test_many_backups_are_listed_in_little_memory(project: Folder, as_json: bool) -> None:
    options = ["--json"] if as_json else []
    few, many = (list_backups(project, name, *options) for name in ("few", "many"))
    if as_json:
        rows = json.loads(many.out)
        assert len(json.loads(few.out)) == FEW
        assert len({row["archive"] for row in rows}) == len(rows) == MANY
        assert {(row["state"], row["documents"]) for row in rows} == {("good", 50)}
        times = [row["taken_at"] for row in rows]
        assert times == sorted(times)
    else:
        assert len(few.out.splitlines()) == FEW + 1
        assert len(many.out.splitlines()) == MANY + 1
        assert many.out.count(" good") == MANY
    assert many.memory - few.memory < OWN + MANY * EACH
