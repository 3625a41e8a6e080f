"""Migrations on a replica set of three while its primary steps down, is killed or is frozen."""

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
    ReplicaProject,
    ReplicaSet,
    RunResult,
    run_replicas,
    use_transaction,
)

pytestmark = pytest.mark.server

# The number of documents that are written while the primary fails.
MANY = 150
WRITE = "self.database.ran.insert_one({'attempt': attempt, 'n': 0})\n"
# Pauses for the test to act, and then writes while the primary fails.
WRITE_ALL = (
    WRITE
    + f"""pause_at('middle')
for n in range(1, {MANY}):
    self.database.ran.insert_one({{'attempt': attempt, 'n': n}})
"""
)
TRANSACT = """self.database.ran.insert_one({'attempt': attempt, 'n': 0}, session=self.session)
self.database.counters.update_one({'_id': 1}, {'$inc': {'n': 1}}, session=self.session)
pause_at('middle')
self.database.ran.insert_one({'attempt': attempt, 'n': 1}, session=self.session)
"""
TRANSACT_AT_ONCE = TRANSACT.replace("pause_at('middle')", "")


@pytest.fixture(scope="module")
def replicas() -> Iterator[ReplicaSet]:
    with run_replicas() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, replicas: ReplicaSet) -> Iterator[ReplicaProject]:
    made = ReplicaProject(Folder(tmp_path), replicas)
    made.database.counters.insert_one({"_id": 1, "n": 0})
    yield made
    made.clear()


def check_result(project: ReplicaProject, ended: RunResult, key: str, *, transaction: bool = False) -> bool:
    """Check that the reported and the recorded state agree; return whether ``key`` was completed.

    A ``transaction`` that a failover has undone is tried again, and each try is an attempt.
    """
    *failed, last = project.outcomes(key)
    assert set(failed) <= ({"Failed"} if transaction else set())
    assert project.reported_states()[key] == project.states()[key]
    if ended.code == 0:
        assert project.states()[key] == "Completed"
        assert last == "Completed"
        return True
    assert project.states()[key] == "Failed"
    assert last == "Failed"
    assert f"{key} failed on 'dev'" in ended.message or f"{key} could not be committed" in ended.message
    assert "--retry" in ended.hint
    return False


@pytest.fixture
def impatient_project(tmp_path: Path, project: ReplicaProject) -> Iterator[ReplicaProject]:
    """A project whose driver searches for a primary for less time than an election takes."""
    made = ReplicaProject(Folder(tmp_path / "impatient"), project.replicas, "&serverSelectionTimeoutMS=300")
    made.database.counters.insert_one({"_id": 1, "n": 0})
    yield made
    made.clear()


@pytest.mark.parametrize("disturbance", counts.sample(list(DISTURBANCES), 1))
def test_a_failover_while_a_migration_writes(project: ReplicaProject, disturbance: str) -> None:
    before = project.migration("before", WRITE)
    key = project.migration("writes", WRITE_ALL)
    later = project.migration("behind", WRITE)
    run = project.run()
    run.await_pause("middle")
    run.go_on()
    DISTURBANCES[disturbance](project.replicas)
    ended = run.end()
    project.replicas.settle()
    # The write was acknowledged before the failover, so it must not be lost.
    assert project.states()[before] == "Completed"
    first, written, *_ = project.parts().values()
    assert first == [0]
    if check_result(project, ended, key):
        assert ended.done == (before, key, later)
        assert list(project.parts().values()) == [[0], list(range(MANY)), [0]]
        assert project.run(retry=True).end().done == ()
        return
    assert written == list(range(len(written)))
    assert project.states() == {before: "Completed", key: "Failed"}
    rest = project.run(retry=True)
    rest.await_pause("middle")
    rest.go_on()
    assert rest.end().done == (key, later)
    assert project.outcomes(key) == ["Failed", "Completed"]
    assert list(project.parts().values()) == [[0], written, list(range(MANY)), [0]]


