"""monarch is killed while it copies: at up to 157 moments, dense in the swap, and at 15 of a copy in place.

SIGKILL comes before a command reaches the server, when it has reached it and nobody waits for the answer
("during"), or when it has been answered.
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
from tests.support.runs.copy_kills import SOURCES, Copy, CopyScenario, Moment, Run, Stage, Then, copy_scenario
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import run_mongod

pytestmark = pytest.mark.server

CHUNKS = counts.number(reduced=2, full=8)
READS = ("find", "listCollections", "count", "aggregate")
EVERY = 3  # of the commands before the swap
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
# A copy takes longest, so it comes less often.
THEN: tuple[Then, ...] = ("list_migrations", "migrate", "list_migrations", "migrate", "copy_db")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    with run_mongod() as (port, _), copy_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made:
        yield made


def moments(run: Run) -> list[tuple[int, Moment]]:
    """Return when copies are killed: in the swap, between any two changes and during each."""
    found: list[tuple[int, Moment]] = [
        (number, MOMENTS[number // EVERY % 3]) for number in range(1, run.begins, EVERY)
    ]
    for number in range(run.begins, len(run.commands) + 1):
        command = run.commands[number - 1]
        if command.target == LEASE or command.name in READS:
            # It changes nothing in the target: after it is the same as before the next one.
            found += [(number, "before")] if number % 3 == 0 else []
        else:
            decides = number in (run.begins, run.ends)
            found += [(number, moment) for moment in (MOMENTS if decides else ("during", "after"))]
    return found


def kills(run: Run) -> list[tuple[int, Moment]]:
    """Return the moments to test in ``run``: all, or a sample of each stage and side."""
    kinds: dict[tuple[Stage | None, Moment], list[tuple[int, Moment]]] = {}
    for number, moment in moments(run):
        kinds.setdefault((run.stage(number, moment), moment), []).append((number, moment))
    return sorted(kill for kind in kinds.values() for kill in counts.sample(kind, 1 + len(kind) // 20))


def test_there_are_many_moments(target: CopyScenario) -> None:
    run, other = target.runs["first"], target.runs["second"]
    # A number is about the same moment in both directions.
    assert [len(run.commands), run.begins, run.ends] == [len(other.commands), other.begins, other.ends]
    found = moments(run)
    stages = [run.stage(*moment) for moment in found]
    assert len(found) >= 140
    assert stages.count("old") >= 20
    assert stages.count("between") >= 100
    assert {"new", None} < set(stages)
    assert {run.stage(*moment) for moment in kills(run)} == set(stages)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_next_command_recovers_from_a_kill(target: CopyScenario, chunk: int) -> None:
    for place, (number, moment) in enumerate(kills(target.runs["first"])[chunk::CHUNKS]):
        target.kill(number, moment, THEN[(place + chunk) % len(THEN)])


def test_a_copy_in_place_that_is_killed(target: CopyScenario) -> None:
    """An emptied target is refused by every command except a copy and a drop."""
    runs = {}
    for _ in SOURCES:
        source = target.other
        runs[source] = target.copy(in_place=True)
    first = emptied(runs["first"])
    begins, ends = runs["first"].begins, runs["first"].ends
    numbers = range(first, ends + 1, (ends - first) // 11)
    assert len(numbers) >= 11
    for number in (first - 1, *counts.sample(numbers, 2), begins - 1, begins):
        source = target.other
        run = runs[source]
        copy = Copy(target.folder.path, source, in_place=True)
        target.proxy.at(number, copy.kill, moment="after")
        copy.start()
        assert copy.end() == -signal.SIGKILL
        if number < emptied(run):
            target.mend("old", source, "list_migrations")
        elif number < run.begins:
            refuse_the_emptied(target, source)
            if number % 2:
                Project(target.folder.path).drop("target")
                target.fence = 0
            target.run("copy_db", source)
            target.holds = source
            target.see()
        else:
            target.mend("between" if number < run.ends else "new", source, "list_migrations")


def emptied(run: Run) -> int:
    """Return the number of the command with which a copy in place writes that the target is emptied."""
    return [command[::2] for command in run.commands].index(("update", SWAP)) + 1


def refuse_the_emptied(target: CopyScenario, source: str) -> None:
    for then in ("list_migrations", "migrate"):
        with pytest.raises(
            IncompleteDatabase, match=f"'target' was emptied for `copy_db {source}:target --in-place`"
        ):
            target.run(then, source)


@pytest.fixture(scope="module")
def slow_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopyScenario]:
    """A target whose server can be made slow."""
    with (
        run_mongod("--setParameter", "enableTestCommands=1") as (port, _),
        copy_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made,
    ):
        yield made


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_swap_that_was_given_up_never_begins(
    slow_target: CopyScenario, in_place: bool, killed: bool
) -> None:
    """The head may still be on its way when Ctrl-C makes monarch give up and drop the staging.

    With ``killed`` monarch is killed while it gives up.
    """
    target = slow_target
    source = target.other
    run = target.copy(in_place=in_place)
    target.copy()
    inserts = sum(command.name == "insert" for command in run.commands[: run.begins])
    copy = Copy(target.folder.path, source, in_place=in_place)
    head = {"failCommands": ["update"], "namespace": f"{target.target.name}.{SWAP}"}
    late = {**head, "blockConnection": True, "blockTimeMS": 2000}

    def interrupt() -> None:
        client = target.target.client
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=late)
        if killed:
            target.proxy.at(2, copy.kill, moment="after", only="drop")
        copy.kill(signal.SIGINT)

    # The first update after the last insert: the steps are in the log by then.
    begin = partial(target.proxy.at, 1, interrupt, then="go on", only="update")
    target.proxy.at(inserts, begin, then="go on", only="insert")
    copy.start()
    assert copy.end() == (-signal.SIGKILL if killed else 130)
    deadline = time.monotonic() + 60
    while (target.target[SWAP].find_one({"_id": "head"}) or {}).get("state") != "swapping":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if in_place:
        refuse_the_emptied(target, source)
        target.run("copy_db", source)
        target.holds = source
        target.see()
    else:
        target.mend("old", source, "list_migrations")
