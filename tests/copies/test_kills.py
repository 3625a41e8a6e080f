"""Kills of copies: at up to 157 moments, most of them in the swap, and at 15 of a copy in place.

SIGKILL comes before a command reaches the server, after it has reached the server but before the answer
("during"), or after the answer.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest

from monarch import Project
from monarch.databases.history import IncompleteDatabase
from monarch.databases.mongo.collection_names import LEASE, SWAP
from tests.support import counts
from tests.support.runs.copy_kills import (
    SOURCES,
    Copy,
    CopyScenario,
    Moment,
    NextCommand,
    Run,
    Stage,
    copy_scenario,
)
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

pytestmark = pytest.mark.server

CHUNKS = counts.number(reduced=2, full=8)
READS = ("find", "listCollections", "count", "aggregate")
EVERY = 3  # of the commands before the swap
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
# A copy takes longest, so it is tried less often.
NEXT_COMMANDS: tuple[NextCommand, ...] = (
    "list_migrations",
    "migrate",
    "list_migrations",
    "migrate",
    "copy_db",
)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    with run_mongod() as (port, _), copy_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made:
        yield made


def moments(run: Run) -> list[tuple[int, Moment]]:
    """Return when to kill copies: in the swap, this is during every change and between any two."""
    found: list[tuple[int, Moment]] = [
        (number, MOMENTS[number // EVERY % 3]) for number in range(1, run.begins, EVERY)
    ]
    for number in range(run.begins, len(run.commands) + 1):
        command = run.commands[number - 1]
        if command.target == LEASE or command.name in READS:
            # The command leaves the target as it is, so "after" equals "before" the next command.
            found += [(number, "before")] if number % 3 == 0 else []
        else:
            is_turning_point = number in (run.begins, run.ends)
            found += [(number, moment) for moment in (MOMENTS if is_turning_point else ("during", "after"))]
    return found


def kills(run: Run) -> list[tuple[int, Moment]]:
    """Return the moments to test in ``run``: all, or a sample of each stage and side."""
    kinds: dict[tuple[Stage | None, Moment], list[tuple[int, Moment]]] = {}
    for number, moment in moments(run):
        kinds.setdefault((run.stage(number, moment), moment), []).append((number, moment))
    return sorted(kill for kind in kinds.values() for kill in counts.sample(kind, 1 + len(kind) // 20))


def test_there_are_many_moments(scenario: CopyScenario) -> None:
    run, other = scenario.runs["first"], scenario.runs["second"]
    # A command's number means about the same moment in both directions. One of them tries an index first.
    assert abs(len(run.commands) - len(other.commands)) <= 2
    assert abs(run.begins - other.begins) <= 2
    assert abs(run.ends - other.ends) <= 2
    found = moments(run)
    stages = [run.stage(*moment) for moment in found]
    assert len(found) >= 120
    assert stages.count("old") >= 20
    assert stages.count("between") >= 80
    assert {"new", None} < set(stages)
    assert {run.stage(*moment) for moment in kills(run)} == set(stages)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_next_command_recovers_from_a_kill(scenario: CopyScenario, chunk: int) -> None:
    for index, (number, moment) in enumerate(kills(scenario.runs["first"])[chunk::CHUNKS]):
        scenario.kill(number, moment, NEXT_COMMANDS[(index + chunk) % len(NEXT_COMMANDS)])


def test_a_killed_copy_in_place(scenario: CopyScenario) -> None:
    """Every command except a copy and a drop refuses a target that was emptied."""
    runs = {}
    for _ in SOURCES:
        source = scenario.other
        runs[source] = scenario.copy(in_place=True)
    first = emptying(runs["first"])
    begins, ends = runs["first"].begins, runs["first"].ends
    numbers = range(first, ends + 1, (ends - first) // 11)
    assert len(numbers) >= 11
    for number in (first - 1, *counts.sample(numbers, 2), begins - 1, begins):
        source = scenario.other
        run = runs[source]
        copy = Copy(scenario.folder.path, source, in_place=True)
        scenario.proxy.at(number, copy.kill, moment="after")
        copy.start()
        assert copy.end() == -signal.SIGKILL
        if number < emptying(run):
            scenario.recover("old", source, "list_migrations")
        elif number < run.begins:
            require_refusals(scenario, source)
            if number % 2:
                Project(scenario.folder.path).drop("target")
                scenario.fence = 0
            scenario.run("copy_db", source)
            scenario.current = source
            scenario.require_settled()
        else:
            scenario.recover("between" if number < run.ends else "new", source, "list_migrations")


def emptying(run: Run) -> int:
    """Return the number of the command with which a copy in place records that it empties the target."""
    return [command[::2] for command in run.commands].index(("update", SWAP)) + 1


def require_refusals(scenario: CopyScenario, source: str) -> None:
    for next_command in ("list_migrations", "migrate"):
        with pytest.raises(
            IncompleteDatabase, match=f"'target' was emptied for `copy_db {source}:target --in-place`"
        ):
            scenario.run(next_command, source)


@pytest.fixture(scope="module")
def slow_scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    """A target whose server can delay commands."""
    with (
        run_mongod("--setParameter", "enableTestCommands=1") as (port, _),
        copy_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made,
    ):
        yield made


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("in_place", [False, True])
def test_an_abandoned_swap_never_begins(slow_scenario: CopyScenario, in_place: bool, killed: bool) -> None:
    """The head may still be in transit when Ctrl-C makes monarch abandon the swap and drop the staging.

    With ``killed``, monarch is killed during that cleanup.
    """
    scenario = slow_scenario
    source = scenario.other
    run = scenario.copy(in_place=in_place)
    scenario.copy()
    inserts = sum(command.name == "insert" for command in run.commands[: run.begins])
    copy = Copy(scenario.folder.path, source, in_place=in_place)
    head = {"failCommands": ["update"], "namespace": f"{scenario.target.name}.{SWAP}"}
    late = {**head, "blockConnection": True, "blockTimeMS": 2000}

    def interrupt() -> None:
        client = scenario.target.client
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=late)
        if killed:
            scenario.proxy.at(2, copy.kill, moment="after", only="drop")
        copy.kill(signal.SIGINT)

    # The first update after the last insert: by then the steps are in the swap log.
    begin = partial(scenario.proxy.at, 1, interrupt, then="go on", only="update")
    scenario.proxy.at(inserts, begin, then="go on", only="insert")
    copy.start()
    assert copy.end() == (-signal.SIGKILL if killed else 130)
    deadline = time.monotonic() + 60
    while (scenario.target[SWAP].find_one({"_id": "head"}) or {}).get("state") != "swapping":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if in_place:
        require_refusals(scenario, source)
        scenario.run("copy_db", source)
        scenario.current = source
        scenario.require_settled()
    else:
        scenario.recover("old", source, "list_migrations")
