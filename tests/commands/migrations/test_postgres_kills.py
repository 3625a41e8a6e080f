"""At every message that a run sends to PostgreSQL, the run, its session or the server is killed.

What is recorded is what has happened, and the next run does what is missing, once.
"""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import pytest

from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import PASSWORD, USER
from tests.support.servers.mortal_postgres import MortalPostgres, run_mortal_postgres
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.postgres_proxy import PostgresProxy, When

pytestmark = [pytest.mark.server, pytest.mark.command]

KEY = "_201405290038_weigh_migration"
MIGRATION = """\
from monarch import PostgresBackedMigration


class WeighMigration(PostgresBackedMigration):
    def run(self):
        self.connection.execute("UPDATE dogs SET weight = weight + 1")
        self.connection.execute("INSERT INTO log VALUES ('weighed')")
"""
RESET = """
    TRUNCATE dogs, log;
    INSERT INTO dogs SELECT n, 0 FROM generate_series(1, 3) n;
    DROP SCHEMA IF EXISTS monarch_history CASCADE;
"""


@dataclass
class Scenario:
    """A project whose environment ``dev`` is reached through ``proxy``, and ``direct`` without it."""

    folder: Folder
    postgres: PostgresServer
    proxy: PostgresProxy
    db_name: str
    messages: int = 0

    def reset(self) -> None:
        with self.postgres.connect(self.db_name) as connection:
            connection.execute(RESET)

    def start(self) -> subprocess.Popen[str]:
        return self.folder.start("migrate", "dev")

    def outcome(self) -> tuple[str | None, int, int]:
        """Return the recorded state, the sum of the weights, and the rows of the log."""
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        with self.postgres.connect(self.db_name) as connection:
            deadline = time.monotonic() + 60
            while connection.execute(others, (self.db_name,)).fetchone() != (0,):  # it may still commit
                assert time.monotonic() < deadline
                time.sleep(0.01)
            weight = connection.execute("SELECT sum(weight)::int, (SELECT count(*) FROM log) FROM dogs")
            weights, rows = weight.fetchone() or (0, 0)
            if connection.execute("SELECT to_regclass('monarch_history.history')").fetchone() == (None,):
                return None, weights, rows
            state = connection.execute("SELECT state FROM monarch_history.history").fetchone()
            return state[0] if state else None, weights, rows

    def require_settled(self) -> None:
        """The next run does what is missing, once."""
        result = self.folder.monarch("migrate", "direct", "--retry")
        assert result.code == 0, result.output
        assert self.outcome() == ("Completed", 3, 1)
        assert self.folder.monarch("check", "direct").code == 0


@contextmanager
def make_scenario(path: Path, postgres: PostgresServer) -> Iterator[Scenario]:
    folder, db_name = Folder(path), f"t_{uuid.uuid4().hex}"
    postgres.create(db_name)
    who = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
    with PostgresProxy(postgres.port) as proxy:
        uri = f"postgresql://{who}@127.0.0.1:{proxy.port}/{db_name}?sslmode=disable&gssencmode=disable"
        folder.settings(dev={"uri": uri}, direct={"uri": postgres.uri(db_name)})
        folder.write(f"migrations/{KEY}.py", MIGRATION)
        made = Scenario(folder, postgres, proxy, db_name)
        with postgres.connect(db_name) as connection:
            connection.execute(
                "CREATE TABLE dogs (id int PRIMARY KEY, weight int); CREATE TABLE log (what text)"
            )
        made.reset()
        assert made.start().wait() == 0
        made.messages = proxy.messages
        yield made
    postgres.drop(db_name)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Scenario]:
    with make_scenario(tmp_path_factory.mktemp("project"), postgres) as made:
        yield made


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scenario, MortalPostgres]]:
    path = tmp_path_factory.mktemp("mortal")
    with run_mortal_postgres() as server, make_scenario(path, server.server) as made:
        yield made, server


def moments(reduced: int = 2, step: int = 8) -> list[tuple[int, When]]:
    """Return parts of a thousand of a run, ``step`` apart, and whether the message arrives."""
    whens: tuple[When, ...] = get_args(When)
    return counts.sample([(part, when) for part in range(0, 1000, step) for when in whens], reduced)


def interrupt(scenario: Scenario, part: int, when: When, act: Callable[[subprocess.Popen[str]], None]) -> int:
    """Run the migration, interrupted at a message; return its exit code."""
    scenario.reset()
    holder: list[subprocess.Popen[str]] = []
    done = threading.Event()

    def act_once() -> None:
        act(holder[0])
        done.set()

    scenario.proxy.at(1 + part * scenario.messages // 1000, when, act_once)
    holder.append(scenario.start())
    out, err = holder[0].communicate(timeout=120)
    # A run may send fewer messages than the first one did, and then ends by itself.
    assert done.wait(120) if scenario.proxy.hit else holder[0].returncode == 0
    assert "Traceback" not in out + err
    assert "ended its transaction itself" not in err
    return holder[0].returncode


def require_true(outcome: tuple[str | None, int, int]) -> None:
    """All of it happened and is recorded, or nothing."""
    state, weights, rows = outcome
    assert (weights, rows) == ((3, 1) if state == "Completed" else (0, 0))


@pytest.mark.parametrize(("part", "when"), moments())
def test_a_run_is_killed(scenario: Scenario, part: int, when: When) -> None:
    interrupt(scenario, part, when, lambda process: process.kill())
    require_true(scenario.outcome())
    scenario.require_settled()


def require_answer(scenario: Scenario, code: int) -> None:
    """The exit code, the record and the database agree, and the next run does what is missing."""
    outcome = scenario.outcome()
    require_true(outcome)
    assert (code == 0) == (outcome[0] == "Completed")
    scenario.require_settled()


def require_given_back(scenario: Scenario) -> None:
    """A run that lost a connection has given the lease back."""
    with scenario.postgres.connect(scenario.db_name) as connection:
        if connection.execute("SELECT to_regclass('monarch_history.lease')").fetchone() != (None,):
            assert connection.execute("SELECT run FROM monarch_history.lease").fetchone() == (None,)


@pytest.mark.parametrize(("part", "when"), moments())
def test_a_connection_is_cut(scenario: Scenario, part: int, when: When) -> None:
    code = interrupt(scenario, part, when, lambda _: None)
    require_given_back(scenario)
    require_answer(scenario, code)


@pytest.mark.parametrize(("part", "when"), moments(1, 16))
def test_an_administrator_ends_all_sessions(scenario: Scenario, part: int, when: When) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"

    def terminate(_: object) -> None:
        with scenario.postgres.connect() as connection:
            connection.execute(end, (scenario.db_name,))

    require_answer(scenario, interrupt(scenario, part, when, terminate))


@pytest.mark.parametrize("what", ["session", "server"])
@pytest.mark.parametrize(("part", "when"), moments(1, 40))
def test_the_server_is_killed(
    mortal: tuple[Scenario, MortalPostgres], part: int, when: When, what: str
) -> None:
    scenario, server = mortal

    def kill(_: object) -> None:
        if what == "server":
            server.kill()
        else:
            server.kill_sessions(scenario.db_name)

    require_answer(scenario, interrupt(scenario, part, when, kill))
