"""monarch is killed while it copies: at every command of the swap, and at many before it.

SIGKILL comes before a command reaches the server, when it has reached it and nobody waits for the answer,
or when it has been answered. All together, 187 moments.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monarch import Project
from monarch.databases.mongo.names import LEASE, SWAP
from monarch.history import NotWhole
from tests.kills import Bench, Copy, Moment, Run, Then, bench
from tests.servers import run_mongod
from tests.shell import Folder

pytestmark = pytest.mark.server

CHUNKS = 8
READS = ("find", "listCollections", "count", "aggregate")
EVERY = 2  # of the commands before the swap
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
# A copy takes longest, so it is not as often what comes next.
THEN: tuple[Then, ...] = ("list_migrations", "migrate", "list_migrations", "migrate", "copy_db")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with run_mongod() as (port, _), bench(Folder(tmp_path_factory.mktemp("project")), port) as made:
        yield made


def moments(run: Run) -> list[tuple[int, Moment]]:
    """When copies are killed."""
    found: list[tuple[int, Moment]] = [
        (number, MOMENTS[number // EVERY % 3]) for number in range(1, run.begins, EVERY)
    ]
    for number in range(run.begins, len(run.commands) + 1):
        command = run.commands[number - 1]
        # Where the target is not changed, after it is before the next one.
        if command.target == LEASE or command.name in READS:
            found.append((number, "before"))
        else:
            found += [(number, "before"), (number, "after")]
            if number % 3 == 0 or number in (run.begins, run.ends):
                found.append((number, "during"))
    return found


def test_the_moments_are_many(target: Bench) -> None:
    run, other = target.runs["first"], target.runs["second"]
    # A number is about the same moment in both directions.
    assert [len(run.commands), run.begins, run.ends] == [len(other.commands), other.begins, other.ends]
    found = moments(run)
    stages = [run.stage(*moment) for moment in found]
    assert len(found) >= 150
    assert stages.count("old") >= 30
    assert stages.count("between") >= 100
    assert {"new", None} < set(stages)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_next_command_mends_what_a_kill_leaves(target: Bench, chunk: int) -> None:
    for place, (number, moment) in enumerate(moments(target.runs["first"])[chunk::CHUNKS]):
        target.kill(number, moment, THEN[(place + chunk) % len(THEN)])


def test_a_copy_in_place_says_what_it_leaves(target: Bench) -> None:
    """Once the target is emptied there is no way back, so all but a copy and a drop refuse it."""
    run = target.copy(in_place=True)
    swap = [number for number, command in enumerate(run.commands, 1) if command[::2] == ("update", SWAP)]
    emptied, begins = swap[:2]
    numbers = range(emptied - 1, run.ends + 1, 7)
    assert len(numbers) >= 15
    for number in (emptied - 1, *numbers, begins - 1, begins):
        source = target.other
        copy = Copy(target.folder.path, source, in_place=True)
        target.proxy.at(number, copy.kill, moment="after")
        copy.start()
        assert copy.end() == -signal.SIGKILL
        if number < emptied:
            target.mend("old", source, "list_migrations")
        elif number < begins:
            refuse_the_emptied(target, source)
            if number % 2:
                Project(target.folder.path).drop("target")
                target.fence = 0
            target.run("copy_db", source)
            target.holds = source
            target.see()
        else:
            target.mend("between" if number < run.ends else "new", source, "list_migrations")


def refuse_the_emptied(target: Bench, source: str) -> None:
    for then in ("list_migrations", "migrate"):
        with pytest.raises(NotWhole, match=f"'target' was emptied for `copy_db {source}:target --in-place`"):
            target.run(then, source)


def test_a_swap_that_was_given_up_never_begins(tmp_path: Path) -> None:
    """What begins it may be on its way yet, when Ctrl-C makes monarch give up and drop what is staged."""
    with (
        run_mongod("--setParameter", "enableTestCommands=1") as (port, _),
        bench(Folder(tmp_path), port) as target,
    ):
        for in_place in (False, True):
            source = target.other
            swap = [
                number
                for number, command in enumerate(target.copy(in_place=in_place).commands, 1)
                if command[::2] == ("update", SWAP)
            ]
            source = target.other
            copy = Copy(target.folder.path, source, in_place=in_place)

            def interrupt(copy: Copy = copy) -> None:
                late = {"failCommands": ["update"], "blockConnection": True, "blockTimeMS": 1500}
                target.target.client.admin.command(
                    "configureFailPoint", "failCommand", mode={"times": 1}, data=late
                )
                copy.kill(signal.SIGINT)

            target.proxy.at(swap[in_place], interrupt, then="go on")
            copy.start()
            assert copy.end() == 130
            head = target.target[SWAP].find_one({"_id": "head"})
            assert in_place if head else not in_place
            deadline = time.monotonic() + 10
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