@pytest.mark.parametrize("moment", counts.sample(["started", "finished"], 1))
def test_a_run_survives_a_failover_between_two_migrations(project: ReplicaProject, moment: str) -> None:
    """The failover comes before the beginning is recorded, and after the end."""
    keys = tuple(project.migration(f"number_{number}", WRITE) for number in range(len(DISTURBANCES)))
    run = project.run(stops={moment})
    for number, disturb in enumerate(DISTURBANCES.values()):
        run.await_pause(moment)
        project.replicas.settle()
        done = number + (moment == "finished")
        assert project.states() == dict.fromkeys(keys[:done], "Completed")
        run.go_on()
        disturb(project.replicas)
    ended = run.end()
    project.replicas.settle()
    assert (ended.code, ended.done) == (0, keys)
    assert project.states() == dict.fromkeys(keys, "Completed")
    assert [project.outcomes(key) for key in keys] == [["Completed"]] * len(keys)
    assert list(project.parts().values()) == [[0]] * len(keys)


def test_a_migration_that_steps_the_primary_down_at_its_end_is_recorded(project: ReplicaProject) -> None:
    keys = tuple(project.migration(name, f"{WRITE}\nstep_down(self.client)") for name in ("one", "two"))
    ended = project.run().end()
    assert (ended.code, ended.done) == (0, keys)
    assert [project.outcomes(key) for key in keys] == [["Completed"]] * len(keys)
    assert list(project.parts().values()) == [[0]] * len(keys)


def test_no_primary_for_longer_than_the_server_selection_timeout(impatient_project: ReplicaProject) -> None:
    keys = tuple(impatient_project.migration(name, WRITE) for name in ("one", "two"))
    run = impatient_project.run(stops={"finished"})
    run.await_pause("finished")
    impatient_project.replicas.leave_without_primary()
    run.go_on()
    impatient_project.replicas.settle()
    run.await_pause("finished")
    run.go_on()
    assert run.end() == RunResult(0, keys)


def test_two_runs_across_a_failover(project: ReplicaProject) -> None:
    """The run that waits must not begin, and continues to wait."""
    keys = (project.migration("long", WRITE_ALL), project.migration("behind", WRITE))
    first = project.run()
    first.await_pause("middle")
    second = project.run(stops={"waiting"})
    second.await_pause("waiting")
    second.go_on()
    project.replicas.kill()
    project.replicas.settle()
    lease = project.database.monarch_lease.find_one()
    assert lease is not None
    first.go_on()
    assert first.end() == RunResult(0, keys)
    assert second.end() == RunResult(0, ())
    assert list(project.parts().values()) == [list(range(MANY)), [0]]
    journal = list(project.database.mongo_migration_journal.find())
    assert [entry["run"] for entry in journal] == [lease["holder"]["run"]] * len(keys)


def test_a_waiting_run_continues_to_wait_without_a_primary(impatient_project: ReplicaProject) -> None:
    key = impatient_project.migration("long", WRITE_ALL)
    first = impatient_project.run()
    first.await_pause("middle")
    second = impatient_project.run(stops={"waiting"})
    second.await_pause("waiting")
    second.go_on()
    impatient_project.replicas.leave_without_primary()
    impatient_project.replicas.settle()
    first.go_on()
    assert first.end() == RunResult(0, (key,))
    assert second.end() == RunResult(0, ())


class LeaseHolder(threading.Thread):
    """Takes the lease when ``take`` is set, and holds it until ``leave`` is set."""

    def __init__(self, project: ReplicaProject) -> None:
        super().__init__(daemon=True)
        self._root = project.folder.path
        self.ready, self.take, self.leave = threading.Event(), threading.Event(), threading.Event()
        self.taken = Future[str]()

    def run(self) -> None:
        with Project(self._root).open("dev") as database:
            database.holder()  # connects
            self.ready.set()
            assert self.take.wait(SECONDS)
            try:
                with database.lease("alone") as lease:
                    self.taken.set_result(lease.run)
                    assert self.leave.wait(SECONDS)
            except MonarchError as error:
                self.taken.set_exception(error)


def test_a_lease_that_only_an_isolated_primary_has_is_not_taken(project: ReplicaProject) -> None:
    """The other members elect another primary, which would give the lease to another run."""
    holder = LeaseHolder(project)
    holder.start()
    assert holder.ready.wait(SECONDS)
    project.replicas.lose_writes(holder.take.set)
    try:
        with suppress(MonarchError):  # an error is correct as well
            run = holder.taken.result(SECONDS)
            lease = project.database.monarch_lease.find_one()
            assert lease is not None
            assert lease["holder"]["run"] == run
    finally:
        holder.leave.set()
        holder.join(SECONDS)


