"""``backup`` of several environments: a backup of each, one after the other or several at once."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs.shell import MONARCH, CommandResult, Folder
from tests.support.servers.mongod import Server

HOOK = """
import time
def after_backup(context, result):
    if context.environment.name == {name!r}:
        print("hooked")
        for _ in range(600): time.sleep(0.1)
"""

RULES = """
    from monarch.privacy import Masks, full_name, keep

    masks = Masks()
    masks['dogs'] = {'_id': keep, 'name': full_name()}
    """


class Fleet:
    """A project with the environments eu-1, eu-2, eu-3 and us-1, each with a dog."""

    names = ("eu-1", "eu-2", "eu-3", "us-1")

    def __init__(self, folder: Folder, server: Server) -> None:
        self.folder = folder
        self.client = server.client()
        self.entries: dict[str, dict[str, Any]] = {
            name: {"uri": server.uri, "db_name": f"{folder.db_name}_{name}"} for name in self.names
        }
        for entry in self.entries.values():
            self.client[entry["db_name"]].dogs.insert_one({"name": "Waldi"})
        self.settings()

    def settings(self, more: str = "") -> None:
        self.folder.settings(**self.entries)
        self.folder.keep_backups()
        with (self.folder.path / "migrations/settings.py").open("a", encoding="utf-8") as file:
            file.write(more)

    def kept(self) -> set[str]:
        listed = self.folder.invoke("list_backups", "--json").json
        return {row["environment"] for row in listed if row["state"] == "good"}

    def run(self, *arguments: str) -> CommandResult:
        return self.folder.monarch(*arguments)


@pytest.fixture
def fleet(folder: Folder, server: Server) -> Iterator[Fleet]:
    made = Fleet(folder, server)
    yield made
    with made.client:
        for name in made.client.list_database_names():
            if name.startswith(folder.db_name):
                made.client.drop_database(name)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_each_is_backed_up(fleet: Fleet, jobs: str) -> None:
    done = fleet.run("backup", "eu-*", "--jobs", jobs, "--verify", "--protect")
    assert done.code == 0, done
    assert fleet.kept() == {"eu-1", "eu-2", "eu-3"}
    assert "Backed up 3 of 3 databases of eu-1, eu-2, eu-3: " in done.out
    lines = [line.split()[0] for line in done.out.splitlines() if line.startswith("eu-")]
    assert lines == ["eu-1", "eu-2", "eu-3"]
    assert done.err.count(" is protected") == 3
    assert fleet.run("verify_backup", "--all").code == 0
    rows = fleet.run("backup", "eu-1", "us-1", "--json", "--jobs", jobs).json
    assert [row["environment"] for row in rows] == ["eu-1", "us-1"]
    assert all(row["backup"]["collections"] for row in rows)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_that_fails_does_not_stop_the_others_unless_asked(fleet: Fleet, jobs: str) -> None:
    fleet.entries["eu-1"] = {"host": "localhost:1", "db_name": "gone"}
    fleet.settings()
    done = fleet.run("backup", "*", "--jobs", jobs)
    assert done.code == 5
    assert "1 of 4 databases of eu-1, eu-2, eu-3, us-1 failed: gone." in done.err
    assert fleet.kept() == {"eu-2", "eu-3", "us-1"}
    if jobs == "1":
        stopped = fleet.run("backup", "*", "--fail-fast", "--name", "second")
        assert stopped.code == 5
        assert "3 not begun." in stopped.err
        assert "second" not in fleet.run("list_backups").out


def test_old_ones_of_each_are_pruned(fleet: Fleet) -> None:
    fleet.settings("BACKUPS['keep'] = {'last': 1}\n")
    for _ in range(2):
        assert fleet.run("backup", "eu-1", "eu-2", "--prune", "--jobs", "2").code == 0
    listed = fleet.run("list_backups", "--json").json
    assert sorted(row["environment"] for row in listed) == ["eu-1", "eu-2"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_complete(fleet: Fleet, jobs: str) -> None:
    fleet.settings(HOOK.format(name="eu-2"))
    started = fleet.folder.start("backup", "eu-*", "--jobs", jobs)
    end = time.monotonic() + 60
    while "eu-2" not in fleet.kept():
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(0.5)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=100)
    assert started.returncode == 130, err
    assert "Interrupted." in err.splitlines()[-1]
    assert "Traceback" not in err
    assert {"eu-1", "eu-2"} <= fleet.kept()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_is_complete_is_named_even_if_lines_are_lost(fleet: Fleet, jobs: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*MONARCH, "backup", "eu-1", "eu-2", "--jobs", jobs],
            cwd=fleet.folder.path,
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode != 0  # Python's own code, if it cannot flush standard error either
    kept = fleet.kept()
    assert kept or jobs == "1"
    assert kept == {line.split()[0] for line in done.stdout.splitlines() if line.startswith("eu-")} & kept


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_masked_backups_have_the_masks_of_the_key(fleet: Fleet, jobs: str) -> None:
    """The key of masks is in the environment of no program, and yet each process masks under it."""
    for entry in fleet.entries.values():
        entry["private"] = True
    scratch = f"{fleet.folder.db_name}_scratch"
    fleet.entries["scratch"] = {"uri": fleet.entries["us-1"]["uri"], "db_name": scratch}
    fleet.settings()
    fleet.folder.write("migrations/privacy.py", RULES)
    fleet.folder.variables["MONARCH_MASKS_KEY"] = "k" * 32
    taken = fleet.run("backup", "eu-1", "eu-2", "--masked", "--jobs", jobs, "--json").json
    assert [row["error"] for row in taken] == [None, None]
    names = set[str]()
    for row in taken:
        assert fleet.run("restore", f"{row['backup']['name']}:scratch", "--yes").code == 0
        names.update(dog["name"] for dog in fleet.client[scratch].dogs.find())
    assert len(names) == 1
    assert "Waldi" not in names
