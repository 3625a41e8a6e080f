"""The origin of a run: the commit of the project and the CI job, if they are known."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monarch.system.atomic_files import is_own

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# git-check-ref-format(1)
_REFERENCE = re.compile(r"refs(/[^/\x00-\x20\x7f~^:?*\[\\]+)+")
_LARGEST = 64 << 20  # bytes; packed-refs of a million branches has as many


@dataclass(frozen=True)
class Origin:
    """``commit`` is a git hash, ``job`` the name of the CI job, and ``link`` its address."""

    commit: str | None = None
    job: str | None = None
    link: str | None = None


UNKNOWN_ORIGIN = Origin()


def find_origin(root: Path, variables: Mapping[str, str] = os.environ) -> Origin:
    """Return the origin of a run of the project at ``root``, from its checkout and the ``variables``."""
    job, link = _find_job(variables)
    return Origin(_find_commit(root), job, link)


def _find_job(variables: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the name and the address of the job, from the variables that each CI system documents."""
    get = variables.get
    if get("GITHUB_ACTIONS"):
        run = f"{get('GITHUB_SERVER_URL')}/{get('GITHUB_REPOSITORY')}/actions/runs/{get('GITHUB_RUN_ID')}"
        return f"{get('GITHUB_WORKFLOW', 'GitHub')} / {get('GITHUB_JOB', '?')}", run
    if get("TF_BUILD"):
        base = f"{get('SYSTEM_TEAMFOUNDATIONCOLLECTIONURI', '')}{get('SYSTEM_TEAMPROJECT', '')}"
        return get("BUILD_DEFINITIONNAME"), f"{base}/_build/results?buildId={get('BUILD_BUILDID')}"
    for name, address in (
        ("CI_JOB_NAME", "CI_JOB_URL"),  # GitLab
        ("CIRCLE_JOB", "CIRCLE_BUILD_URL"),
        ("BUILDKITE_LABEL", "BUILDKITE_BUILD_URL"),
        ("JOB_NAME", "BUILD_URL"),  # Jenkins
    ):
        if get(address):
            return get(name), get(address)
    return None, None


def _find_commit(root: Path) -> str | None:
    """Return the commit that is checked out at ``root`` or above. The layout is gitrepository-layout(5).

    As git does, this ignores a repository of another user: in a shared folder anybody can make one.
    """
    for folder in (root, *root.parents):
        git = folder / ".git"
        try:
            if stat.S_ISREG(git.lstat().st_mode):  # a worktree or a submodule
                git = folder / _read(git).removeprefix("gitdir:").strip()
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return None
        try:
            return _read_head(git) if is_own(git.lstat()) and is_own(git.stat()) else None
        except (OSError, ValueError):
            return None
    return None


def _read_head(git: Path) -> str | None:
    head = _read(git / "HEAD").strip()
    if not head.startswith("ref:"):
        return _commit(head)
    name = head.removeprefix("ref:").strip()
    if not _REFERENCE.fullmatch(name) or ".." in name:
        return None
    common = git
    if os.path.lexists(git / "commondir"):
        common = git / _read(git / "commondir").strip()
    for place in (git, common):
        if os.path.lexists(place / name):
            return _commit(_read(place / name).strip())
    for line in _read(common / "packed-refs").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return _commit(commit)
    return None


def _commit(text: str) -> str | None:
    return text if _COMMIT.fullmatch(text) else None


def _read(path: Path) -> str:
    """Return the text of a regular file of this user. A link is not followed, and a pipe does not hang.

    :raises OSError: if it is something else, or cannot be read.
    """
    # Windows has neither of these flags.
    careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, os.O_RDONLY | careful), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or not is_own(found):
            raise PermissionError(f"{path} is not a regular file of this user")
        return file.read(_LARGEST).decode("utf-8", "surrogateescape")
