"""The lease by the server's clock: dead holders, holders elsewhere, holders that were suspended too long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo.collection import Collection

from monarch.databases import open_database
from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.databases.mongo.lease import MongoLease
from monarch.errors import LockedError
from monarch.settings.environments import parse_environment
from tests.support.servers.mongod import Server

Leases = Collection[dict[str, Any]]
HOLD = """
import sys, time
from pathlib import Path
from monarch.databases import open_database
from monarch.settings.environments import parse_environment
environment = parse_environment("dev", {"uri": sys.argv[1], "db_name": sys.argv[2]})
with open_database(environment, Path()) as database, database.lease("holding") as lease:
    print(lease.fence, flush=True)
    sys.stdin.readline()
    lease.check()
"""


@pytest.fixture
def environment(server: Server) -> Iterator[Environment]:
    entry: dict[str, Any] = {"uri": server.uri, "db_name": f"t_{ObjectId()}"}
    yield parse_environment("dev", entry)
    with server.client() as client:
        client.drop_database(entry["db_name"])


@pytest.fixture
def database(environment: Environment) -> Iterator[Database]:
    with open_database(environment, Path()) as opened:
        yield opened


@pytest.fixture
def leases(environment: Environment, server: Server) -> Iterator[Leases]:
    with server.client() as client:
        yield client[environment.db_name].monarch_lease


@pytest.fixture
def holder(environment: Environment, server: Server) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, server.uri, environment.db_name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    yield process
    process.kill()
    process.communicate()


def test_a_process_that_was_killed_is_replaced_at_once(
    database: Database, leases: Leases, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(LockedError), database.lease("too early"):
        pass
    over = (leases.find_one() or {})["expires_at"]
    os.kill(holder.pid, signal.SIGKILL)
    while True:
        try:
            with database.lease("the next") as lease:
                assert lease.fence == 2
                # By the server's clock, before the lease of the killed process expired.
                assert (leases.find_one() or {})["taken_at"] < over
                break
        except LockedError:
            continue  # the process has not ended yet
    # The process was not reaped: its process id still exists.
    assert holder.returncode is None


@pytest.mark.parametrize("where", [{"holder.host": "elsewhere"}, {"holder.pid_space": "another container"}])
def test_the_lease_of_a_process_elsewhere_is_held_until_it_expires(
    database: Database, leases: Leases, holder: subprocess.Popen[str], where: dict[str, str]
) -> None:
    leases.update_one({}, {"$set": where})
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with pytest.raises(LockedError, match="holding"), database.lease("too early"):
        pass
    leases.update_one({}, [{"$set": {"expires_at": {"$subtract": ["$$NOW", 1]}}}])
    with database.lease("the next") as lease:
        assert lease.fence == 2


def test_a_holder_that_was_suspended_too_long_notices_before_it_continues(
    database: Database, leases: Leases, holder: subprocess.Popen[str]
) -> None:
    os.kill(holder.pid, signal.SIGSTOP)
    # The state after 30 seconds by the server's clock, without waiting for it.
    leases.update_one({}, [{"$set": {"expires_at": "$$NOW"}}])
    with database.lease("the next"):
        os.kill(holder.pid, signal.SIGCONT)
        # By its own clock it has renewed the lease recently; only the server's answer shows the loss.
        assert holder.stdin is not None
        holder.communicate("\n", timeout=30)
        found = leases.find_one()
        assert found is not None
        assert found["holder"]["purpose"] == "the next"


def test_a_lease_that_was_not_renewed_lately_asks_the_server(
    database: Database, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.lease("sleeping") as lease:
        assert isinstance(lease, MongoLease)
        leases.update_one({}, {"$set": {"fence": 7}})
        lease.check()  # does not ask the server, so it cannot notice yet
        late = time.clock_gettime(time.CLOCK_BOOTTIME) + 20
        monkeypatch.setattr("monarch.databases.mongo.lease._now", lambda: late)
        with pytest.raises(LockedError, match="lost the lease of 'dev'"):
            lease.check()


def test_it_is_renewed_and_released(
    database: Database, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monarch.databases.mongo.lease._RENEW_EVERY", 0.05)
    began = time.monotonic()
    with database.lease("a long thing"):
        first = leases.find_one()
        assert first is not None
        # On a busy machine it may have been renewed since.
        lasts = (first["expires_at"] - first["taken_at"]).total_seconds()
        assert 30 <= lasts <= 30 + (time.monotonic() - began)
        deadline = time.monotonic() + 60
        while leases.count_documents({"expires_at": {"$gt": first["expires_at"]}}) == 0:
            assert time.monotonic() < deadline
        assert "monarch lease" in {thread.name for thread in threading.enumerate()}
    after = leases.find_one()
    assert after is not None
    assert "holder" not in after
    with database.lease("the next") as lease:
        assert lease.fence == 2


def test_one_of_many_concurrent_runs_gets_it(environment: Environment) -> None:
    got: list[int] = []
    messages: list[str] = []
    start = threading.Barrier(8)
    done = threading.Barrier(8)

    def take() -> None:
        with open_database(environment, Path()) as database:
            start.wait()
            try:
                with database.lease("racing") as lease:
                    got.append(lease.fence)
                    done.wait()
            except LockedError as error:
                messages.append(error.message)
                done.wait()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1]
    assert len(messages) == 7
