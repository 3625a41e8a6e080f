"""The origin of a run, as far as it is known."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from monarch.system.ci import UNKNOWN_ORIGIN, Origin, find_origin


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A subfolder of a real repository with one commit."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    return subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_equals_that_of_git(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert find_origin(repository, {}) == Origin(commit)
    git(repository, "pack-refs", "--all")
    assert find_origin(repository, {}).commit == commit
    git(repository, "checkout", "-q", "--detach")
    assert find_origin(repository, {}).commit == commit


def test_a_worktree_has_its_own_commit(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "beside"))
    git(tmp_path / "beside", "commit", "-q", "--allow-empty", "-m", "second")
    commit = git(tmp_path / "beside", "rev-parse", "HEAD")
    assert commit != git(repository, "rev-parse", "HEAD")
    assert find_origin(tmp_path / "beside", {}).commit == commit


def test_a_missing_or_broken_repository_has_no_commit(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    (folder / ".git").mkdir(parents=True)
    for head in (None, "", "nonsense", "ref: refs/heads/gone"):
        if head is not None:
            (folder / ".git" / "HEAD").write_text(head)
        assert find_origin(folder, {}) == UNKNOWN_ORIGIN


SECRET = "password=hush"


@pytest.mark.parametrize(
    "head",
    [
        "ref: ../secret",
        "ref: refs/../../secret",
        "ref: refs/heads/../../../secret",
        "ref: /etc/passwd",
        "ref: secret",
        "ref: refs/heads/leak",
        "ref: refs/heads/pipe",
        "ref: refs/heads/link",
        SECRET,
        "a" * 41,
    ],
)
def test_a_text_that_is_not_a_commit_is_ignored(tmp_path: Path, head: str) -> None:
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "secret").write_text(SECRET)
    (git / "secret").write_text(SECRET)
    (git / "HEAD").write_text(head)
    (git / "refs" / "heads" / "leak").write_text(SECRET)
    (git / "refs" / "heads" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(git / "refs" / "heads" / "pipe")
    (git / "packed-refs").write_text(f"{SECRET} refs/heads/gone\n")
    assert find_origin(tmp_path, {}) == UNKNOWN_ORIGIN
    (git / "HEAD").write_text("ref: refs/heads/gone")
    assert find_origin(tmp_path, {}) == UNKNOWN_ORIGIN


@pytest.mark.parametrize("name", [".git", "HEAD", "commondir", "packed-refs"])
@pytest.mark.parametrize("kind", ["pipe", "loop", "folder"])
def test_a_special_file_neither_blocks_nor_fails(
    repository: Path, tmp_path: Path, name: str, kind: str
) -> None:
    git(repository, "pack-refs", "--all")
    path = tmp_path / name if name == ".git" else tmp_path / ".git" / name
    if path.exists():
        path.rename(tmp_path / "away")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.mkdir()
    assert find_origin(repository, {}) == UNKNOWN_ORIGIN


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
@pytest.mark.parametrize("name", [".git", ".git/HEAD", ".git/refs/heads/main"])
def test_a_repository_of_another_user_is_not_trusted(repository: Path, tmp_path: Path, name: str) -> None:
    git(repository, "branch", "-M", "main")
    assert find_origin(repository, {}).commit
    os.chown(tmp_path / name, 12345, -1)
    assert find_origin(repository, {}) == UNKNOWN_ORIGIN


@pytest.mark.parametrize(
    ("variables", "job", "link"),
    [
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_REPOSITORY": "us/app",
                "GITHUB_RUN_ID": "7",
                "GITHUB_WORKFLOW": "deploy",
                "GITHUB_JOB": "migrate",
            },
            "deploy / migrate",
            "https://github.com/us/app/actions/runs/7",
        ),
        ({"CI_JOB_NAME": "migrate", "CI_JOB_URL": "https://gitlab/7"}, "migrate", "https://gitlab/7"),
        ({"JOB_NAME": "migrate", "BUILD_URL": "https://jenkins/7"}, "migrate", "https://jenkins/7"),
        ({"CIRCLE_JOB": "migrate", "CIRCLE_BUILD_URL": "https://circle/7"}, "migrate", "https://circle/7"),
        (
            {"BUILDKITE_LABEL": "migrate", "BUILDKITE_BUILD_URL": "https://kite/7"},
            "migrate",
            "https://kite/7",
        ),
        (
            {
                "TF_BUILD": "True",
                "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/us/",
                "SYSTEM_TEAMPROJECT": "app",
                "BUILD_BUILDID": "7",
                "BUILD_DEFINITIONNAME": "deploy",
            },
            "deploy",
            "https://dev.azure.com/us/app/_build/results?buildId=7",
        ),
        ({"CI": "true"}, None, None),
    ],
)
def test_the_job_comes_from_the_variables_of_ci(
    tmp_path: Path, variables: dict[str, str], job: str, link: str
) -> None:
    origin = find_origin(tmp_path, variables)
    assert (origin.job, origin.link) == (job, link)
