"""Migrations on a replica set of three whose primary steps down, dies and stands still meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from monarch import Project
from monarch.errors import MonarchError
from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Server
from tests.support.servers.replicas import (
    DISTURBANCES,
    SECONDS,
    Ended,
    ReplicaProject,
    ReplicaSet,
    run_replicas,
    want_transaction,
)

pytestmark = pytest.mark.server

# So many documents are written while something happens to the primary.
MANY = 150
WRITE = "self.database.ran.insert_one({'attempt': attempt, 'n': 0})\n"
# Begins, lets the test do something, and goes on meanwhile to its end.
WRITE_ALL = (
    WRITE
    + f"""meet('middle')
for n in range(1, {MANY}):
    self.database.ran.insert_one({{'attempt': attempt, 'n': n}})
"""
)
TRANSACT = """self.database.ran.insert_one({'attempt': attempt, 'n': 0}, session=self.session)
self.database.counters.update_one({'_id': 1}, {'$inc': {'n': 1}}, session=self.session)
meet('middle')
self.database.ran.insert_one({'attempt': attempt, 'n': 1}, session=self.session)
"""
TRANSACT_AT_ONCE = TRANSACT.replace("meet('middle')", "")


@pytest.fixture(scope="module")
def replicas() -> Iterator[ReplicaSet]:
    with run_replicas() as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, replicas: ReplicaSet) -> Iterator[ReplicaProject]:
    made = ReplicaProject(Folder(tmp_path), replicas)
    made.database.counters.insert_one({"_id": 1, "n": 0})
    yield made
    made.clear()


def see_how_it_ended(site: ReplicaProject, ended: Ended, key: str) -> bool:
    """Whether ``key`` has been completed; what is told and what is recorded of it must say the same."""
    assert site.told()[key] == site.states()[key]
    if ended.code == 0:
        assert site.states()[key] == "Completed"
        assert site.outcomes(key) == ["Completed"]
        return True
    assert site.states()[key] == "Failed"
    assert site.outcomes(key) == ["Failed"]
    assert f"{key} failed on 'dev'" in ended.message or f"{key} could not be committed" in ended.message
    assert "--retry" in ended.hint
    return False


@pytest.fixture
def impatient(tmp_path: Path, site: ReplicaProject) -> Iterator[ReplicaProject]:
    """Where a server is looked for no longer than an election takes, as it is by default."""
    made = ReplicaProject(Folder(tmp_path / "impatient"), site.replicas, "&serverSelectionTimeoutMS=300")
    made.database.counters.insert_one({"_id": 1, "n": 0})
    yield made
    made.clear()


@pytest.mark.parametrize("disturbance", counts.sample(list(DISTURBANCES), 1))
def test_a_failover_while_a_migration_writes(site: ReplicaProject, disturbance: str) -> None:
    before = site.migration("before", WRITE)
    key = site.migration("writes", WRITE_ALL)
    behind = site.migration("behind", WRITE)
    run = site.run()
    run.reaches("middle")
    run.go_on()
    DISTURBANCES[disturbance](site.replicas)
    ended = run.end()
    site.replicas.settle()
    # It was acknowledged before, and is not forgotten.
    assert site.states()[before] == "Completed"
    first, written, *_ = site.parts().values()
    assert first == [0]
    if see_how_it_ended(site, ended, key):
        assert ended.done == (before, key, behind)
        assert list(site.parts().values()) == [[0], list(range(MANY)), [0]]
        assert site.run(retry=True).end().done == ()
        return
    assert written == list(range(len(written)))
    assert site.states() == {before: "Completed", key: "Failed"}
    rest = site.run(retry=True)
    rest.reaches("middle")
    rest.go_on()
    assert rest.end().done == (key, behind)
    assert site.outcomes(key) == ["Failed", "Completed"]
    assert list(site.parts().values()) == [[0], written, list(range(MANY)), [0]]


@pytest.mark.parametrize("moment", counts.sample(["started", "finished"], 1))
def test_a_failover_between_two_migrations_is_survived(site: ReplicaProject, moment: str) -> None:
    """Before the beginning is recorded, and behind the end."""
    keys = tuple(site.migration(f"number_{number}", WRITE) for number in range(len(DISTURBANCES)))
    run = site.run(stops={moment})
    for number, disturb in enumerate(DISTURBANCES.values()):
        run.reaches(moment)
        site.replicas.settle()
        done = number + (moment == "finished")
        assert site.states() == dict.fromkeys(keys[:done], "Completed")
        run.go_on()
        disturb(site.replicas)
    ended = run.end()
    site.replicas.settle()
    assert (ended.code, ended.done) == (0, keys)
    assert site.states() == dict.fromkeys(keys, "Completed")
    assert [site.outcomes(key) for key in keys] == [["Completed"]] * len(keys)
    assert list(site.parts().values()) == [[0]] * len(keys)


def test_a_migration_that_steps_the_primary_down_at_its_end_is_recorded(site: ReplicaProject) -> None:
    keys = tuple(site.migration(name, f"{WRITE}\nstep_down(self.client)") for name in ("one", "two"))
    ended = site.run().end()
    assert (ended.code, ended.done) == (0, keys)
    assert [site.outcomes(key) for key in keys] == [["Completed"]] * len(keys)
    assert list(site.parts().values()) == [[0]] * len(keys)


def test_no_primary_for_longer_than_a_server_is_looked_for(impatient: ReplicaProject) -> None:
    keys = tuple(impatient.migration(name, WRITE) for name in ("one", "two"))
    run = impatient.run(stops={"finished"})
    run.reaches("finished")
    impatient.replicas.leave_without_primary()
    run.go_on()
    impatient.replicas.settle()
    run.reaches("finished")
    run.go_on()
    assert run.end() == Ended(0, keys)


def test_two_runs_across_a_failover(site: ReplicaProject) -> None:
    """The one that waits may not begin, and goes on waiting."""
    keys = (site.migration("long", WRITE_ALL), site.migration("behind", WRITE))
    first = site.run()
    first.reaches("middle")
    second = site.run(stops={"waiting"})
    second.reaches("waiting")
    second.go_on()
    site.replicas.kill()
    site.replicas.settle()
    lease = site.database.monarch_lease.find_one()
    assert lease is not None
    first.go_on()
    assert first.end() == Ended(0, keys)
    assert second.end() == Ended(0, ())
    assert list(site.parts().values()) == [list(range(MANY)), [0]]
    journal = list(site.database.mongo_migration_journal.find())
    assert [entry["run"] for entry in journal] == [lease["holder"]["run"]] * len(keys)


def test_who_waits_goes_on_waiting_while_there_is_no_primary(impatient: ReplicaProject) -> None:
    key = impatient.migration("long", WRITE_ALL)
    first = impatient.run()
    first.reaches("middle")
    second = impatient.run(stops={"waiting"})
    second.reaches("waiting")
    second.go_on()
    impatient.replicas.leave_without_primary()
    impatient.replicas.settle()
    first.go_on()
    assert first.end() == Ended(0, (key,))
    assert second.end() == Ended(0, ())


class Taking(threading.Thread):
    """Takes the lease when it is told to, and holds it until it is told to leave."""

    def __init__(self, site: ReplicaProject) -> None:
        super().__init__(daemon=True)
        self._root = site.folder.path
        self.ready, self.take, self.leave = threading.Event(), threading.Event(), threading.Event()
        self.taken = Future[str]()

    def run(self) -> None:
        with Project(self._root).open("dev") as database:
            database.holder()  # it is connected
            self.ready.set()
            assert self.take.wait(SECONDS)
            try:
                with database.lease("alone") as lease:
                    self.taken.set_result(lease.run)
                    assert self.leave.wait(SECONDS)
            except MonarchError as error:
                self.taken.set_exception(error)


def test_a_lease_that_only_a_primary_without_others_knows_of_is_none(site: ReplicaProject) -> None:
    """The others elect another primary, who gives it to somebody else."""
    taking = Taking(site)
    taking.start()
    assert taking.ready.wait(SECONDS)
    site.replicas.lose_what_is_written_now(taking.take.set)
    try:
        with suppress(MonarchError):  # to be told that it has not got it is right too
            run = taking.taken.result(SECONDS)
            lease = site.database.monarch_lease.find_one()
            assert lease is not None
            assert lease["holder"]["run"] == run
    finally:
        taking.leave.set()
        taking.join(SECONDS)


def counted(site: ReplicaProject) -> int:
    """How often a migration in a transaction has happened."""
    document = site.database.counters.find_one({"_id": 1})
    assert document is not None
    return int(document["n"])


def test_an_exception_undoes_a_transaction(site: ReplicaProject) -> None:
    body = TRANSACT.replace("meet('middle')", "raise ValueError('no')")
    key = site.migration("all_or_nothing", body, transaction=True)
    ended = site.run().end()
    assert (ended.code, see_how_it_ended(site, ended, key)) == (1, False)
    assert "ValueError: no" in ended.message
    assert (counted(site), site.parts()) == (0, {})


def test_a_kill_undoes_a_transaction_and_it_can_be_run_again_at_once(site: ReplicaProject) -> None:
    key = site.migration("all_or_nothing", TRANSACT, transaction=True)
    run = site.run()
    run.reaches("middle")
    run.kill()
    assert site.told() == {key: "Interrupted"}
    assert (counted(site), site.parts()) == (0, {})
    refused = site.run().end()
    assert (refused.code, "--retry" in refused.hint) == (1, True)
    again = site.run(retry=True)
    again.reaches("middle")
    again.go_on()
    assert again.end() == Ended(0, (key,))
    assert (counted(site), list(site.parts().values())) == (1, [[0, 1]])
    assert site.outcomes(key) == ["Interrupted", "Completed"]


@pytest.mark.parametrize(
    ("moment", "disturbance"), counts.sample(list(product(["middle", "committing"], DISTURBANCES)), 2)
)
def test_a_failover_in_a_transaction(site: ReplicaProject, moment: str, disturbance: str) -> None:
    body = TRANSACT if moment == "middle" else TRANSACT_AT_ONCE
    key = site.migration("all_or_nothing", body, transaction=True)
    run = site.run(stops={moment})
    run.reaches(moment)
    run.go_on()
    DISTURBANCES[disturbance](site.replicas)
    ended = run.end()
    site.replicas.settle()
    completed = see_how_it_ended(site, ended, key)
    assert (counted(site), list(site.parts().values())) == ((1, [[0, 1]]) if completed else (0, []))
    if not completed:
        again = site.run(retry=True, stops={moment})
        again.reaches(moment)
        again.go_on()
        assert again.end() == Ended(0, (key,))
    assert site.run(retry=True).end() == Ended(0, ())
    assert (counted(site), list(site.parts().values())) == (1, [[0, 1]])


def test_who_is_killed_right_after_the_commit_has_completed(site: ReplicaProject) -> None:
    key = site.migration("all_or_nothing", TRANSACT_AT_ONCE, transaction=True)
    run = site.run(stops={"committed"})
    run.reaches("committed")
    run.kill()
    assert site.states() == site.told() == {key: "Completed"}
    assert site.run(retry=True).end() == Ended(0, ())
    assert (counted(site), list(site.parts().values())) == (1, [[0, 1]])


def test_a_commit_is_not_told_as_a_failure_because_the_server_is_gone_then(impatient: ReplicaProject) -> None:
    """For longer than monarch asks again; then it is back."""
    key = impatient.migration("all_or_nothing", TRANSACT_AT_ONCE, transaction=True)
    run = impatient.run(stops={"committed", "failing"}, patience=0.5)
    run.reaches("committed")
    impatient.replicas.leave_without_primary()
    run.go_on()
    told = run.next()
    impatient.replicas.settle()
    if told == "failing":  # so it takes it for a failure, and finds the server to say so
        run.go_on()
        told = run.next()
    assert impatient.states() == impatient.told() == {key: "Completed"}
    assert (counted(impatient), list(impatient.parts().values())) == (1, [[0, 1]])
    assert isinstance(told, Ended)
    assert impatient.outcomes(key) in (["Completed"], [None])
    assert f"{key} failed" not in told.message
    assert "was undone" not in told.message
    assert impatient.run(retry=True).end() == Ended(0, ())


def test_a_transaction_on_a_standalone_server_is_an_error_before_anything_ran(
    tmp_path: Path, server: Server
) -> None:
    folder = Folder(tmp_path, server)
    folder.settings(dev={"uri": server.uri, "db_name": folder.db_name})
    folder.migration("first", "self.database.ran.insert_one({})")
    key = folder.migration("all_or_nothing")
    want_transaction(folder, key)
    for command in (["migrate", "dev"], ["migrate_one", key, "dev"]):
        result = folder.invoke(*command)
        assert result.code == 1
        assert f"{key} needs a transaction" in result.err
        assert folder.database.list_collection_names() == []


IDS: list[Any] = [
    *range(40),
    *(float(n) + 0.5 for n in range(5)),
    *(f"text {n}" for n in range(40)),
    *({"a": n, "b": [n]} for n in range(40)),
    *(ObjectId() for _ in range(40)),
    *(datetime(2014, 5, 29, n % 24, n) for n in range(40)),
    True,
    False,
    b"bytes",
    None,
]
SCAN = """for number, document in enumerate(self.each('docs', {'wanted': True}, batch=10)):
    self.database.seen.insert_one({'id': [document['_id']], 'attempt': attempt, 'n': number})
    if number == 95:
        meet('middle')
