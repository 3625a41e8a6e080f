"""What every kind of database promises. Subclass it and say how to open one that is empty."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest

from monarch.databases.base import Contents, Database
from monarch.errors import LockedError
from monarch.history import Failure, State

FAILURE = Failure("ValueError: no", "Traceback …")


class DatabaseContract(ABC):
    """The contract; ``database`` and ``other`` are two connections to one empty database."""

    @pytest.fixture
    @abstractmethod
    def database(self) -> Iterator[Database]: ...

    @pytest.fixture
    @abstractmethod
    def other(self) -> Iterator[Database]: ...

    def test_a_new_history_is_empty(self, database: Database) -> None:
        assert database.history.read() == {}
        assert database.contents() == Contents(0, 0)

    def test_from_start_to_end(self, database: Database, other: Database) -> None:
        history = database.history
        history.start("a", None)
        assert other.history.read()["a"].state is State.PROCESSING
        history.complete("a")
        assert other.history.read()["a"].state is State.COMPLETED
        history.start("b", None)
        history.fail("b", FAILURE)
        assert {key: record.state for key, record in other.history.read().items()} == {
            "a": State.COMPLETED,
            "b": State.FAILED,
        }

    def test_of_two_that_saw_nothing_one_starts(self, database: Database, other: Database) -> None:
        database.history.start("a", None)
        with pytest.raises(LockedError, match="Another run has just taken a"):
            other.history.start("a", None)

    def test_of_two_that_saw_the_same_one_starts(self, database: Database, other: Database) -> None:
        database.history.start("a", None)
        database.history.fail("a", FAILURE)
        seen = database.history.read()["a"]
        other.history.start("a", seen)
        with pytest.raises(LockedError):
            database.history.start("a", seen)
        other.history.complete("a")
        with pytest.raises(LockedError):
            database.history.start("a", seen)

    def test_a_completed_one_may_be_started_again(self, database: Database) -> None:
        database.history.start("a", None)
        database.history.complete("a")
        database.history.start("a", database.history.read()["a"])
        assert database.history.read()["a"].state is State.PROCESSING

    def test_drop_takes_everything(self, database: Database, other: Database) -> None:
        database.history.start("a", None)
        assert database.contents().collections > 0
        other.drop()
        assert database.history.read() == {}
        assert database.contents() == Contents(0, 0)

    def test_one_holds_the_lease_and_the_other_is_told_who(self, database: Database, other: Database) -> None:
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
            with pytest.raises(LockedError, match="lost its hold"):
                lease.renew()

    def test_the_lease_tells_one_database_from_another(self, database: Database, other: Database) -> None:
        with database.lease("a thing") as lease:
            assert other.sees(lease)
        assert not other.sees(lease)
        assert database.is_same_as(other)

    def test_there_is_nothing_to_mend_in_what_is_whole(self, database: Database) -> None:
        database.require_whole()
        with database.lease("a thing") as lease:
            assert database.mend(lease) is None
