"""``drop_db`` and ``unlock``, killed between what they do and its record: nothing is done unseen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monarch import Project
from monarch.databases.mongo.database import MongoDatabase
from monarch.errors import ServerError
from tests.support.runs.postgres_pair import make_pair
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.server

# The command line of monarch, killed when it records how something has ended.
KILLED = """
import os, signal
from monarch.backups.operations import record
from monarch.commands import main

def kill(self, outcome):
    os.kill(os.getpid(), signal.SIGKILL)

record._Recording._end = kill
main()
"""


@pytest.fixture(params=["mongo", "postgres"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    """A project whose environment ``dev`` holds something, with a store of backups."""
    if request.param == "mongo":
        found: Folder = request.getfixturevalue("two").folder
        found.keep_backups()
        yield found
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with make_pair(tmp_path, server, server) as pair:
        yield pair.folder


def kill(folder: Folder, *arguments: str) -> None:
    """Run a command that is killed before it records how it has ended."""
    run = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], cwd=folder.path, capture_output=True, text=True
    )
    assert run.returncode == -signal.SIGKILL, run.stderr


def everything(folder: Folder) -> list[tuple[str, str]]:
    """Return what the journal and the store have of ``dev``, and its outcomes."""
    result = folder.invoke("history", "dev", "--everything", "--json")
    assert result.code == 0, result.err
    entries: list[dict[str, Any]] = json.loads(result.out)
    return [(one["key"], one["outcome"]) for one in entries]


def test_a_killed_drop_is_remembered(folder: Folder) -> None:
    kill(folder, "drop_db", "dev", "--yes")
    with Project(folder.path).open("dev") as database:
        assert database.contents().collections == 0, "it was dropped"
    assert everything(folder) == [("drop_db dev", "Interrupted")]
    (line,) = (folder.path / "backups").glob("drop__*")
    assert line.name.endswith(".begun.journal")
    assert folder.invoke("drop_db", "dev", "--yes").code == 0
    assert everything(folder) == [("drop_db dev", "Interrupted"), ("drop_db dev", "Completed")]
    # If the open line cannot be deleted, what has ended counts.
    ended = next(path for path in line.parent.glob("drop__*") if path != line)
    line.rename(ended.with_name(ended.name.replace(".journal", ".begun.journal")))
    assert everything(folder) == [("drop_db dev", "Completed")]


def test_a_killed_unlock_is_remembered(folder: Folder) -> None:
    with Project(folder.path).open("dev") as database, database.lease("migrate dev"):
        kill(folder, "unlock", "dev", "--yes")
        assert database.holder() is None, "it was unlocked"
    assert everything(folder) == [("unlock dev: migrate dev", "Interrupted")]
    assert list((folder.path / "backups").glob("unlock__*")) == []


def test_an_unlock_of_a_run_that_has_ended_is_not_recorded(folder: Folder) -> None:
    project = Project(folder.path)
    with project.open("dev") as database, database.lease("migrate dev"):
        holder = project.holder("dev")
        assert holder is not None
    assert not project.unlock("dev", holder)
    assert everything(folder) == []


def test_a_failed_drop_is_recorded(two: TwoEnvironments, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: MongoDatabase, check: Callable[[], None]) -> None:
        raise ServerError("no", "none")

    two.folder.keep_backups()
    monkeypatch.setattr(MongoDatabase, "drop", fail)
    assert two.folder.invoke("drop_db", "dev", "--yes").code == 5
    assert everything(two.folder) == [("drop_db dev", "Failed")]
