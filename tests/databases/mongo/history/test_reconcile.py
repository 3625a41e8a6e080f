"""Every pair of a state and a last attempt: how it is read, and what the next writer stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient

from monarch.databases import open_database
from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.databases.history import Action, AttemptStart, AttemptStats, MigrationState
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.settings.environments import parse_environment
from monarch.system import process_identity
from monarch.system.ci import Origin
from tests.support.servers.mongod import Server

WHEN = datetime(2014, 5, 29, 12)
SECOND = timedelta(seconds=1)
# A process on the machine of the tests that has ended.
DEAD = {**process_identity.identity(), "pid_began": 1}
LIVING = process_identity.identity()


@dataclass(frozen=True)
class Pair:
    """A ``state`` of ``WHEN`` with an attempt or without one.

    ``begun`` and ``ended`` are in seconds after the state. ``read`` is the state and the outcome that readers
    return; ``written`` is both after the next writer.
    """

    state: str | None
    action: str | None
    outcome: str | None
    read: tuple[str, str | None]
    written: tuple[str | None, str | None]
    begun: int = -2
    ended: int = 1
    living: bool = False

    def __str__(self) -> str:
        last = (
            f"{self.action} {self.outcome or 'open'} {self.begun:+} {self.ended:+}" if self.action else "none"
        )
        return f"{self.state or 'no state'}, {last}{', living' if self.living else ''}"


OLD = ("Interrupted", "Completed")
STATES = ("New", "Processing", "Failed", "Completed")
BOTH_WRITTEN = [
    *(Pair(state, None, None, (state, None), (state, None)) for state in STATES if state != "Processing"),
    Pair("Completed", "run", "Completed", ("Completed", "Completed"), ("Completed", "Completed"), ended=0),
    Pair("New", "rollback", "Completed", ("New", "Completed"), ("New", "Completed")),
    Pair("Failed", "run", "Failed", ("Failed", "Failed"), ("Failed", "Failed"), ended=0),
    Pair("Failed", "run", "Interrupted", ("Interrupted", "Interrupted"), ("Failed", "Interrupted"), ended=0),
    Pair("Failed", "rollback", "Failed", ("Failed", "Failed"), ("Failed", "Failed"), ended=0),
]
# Killed after the write to the journal at the beginning of an attempt: the attempt never began.
BEFORE_PROCESSING = [
    Pair(None, "run", None, ("New", "Interrupted"), (None, "Interrupted")),
    Pair("New", "run", None, ("New", "Interrupted"), ("New", "Interrupted"), begun=1),
    Pair("Completed", "run", None, ("Completed", "Interrupted"), ("Completed", "Interrupted"), begun=1),
    Pair("Completed", "rollback", None, ("Completed", "Interrupted"), ("Completed", "Interrupted"), begun=1),
    Pair("Failed", "retry", None, ("Interrupted", "Interrupted"), ("Failed", "Interrupted"), begun=1),
    Pair("Failed", "rollback", None, ("Interrupted", "Interrupted"), ("Failed", "Interrupted"), begun=1),
]
IN_PROCESSING = [
    Pair("Processing", None, None, ("Interrupted", None), ("Processing", None)),
    Pair("Processing", "run", None, ("Processing", "Processing"), ("Processing", "Interrupted"), living=True),
    Pair("Processing", "run", None, ("Interrupted", "Interrupted"), ("Processing", "Interrupted")),
    Pair("Processing", "rollback", None, ("Interrupted", "Interrupted"), ("Processing", "Interrupted")),
    # Killed after the write to the journal at the end of an attempt: the journal is correct.
    Pair("Processing", "run", "Completed", ("Completed", "Completed"), ("Completed", "Completed")),
    Pair("Processing", "retry", "Completed", ("Completed", "Completed"), ("Completed", "Completed"), ended=0),
    Pair("Processing", "rollback", "Completed", ("New", "Completed"), ("New", "Completed")),
    Pair("Processing", "run", "Failed", ("Failed", "Failed"), ("Failed", "Failed")),
    Pair("Processing", "rollback", "Failed", ("Failed", "Failed"), ("Failed", "Failed")),
    Pair("Processing", "run", "Interrupted", ("Interrupted", "Interrupted"), ("Processing", "Interrupted")),
    # An attempt that ended earlier did not set the state Processing.
    Pair("Processing", "run", "Completed", ("Interrupted", "Completed"), ("Processing", "Completed"), -2, -1),
    Pair(
        "Processing",
        "rollback",
        "Completed",
        ("Interrupted", "Completed"),
        ("Processing", "Completed"),
        -2,
        -1,
    ),
    # Marks are not attempts.
    Pair("Processing", "mark", "Completed", ("Interrupted", "Completed"), ("Processing", "Completed")),
    Pair("Failed", "mark", "Completed", ("Failed", "Completed"), ("Failed", "Completed")),
    Pair("New", "mark", "Completed", ("New", "Completed"), ("New", "Completed")),
]
# As left by a pre-release of 1.0, which wrote the state first when an attempt completed.
STATE_FIRST = [
    Pair("Completed", "run", None, ("Completed", "Completed"), ("Completed", "Completed")),
    Pair("Completed", "retry", None, ("Completed", "Completed"), ("Completed", "Completed"), begun=0),
    Pair("New", "rollback", None, ("New", "Completed"), ("New", "Completed")),
]
PAIRS = [*BOTH_WRITTEN, *BEFORE_PROCESSING, *IN_PROCESSING, *STATE_FIRST]


@dataclass(frozen=True)
class Place:
    """A database with a handwritten history."""

    database: Database
    raw: Any

    def write(self, pair: Pair, **entry: Any) -> None:
        if pair.state is not None:
            when = None if pair.state == "New" else WHEN
            self.raw[HISTORY].insert_one({"key": "a", "state": pair.state, "processed_at": when})
        if pair.action is None:
            return
        entry |= {"key": "a", "action": pair.action, "checksum": "1234", **(LIVING if pair.living else DEAD)}
        entry |= {"started_at": WHEN + pair.begun * SECOND}
        if pair.outcome is not None:
            entry |= {"outcome": pair.outcome, "finished_at": WHEN + pair.ended * SECOND}
        self.raw[JOURNAL].insert_one(entry)

    def stored(self) -> tuple[str | None, str | None]:
        state = self.raw[HISTORY].find_one({"key": "a"}) or {}
        entry = self.raw[JOURNAL].find_one({"key": "a"}) or {}
        return state.get("state"), entry.get("outcome")

    def read(self) -> tuple[str, str | None]:
        record = self.database.history.read().get("a")
        outcomes = [entry.outcome.value for entry in self.database.history.entries()]
        return record.state.value if record else "New", outcomes[0] if outcomes else None

    def settle(self) -> None:
        with self.database.lease("a test") as lease:
            self.database.recorder(lease).settle()


@pytest.fixture
def place(server: Server) -> Iterator[Place]:
    name = f"t_{ObjectId()}"
    environment: Environment = parse_environment("dev", {"uri": server.uri, "db_name": name})
    client: MongoClient[dict[str, Any]]
    with server.client() as client, open_database(environment, Path()) as database:
        yield Place(database, client[name])
        client.drop_database(name)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_pair_is_read_and_settled(place: Place, pair: Pair) -> None:
    place.write(pair)
    assert place.read() == pair.read
    before = place.stored()
    assert before == (pair.state, pair.outcome)
    settled = place.database.history.read().get("a")
    assert settled is None or settled.settled == (pair.written[0] == pair.state)
    place.settle()
    assert place.stored() == pair.written
    # It does not change after that.
    if not pair.living:
        assert place.read() == pair.read
    place.settle()
    assert place.stored() == pair.written


def test_every_pair_is_tried() -> None:
    """Each state with each outcome of each kind of attempt, if monarch can leave that pair."""
    tried = {(pair.state, pair.outcome) for pair in PAIRS if pair.action not in (None, "mark")}
    can_be: set[tuple[str | None, str | None]] = {(state, None) for state in (None, *STATES)}
    can_be |= {("Processing", outcome) for outcome in ("Completed", "Failed", "Interrupted")}
    can_be |= {("Completed", "Completed"), ("New", "Completed")}
    can_be |= {("Failed", "Failed"), ("Failed", "Interrupted")}
    assert tried == can_be


def test_a_settled_state_has_the_time_of_the_attempt(place: Place) -> None:
    place.write(Pair("Processing", "run", "Completed", ("", None), (None, None)))
    seen = place.database.history.read()["a"].processed_at
    place.settle()
    assert seen == place.database.history.read()["a"].processed_at == WHEN + SECOND


def test_a_repeatable_migration_killed_before_its_second_run_is_still_pending(place: Place) -> None:
    """Its file has changed, and only the journal has its second attempt."""
    place.write(Pair("Completed", "run", "Completed", ("", None), (None, None), ended=0), repeatable=True)
    place.raw[JOURNAL].insert_one(
        {
            "key": "a",
            "action": "run",
            "checksum": "new",
            "repeatable": True,
            "started_at": WHEN + SECOND,
            **DEAD,
        }
    )
    assert place.database.history.read()["a"].repeats == "1234"
    place.settle()
    assert place.database.history.read()["a"].repeats == "1234"
    assert [entry.outcome for entry in place.database.history.entries()] == [
        MigrationState.COMPLETED,
        MigrationState.INTERRUPTED,
    ]


def test_a_migration_restarted_by_monarch_0_1_has_no_earlier_attempt(place: Place) -> None:
    place.write(Pair("Processing", "run", "Completed", ("", None), (None, None), -2, -1), places={"x": {}})
    record = place.database.history.read()["a"]
    assert (record.state, record.attempt) == (MigrationState.INTERRUPTED, None)


def test_a_writer_that_lost_the_lease_settles_nothing(place: Place) -> None:
    place.write(Pair("Processing", "run", "Completed", ("", None), (None, None)))
    before = place.stored()
    with place.database.lease("a test") as lease:
        holder = place.database.holder()
        assert holder is not None
        place.database.unlock(holder)
        place.database.recorder(lease).settle()
    assert place.stored() == before


def test_the_next_attempt_settles_the_last_one_first(place: Place) -> None:
    place.write(Pair("Processing", "run", "Completed", ("", None), (None, None)))
    with place.database.lease("a test") as lease:
        begun = AttemptStart("b", Action.RUN, "1234", Origin())
        place.database.recorder(lease).begin(begun).complete(AttemptStats(1.0, 0, ""))
    assert place.stored() == ("Completed", "Completed")
