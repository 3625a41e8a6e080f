"""The contract of every kind of database. Subclass it and define how to open an empty one."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace

import pytest

from monarch.databases.base import Contents, Database, MigrationClient
from monarch.databases.history import (
    Action,
    AttemptStart,
    AttemptStats,
    Failure,
    MigrationState,
    Operation,
    ScanPosition,
)
from monarch.errors import LockedError
from monarch.system.ci import Origin

BEGUN = AttemptStart("a", Action.RUN, "1234", Origin("c0ffee", "deploy", "https://ci.example.com/1"))
EFFORT = AttemptStats(1.5, 3, "hello")
FAILURE = Failure("no", "Traceback …")


class DatabaseContract(ABC):
    """The contract; ``database`` and ``other`` are two connections to one empty database."""

    @pytest.fixture
    @abstractmethod
    def database(self) -> Iterator[Database]: ...

    @pytest.fixture
    @abstractmethod
    def other(self) -> Iterator[Database]: ...

    @abstractmethod
    def write_three(self, work: MigrationClient) -> None:
        """Write three documents into the collection "written", each in a different way."""

    def test_a_new_history_is_empty(self, database: Database) -> None:
        assert database.history.read() == {}
        assert database.contents() == Contents(0, 0)
        assert database.history.entries() == ()
        assert database.history.checksums() == {}

    def test_an_attempt_from_start_to_end(self, database: Database, other: Database) -> None:
        with database.lease("a test") as lease:
            recorder = database.recorder(lease)
            attempt = recorder.begin(BEGUN)
            assert other.history.read()["a"].state is MigrationState.PROCESSING
            attempt.complete(EFFORT)
            attempt.complete(EFFORT)
            assert other.history.read()["a"].state is MigrationState.COMPLETED
            recorder.begin(replace(BEGUN, key="b")).fail(FAILURE, EFFORT)
            recorder.begin(replace(BEGUN, key="c")).fail(replace(FAILURE, interrupted=True), EFFORT)
            recorder.begin(replace(BEGUN, key="a", action=Action.ROLLBACK)).complete(EFFORT)
        assert {key: record.state for key, record in other.history.read().items()} == {
            "a": MigrationState.NEW,
            "b": MigrationState.FAILED,
            "c": MigrationState.INTERRUPTED,
        }
        first, *rest = other.history.entries()
        assert (first.key, first.action, first.outcome) == ("a", Action.RUN, MigrationState.COMPLETED)
        assert (first.seconds, first.documents, first.echoed) == (1.5, 3, "hello")
        assert first.started_at is not None
        assert first.finished_at is not None
        assert first.started_at <= first.finished_at
        assert (first.commit, first.job, first.link) == ("c0ffee", "deploy", "https://ci.example.com/1")
        assert [entry.error for entry in rest] == ["no", "no", None]
        assert [entry.key for entry in other.history.entries("b")] == ["b"]
        assert [entry.key for entry in other.history.entries(last=2)] == ["c", "a"]

    def test_an_open_attempt_is_interrupted_when_the_lease_is_free(
        self, database: Database, other: Database
    ) -> None:
        with database.lease("a test") as lease:
            attempt = database.recorder(lease).begin(BEGUN)
            attempt.remember("scan", ScanPosition("there", 7))
            record = other.history.read()["a"]
            assert record.state is MigrationState.PROCESSING
        # This process is alive, and could still run the attempt.
        assert other.history.read()["a"].state is MigrationState.PROCESSING
        with database.lease("the next") as lease:
            database.recorder(lease).begin(replace(BEGUN, action=Action.RETRY)).complete(EFFORT)
        assert [entry.outcome for entry in other.history.entries()] == [
            MigrationState.INTERRUPTED,
            MigrationState.COMPLETED,
        ]

    def test_the_next_attempt_gets_the_stored_position(self, database: Database) -> None:
        with database.lease("a test") as lease:
            attempt = database.recorder(lease).begin(BEGUN)
            attempt.remember("scan", ScanPosition("there", 7))
            attempt.fail(FAILURE, EFFORT)
        found = database.history.read()["a"].attempt
        assert found is not None
        assert found.positions == {"scan": ScanPosition("there", 7)}
        assert found.checksum == "1234"

    def test_an_operation_is_recorded_before_it_is_done(self, database: Database, other: Database) -> None:
        done = Operation("drop_db a", Action.DROP, "a", Origin("c0ffee"), time.monotonic(), documents=3)
        begun = replace(done, outcome=None)
        if not database.record(begun):  # it has no journal yet
            with database.lease("a test") as lease:
                database.recorder(lease).begin(BEGUN).complete(EFFORT)
            assert database.record(begun)
        (entry,) = other.history.entries("drop_db a", everything=True)
        assert (entry.action, entry.outcome) == (Action.DROP, MigrationState.PROCESSING)
        assert entry.finished_at is None
        for _ in range(2):  # an answer may be lost
            assert database.record(done)
        (entry,) = other.history.entries("drop_db a", everything=True)
        assert (entry.outcome, entry.documents) == (MigrationState.COMPLETED, 3)
        assert entry.commit == "c0ffee"
        assert entry.started_at is not None
        assert entry.finished_at is not None
        database.forget(replace(done, id="0" * 32))
        assert other.history.entries("drop_db a", everything=True) == (entry,)
        database.forget(done)
        assert other.history.entries("drop_db a", everything=True) == ()

    def test_nothing_is_written_without_the_lease(self, database: Database, other: Database) -> None:
        with database.lease("a test") as lease:
            recorder = database.recorder(lease)
            attempt = recorder.begin(BEGUN)
            holder = other.holder()
            assert holder is not None
            assert (holder.alive, holder.died) == (True, False)
            assert other.unlock(holder)
            with other.lease("the next") as next_lease:
                assert next_lease.fence > lease.fence
                before = other.history.read(), other.history.entries()
                for late in (
                    lambda: attempt.complete(EFFORT),
                    lambda: attempt.fail(FAILURE, EFFORT),
                    lambda: attempt.remember("scan", ScanPosition("there", 7)),
                    lambda: recorder.begin(replace(BEGUN, key="b")),
                    lambda: recorder.mark("c", MigrationState.COMPLETED, "1234", Origin()),
                    lambda: recorder.accept("c", "1234", Origin()),
                ):
                    with pytest.raises(LockedError, match="lost the lease"):
                        late()
                assert (other.history.read(), other.history.entries()) == before

    def test_a_mark_is_recorded(self, database: Database, other: Database) -> None:
        with database.lease("a test") as lease:
            recorder = database.recorder(lease)
            recorder.begin(replace(BEGUN, repeatable=True)).complete(EFFORT)
            recorder.mark("b", MigrationState.COMPLETED, "b1", Origin())
            recorder.mark("c", MigrationState.COMPLETED, None, Origin())
            assert other.history.checksums() == {"a": "1234", "b": "b1", "c": None}
            recorder.accept("b", "b2", Origin())
            recorder.mark("c", MigrationState.NEW, None, Origin())
        assert other.history.checksums()["b"] == "b2"
        records = other.history.read()
        assert [records[key].state for key in "abc"] == [
            MigrationState.COMPLETED,
            MigrationState.COMPLETED,
            MigrationState.NEW,
        ]
        assert [records[key].repeats for key in "abc"] == ["1234", None, None]
        actions = [entry.action for entry in other.history.entries()]
        assert actions == [Action.RUN, Action.MARK, Action.MARK, Action.ACCEPT, Action.MARK]

    def test_the_client_counts_written_documents(self, database: Database) -> None:
        with database.work() as work:
            assert work.written == 0
            self.write_three(work)
            assert work.written == 3
            assert work.count("written", {}) == 3
            positions = [position for _, position in work.batches("written", {}, 2, None, None)]
            assert [position.documents for position in positions] == [2, 3]
            (rest,) = work.batches("written", {}, 2, positions[0], None)
            assert len(rest[0]) == 1

    def test_drop_removes_everything(self, database: Database, other: Database) -> None:
        with database.lease("a test") as lease:
            database.recorder(lease).begin(BEGUN).complete(EFFORT)
            with database.work() as work:
                self.write_three(work)
        held = database.contents()
        assert held.collections > 0
        found = database.holdings(60)
        assert (found.number, found.documents, found.uncounted) == (held.collections, held.documents, ())
        other.drop()
        assert database.history.read() == {}
        assert database.contents() == Contents(0, 0)

    def test_a_second_run_is_refused_and_learns_the_holder(self, database: Database, other: Database) -> None:
        with (
            database.lease("the first thing") as lease,
            pytest.raises(LockedError, match=rf"process {os.getpid()} of .* \(the first thing, since"),
            other.lease("another"),
        ):
            pass
        with other.lease("another") as later:
            assert later.fence > lease.fence
            assert later.run != lease.run
            later.check()
            with pytest.raises(LockedError, match="lost the lease"):
                lease.renew()

    def test_the_lease_identifies_a_database(self, database: Database, other: Database) -> None:
        with database.lease("a thing") as lease:
            assert other.sees(lease)
        assert not other.sees(lease)
        assert database.is_same_as(other)
