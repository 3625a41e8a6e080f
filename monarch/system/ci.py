"""The origin of a run: the commit of the project and the CI job, if they are known."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40,64}")


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
    """Return the commit that is checked out at ``root`` or above. The layout is gitrepository-layout(5)."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        try:
            if git.is_file():  # a worktree or a submodule
                git = folder / git.read_text().removeprefix("gitdir:").strip()
            if git.is_dir():
                return _read_head(git)
        except (OSError, ValueError):
            return None
    return None


def _read_head(git: Path) -> str | None:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref:").strip()
    common = git
    if (git / "commondir").exists():
        common = git / (git / "commondir").read_text().strip()
    for place in (git, common):
        if (place / name).is_file():
            return (place / name).read_text().strip()
    for line in (common / "packed-refs").read_text().splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return commit
    return None
