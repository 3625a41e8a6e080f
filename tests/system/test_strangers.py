"""Files in a parent folder are not trusted, and nothing relies on /proc."""

from __future__ import annotations

import os
import socket
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from bson import Int64

from tests.support.runs.shell import Folder

COMMIT = "a" * 40
HIDE_PROC = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]


def commit_of(project: Folder) -> object:
    """Migrate with the project below the folder with ``.git``, and return the commit in the journal."""
    below = Folder(project.path / "app", project.server)
    below.db_name = project.db_name
    (project.path / "migrations").rename(project.path / "app" / "migrations")
    key = below.migration("one")
    result = below.monarch("migrate_one", key, "dev", "--yes")
    assert result.code == 0, result.err
    entry = project.database.mongo_migration_journal.find_one({"key": key})
    assert entry is not None
    return entry.get("commit")


@pytest.fixture
def git(project: Folder) -> Path:
    (project.path / "app").mkdir()
    git = project.path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    return git


def test_a_commit_is_recorded(project: Folder, git: Path) -> None:
    assert commit_of(project) == COMMIT


@pytest.mark.parametrize(
    "head",
    [
        "ref: ../secret",
        "ref: refs/../../secret",
        "ref: refs/heads/../../../secret",
        "ref: /etc/passwd",
        "secret",
    ],
)
def test_no_other_file_is_quoted(project: Folder, git: Path, head: str) -> None:
    (project.path / "secret").write_text("somebody's secret\n")
    (git / "HEAD").write_text(head)
    assert commit_of(project) is None


def test_a_text_that_is_not_a_commit_is_not_recorded(project: Folder, git: Path) -> None:
    (git / "refs" / "heads" / "main").write_text("somebody's secret\n")
    assert commit_of(project) is None


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main"])
def test_a_pipe_does_not_block(project: Folder, git: Path, name: str) -> None:
    (git / name).unlink()
    os.mkfifo(git / name)
    assert commit_of(project) is None


def can_hide_proc() -> bool:
    return subprocess.run([*HIDE_PROC, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("prefix", [[], HIDE_PROC], ids=["", "without /proc"])
@pytest.mark.parametrize("space", [None, "boot 1"])
def test_a_lease_of_another_machine_with_the_same_name_is_not_taken(
    project: Folder, space: str | None, prefix: list[str]
) -> None:
    """That machine has no /proc, and its process has a number that nothing has here."""
    if prefix and not can_hide_proc():
        pytest.skip("hiding /proc needs the right to mount: run the tests as root")
    project.migration("one", "self.database.c.insert_one({})")
    ended = subprocess.Popen(["true"])
    ended.wait()
    holder = {"host": socket.gethostname(), "user": "ann", "pid": ended.pid, "pid_space": space, "run": "x"}
    ends = datetime(2099, 1, 1)
    lease = {"_id": "lease", "holder": holder, "fence": Int64(3), "lineage": 1, "expires_at": ends}
    project.database.monarch_lease.insert_one(lease)
    result = project.monarch("migrate", "dev", "--no-wait", prefix=prefix)
    assert result.code == 4, result.output
    assert "'dev' is held by process" in result.err
    assert project.database.monarch_lease.find_one() == lease
    assert project.database.c.find_one() is None


def test_without_proc_everything_works(project: Folder) -> None:
    if not can_hide_proc():
        pytest.skip("hiding /proc needs the right to mount: run the tests as root")
    project.migration("one", "self.database.c.insert_one({})")
    result = project.monarch("migrate", "dev", prefix=HIDE_PROC)
    assert result.code == 0, result.err