def counted(project: ReplicaProject) -> int:
    """Return how often a migration in a transaction was committed."""
    document = project.database.counters.find_one({"_id": 1})
    assert document is not None
    return int(document["n"])


def test_an_exception_undoes_a_transaction(project: ReplicaProject) -> None:
    body = TRANSACT.replace("pause_at('middle')", "raise ValueError('no')")
    key = project.migration("all_or_nothing", body, transaction=True)
    ended = project.run().end()
    assert (ended.code, check_result(project, ended, key)) == (1, False)
    assert "ValueError: no" in ended.message
    assert (counted(project), project.parts()) == (0, {})


def test_a_kill_undoes_a_transaction_and_the_migration_can_be_retried_at_once(
    project: ReplicaProject,
) -> None:
    key = project.migration("all_or_nothing", TRANSACT, transaction=True)
    run = project.run()
    run.await_pause("middle")
    run.kill()
    assert project.reported_states() == {key: "Interrupted"}
    assert (counted(project), project.parts()) == (0, {})
    refused = project.run().end()
    assert (refused.code, "--retry" in refused.hint) == (1, True)
    again = project.run(retry=True)
    again.await_pause("middle")
    again.go_on()
    assert again.end() == RunResult(0, (key,))
    assert (counted(project), list(project.parts().values())) == (1, [[0, 1]])
    assert project.outcomes(key) == ["Interrupted", "Completed"]


@pytest.mark.parametrize(
    ("moment", "disturbance"), counts.sample(list(product(["middle", "committing"], DISTURBANCES)), 2)
)
def test_a_failover_in_a_transaction(project: ReplicaProject, moment: str, disturbance: str) -> None:
    body = TRANSACT if moment == "middle" else TRANSACT_AT_ONCE
    key = project.migration("all_or_nothing", body, transaction=True)
    run = project.run(stops={moment})
    run.await_pause(moment)
    run.go_on()
    DISTURBANCES[disturbance](project.replicas)
    ended = run.end(again_at=moment)  # a transaction that the failover has undone is tried again
    project.replicas.settle()
    completed = check_result(project, ended, key, transaction=True)
    assert (counted(project), list(project.parts().values())) == ((1, [[0, 1]]) if completed else (0, []))
    if not completed:
        again = project.run(retry=True, stops={moment})
        again.await_pause(moment)
        again.go_on()
        assert again.end() == RunResult(0, (key,))
    assert project.run(retry=True).end() == RunResult(0, ())
    assert (counted(project), list(project.parts().values())) == (1, [[0, 1]])


def test_a_run_killed_right_after_the_commit_has_completed(project: ReplicaProject) -> None:
    key = project.migration("all_or_nothing", TRANSACT_AT_ONCE, transaction=True)
    run = project.run(stops={"committed"})
    run.await_pause("committed")
    run.kill()
    assert project.states() == project.reported_states() == {key: "Completed"}
    assert project.run(retry=True).end() == RunResult(0, ())
    assert (counted(project), list(project.parts().values())) == (1, [[0, 1]])


def test_a_commit_is_not_reported_as_failed_if_the_server_disappears_afterwards(
    impatient_project: ReplicaProject,
) -> None:
    """The server is unreachable for longer than monarch retries, and then returns."""
    key = impatient_project.migration("all_or_nothing", TRANSACT_AT_ONCE, transaction=True)
    run = impatient_project.run(stops={"committed", "failing"}, patience=0.5)
    run.await_pause("committed")
    impatient_project.replicas.leave_without_primary()
    run.go_on()
    reported = run.next()
    impatient_project.replicas.settle()
    if reported == "failing":  # monarch treats it as a failure, and records that on the server
        run.go_on()
        reported = run.next()
    assert impatient_project.states() == impatient_project.reported_states() == {key: "Completed"}
    assert (counted(impatient_project), list(impatient_project.parts().values())) == (1, [[0, 1]])
    assert isinstance(reported, RunResult)
    assert impatient_project.outcomes(key) in (["Completed"], [None])
    assert f"{key} failed" not in reported.message
    assert "was undone" not in reported.message
    assert impatient_project.run(retry=True).end() == RunResult(0, ())