"""


@pytest.fixture
def ids(site: ReplicaProject) -> list[Any]:
    """The _ids of what is wanted in ``docs``, in MongoDB's order."""
    docs = site.database.docs
    docs.insert_many([{"_id": _id, "wanted": True} for _id in reversed(IDS)])
    docs.insert_many([{"wanted": False} for _ in range(30)])
    return [document["_id"] for document in docs.find({"wanted": True}).sort("_id")]


def seen(site: ReplicaProject) -> dict[ObjectId, list[Any]]:
    """The _ids that the attempts have gone over, each in its order."""
    found: dict[ObjectId, list[Any]] = {}
    for document in site.database.seen.find(sort=[("attempt", 1), ("n", 1)]):
        found.setdefault(document["attempt"], []).append(document["id"][0])
    return found


def test_a_scan_visits_ids_of_all_types_once(site: ReplicaProject, ids: list[Any]) -> None:
    site.migration("scan", SCAN.replace("meet('middle')", "pass"))
    assert site.run().end().code == 0
    assert list(seen(site).values()) == [ids]
    assert len(ids) == len(IDS)


def test_a_batch_is_found_by_the_index_of_ids(site: ReplicaProject, ids: list[Any]) -> None:
    site.migration("scan", SCAN.replace("meet('middle')", "pass"))
    site.database.command("profile", 1, filter={"op": "query", "ns": f"{site.database.name}.docs"})
    assert site.run().end().code == 0
    site.database.command("profile", 0)
    batches = list(site.database["system.profile"].find(sort=[("ts", 1)]))
    # One asks for the greatest id, and one finds that there are no more.
    assert len(batches) == len(ids) // 10 + 3
    for batch in batches:
        assert batch["planSummary"] == "IXSCAN { _id: 1 }"
    # None begins at the beginning again; those that are not wanted lie between.
    assert max(batch["keysExamined"] for batch in batches) <= 10 + 30 + 1
    assert sum(batch["keysExamined"] for batch in batches) <= len(ids) + 30 + len(batches)


