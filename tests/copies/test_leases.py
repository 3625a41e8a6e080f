"""Two copies into one target: the second names the first; a run that lost its lease changes nothing."""

from __future__ import annotations

import getpass
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from monarch.databases.mongo.collection_names import LEASE
from monarch.errors import LockedError
from tests.support import counts
from tests.support.runs.copy_kills import SECONDS, Copy, CopyScenario, Run, copy_scenario
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

pytestmark = pytest.mark.server

# Instead of 30 seconds.
LEASE_LASTS = 1.0
# A short lease is renewed at any time, which would change the numbers of the commands.
RENEWALS = [("update", LEASE)]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    folder = Folder(tmp_path_factory.mktemp("project"))
    with run_mongod() as (port, _), copy_scenario(folder, port, uncounted=RENEWALS) as made:
        yield made


def stop(scenario: CopyScenario, number: int, *, lease: float | None = None) -> Copy:
    """Start a copy and stop it, as with Ctrl-Z, after it has sent the command ``number``."""
    return stop_at(scenario, Copy(scenario.folder.path, scenario.other, lease=lease), number)


def stop_at(scenario: CopyScenario, copy: Copy, number: int) -> Copy:
    stopped = threading.Event()

    def suspend() -> None:
        copy.kill(signal.SIGSTOP)
        stopped.set()

    scenario.proxy.at(number, suspend, then="go on")
    copy.start()
    assert stopped.wait(SECONDS)
    return copy


def test_the_second_copy_names_the_first(scenario: CopyScenario) -> None:
    source = scenario.other
    first = stop(scenario, 40)
    pid = first.pid
    with pytest.raises(LockedError) as caught:
        scenario.run("copy_db", source)
    assert caught.value.exit_code == 4
    who = f"process {pid} of {getpass.getuser()} on {socket.gethostname()}"
    assert f"'target' is held by {who} (copy_db {source}:target, since 2" in caught.value.message
    with pytest.raises(LockedError, match=who):
        scenario.run("migrate", source)
    first.kill(signal.SIGCONT)
    assert first.end() == 0
    scenario.current = source
    scenario.require_settled()


def test_the_exit_code_is_4(scenario: CopyScenario) -> None:
    source = scenario.other
    first = stop(scenario, 40)
    pid = first.pid
    result = scenario.folder.monarch("copy_db", f"{source}:target", "--yes")
    first.kill(signal.SIGKILL)
    assert first.end() == -signal.SIGKILL
    assert result.code == 4
    assert f"Error: 'target' is held by process {pid} of " in result.err
    scenario.recover("old", source, "migrate")


def wait_until_the_lease_ends(scenario: CopyScenario) -> None:
    """Wait until another run can take the lease, by the server's clock."""
    over = {"$expr": {"$lt": ["$expires_at", "$$NOW"]}}
    deadline = time.monotonic() + SECONDS
    while scenario.target[LEASE].find_one(over) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# The command at which a copy is stopped, by what the copy does at that point.
PARTS: dict[str, Callable[[Run], int]] = {
    "staging": lambda run: run.begins // 2,
    "comparing": lambda run: run.begins - 15,
    "planning": lambda run: run.last("listCollections", before=run.begins) - 2,
    "writing the swap log": lambda run: run.begins - 2,
    "about to begin": lambda run: run.begins - 1,
    "begun": lambda run: run.begins,
    "moving": lambda run: run.number("renameCollection", f"{run.database}.system.js") + 2,
    "making a series": lambda run: run.number("create", "only_first_series") - 1,
    "filling a series": lambda run: run.number("create", "only_first_series"),
    "making a view": lambda run: run.number("create", "only_first_view") - 1,
    "cleaning": lambda run: run.ends - 3,
}


@pytest.fixture(autouse=True)
def _second(scenario: CopyScenario) -> None:
    """Copy the second source into the target, so that the test copies the first."""
    if scenario.current == "first":
        scenario.copy()


@pytest.mark.parametrize("part", counts.sample(list(PARTS), 3))
def test_a_copy_that_lost_its_lease_changes_nothing(scenario: CopyScenario, part: str) -> None:
    late = stop(scenario, PARTS[part](scenario.runs["first"]), lease=LEASE_LASTS)
    wait_until_the_lease_ends(scenario)
    # The same contents as before, so that data of the late copy in the target would be noticed.
    assert scenario.run("copy_db", "second")
    scenario.require_settled()
    late.kill(signal.SIGCONT)
    assert late.end() == LockedError.exit_code
    scenario.require_settled()


@pytest.mark.parametrize("part", counts.sample(["staging", "begun", "filling a series"], 1))
def test_a_copy_that_lost_its_lease_does_not_disturb_the_next(scenario: CopyScenario, part: str) -> None:
    """The next holder is in the middle of its own copy when the late copy continues."""
    run = scenario.runs["second"]
    for number in counts.sample([run.begins // 2, run.begins, (run.begins + run.ends) // 2], 1):
        late = stop(scenario, PARTS[part](scenario.runs["first"]), lease=LEASE_LASTS)
        wait_until_the_lease_ends(scenario)
        scenario.run("migrate", "first")
        scenario.current = "first" if part != "staging" else "second"
        if scenario.current == "second":
            scenario.copy()
        copy = Copy(scenario.folder.path, "second")
        stop_at(scenario, copy, number)
        late.kill(signal.SIGCONT)
        assert late.end() == LockedError.exit_code
        copy.kill(signal.SIGCONT)
        assert copy.end() == 0
        scenario.current = "second"
        scenario.require_settled()