def test_a_transaction_on_a_standalone_server_is_an_error_before_any_migration_runs(
    tmp_path: Path, server: Server
) -> None:
    folder = Folder(tmp_path, server)
    folder.settings(dev={"uri": server.uri, "db_name": folder.db_name})
    folder.migration("first", "self.database.ran.insert_one({})")
    key = folder.migration("all_or_nothing")
    use_transaction(folder, key)
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
SCAN = """for number, document in enumerate(self.each('docs', {'selected': True}, batch=10)):
    self.database.seen.insert_one({'id': [document['_id']], 'attempt': attempt, 'n': number})
    if number == 95:
        pause_at('middle')
"""


@pytest.fixture
def ids(project: ReplicaProject) -> list[Any]:
    """The _ids of the selected documents in ``docs``, in MongoDB's order."""
    docs = project.database.docs
    docs.insert_many([{"_id": _id, "selected": True} for _id in reversed(IDS)])
    docs.insert_many([{"selected": False} for _ in range(30)])
    return [document["_id"] for document in docs.find({"selected": True}).sort("_id")]


def seen(project: ReplicaProject) -> dict[ObjectId, list[Any]]:
    """Return the _ids that each attempt has scanned, in their order."""
    found: dict[ObjectId, list[Any]] = {}
    for document in project.database.seen.find(sort=[("attempt", 1), ("n", 1)]):
        found.setdefault(document["attempt"], []).append(document["id"][0])
    return found


def test_a_scan_visits_ids_of_all_types_once(project: ReplicaProject, ids: list[Any]) -> None:
    project.migration("scan", SCAN.replace("pause_at('middle')", "pass"))
    assert project.run().end().code == 0
    assert list(seen(project).values()) == [ids]
    assert len(ids) == len(IDS)


def test_a_batch_uses_the_index_of_ids(project: ReplicaProject, ids: list[Any]) -> None:
    project.migration("scan", SCAN.replace("pause_at('middle')", "pass"))
    project.database.command("profile", 1, filter={"op": "query", "ns": f"{project.database.name}.docs"})
    assert project.run().end().code == 0
    project.database.command("profile", 0)
    batches = list(project.database["system.profile"].find(sort=[("ts", 1)]))
    # One query asks for the greatest id, and the last one finds no more documents.
    assert len(batches) == len(ids) // 10 + 3
    for batch in batches:
        assert batch["planSummary"] == "IXSCAN { _id: 1 }"
    # No query starts again from the beginning. Documents that are not selected are in between.
    assert max(batch["keysExamined"] for batch in batches) <= 10 + 30 + 1
    assert sum(batch["keysExamined"] for batch in batches) <= len(ids) + 30 + len(batches)


def test_a_scan_across_a_failover_continues_or_is_resumed(project: ReplicaProject, ids: list[Any]) -> None:
    key = project.migration("scan", SCAN)
    run = project.run()
    run.await_pause("middle")
    run.go_on()
    project.replicas.step_down()
    ended = run.end()
    project.replicas.settle()
    if check_result(project, ended, key):
        assert list(seen(project).values()) == [ids]
        return
    check_resumed(project, key, ids)


def check_resumed(project: ReplicaProject, key: str, ids: list[Any]) -> None:
    (first,) = seen(project).values()
    assert first == ids[: len(first)]
    again = project.run(retry=True)
    rest = len(ids) - len(first) // 10 * 10
    if rest > 95:
        again.await_pause("middle")
        again.go_on()
    assert again.end() == RunResult(0, (key,))
    first, second = seen(project).values()
    # At most one batch is scanned twice.
    assert second == ids[-len(second) :]
    assert len(ids) <= len(first) + len(second) <= len(ids) + 10


def test_a_scan_that_is_killed_is_resumed(project: ReplicaProject, ids: list[Any]) -> None:
    key = project.migration("scan", SCAN)
    run = project.run()
    run.await_pause("middle")
    run.kill()
    # The stored position survives the loss of the primary.
    project.replicas.kill()
    project.replicas.settle()
    assert project.reported_states() == {key: "Interrupted"}
    check_resumed(project, key, ids)