def test_a_scan_across_a_failover_goes_on_or_is_resumed(site: ReplicaProject, ids: list[Any]) -> None:
    key = site.migration("scan", SCAN)
    run = site.run()
    run.reaches("middle")
    run.go_on()
    site.replicas.step_down()
    ended = run.end()
    site.replicas.settle()
    if see_how_it_ended(site, ended, key):
        assert list(seen(site).values()) == [ids]
        return
    see_that_it_is_resumed(site, key, ids)


def see_that_it_is_resumed(site: ReplicaProject, key: str, ids: list[Any]) -> None:
    (first,) = seen(site).values()
    assert first == ids[: len(first)]
    again = site.run(retry=True)
    rest = len(ids) - len(first) // 10 * 10
    if rest > 95:
        again.reaches("middle")
        again.go_on()
    assert again.end() == Ended(0, (key,))
    first, second = seen(site).values()
    # Of no more than one batch some are seen twice.
    assert second == ids[-len(second) :]
    assert len(ids) <= len(first) + len(second) <= len(ids) + 10


def test_a_scan_that_is_killed_is_resumed(site: ReplicaProject, ids: list[Any]) -> None:
    key = site.migration("scan", SCAN)
    run = site.run()
    run.reaches("middle")
    run.kill()
    # What was remembered is not forgotten with the primary.
    site.replicas.kill()
    site.replicas.settle()
    assert site.told() == {key: "Interrupted"}
    see_that_it_is_resumed(site, key, ids)
