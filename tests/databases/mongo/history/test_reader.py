"""The commands that reading the history needs, counted by pymongo's monitoring."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo import monitoring

from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Server


class Commands(monitoring.CommandListener):
    """Records the names of the commands while it is `on`."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.on = False

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.on:
            self.names.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...
    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


LISTENER = Commands()
monitoring.register(LISTENER)


@pytest.fixture
def sent() -> Iterator[list[str]]:
    LISTENER.names, LISTENER.on = [], True
    yield LISTENER.names
    LISTENER.on = False


@pytest.mark.parametrize("completed", [0, 10, 90])
def test_nothing_pending_is_one_query(project: Folder, completed: int, sent: list[str]) -> None:
    from monarch import Project

    keys = [project.migration(f"m{number}", "raise ValueError") for number in range(completed)]
    if keys:
        project.database.mongo_migration_history.insert_many(
            {"key": key, "state": "Completed", "processed_at": None} for key in keys
        )
    sent.clear()
    assert Project(Path(project.path)).migrate("dev").done == ()
    assert [name for name in sent if name not in ("saslContinue", "endSessions")] == ["aggregate"]


@pytest.fixture
def little_memory(server: Server) -> Iterator[None]:
    """A server with little memory for sorts that uses the disk only on request, as servers before 6.0."""
    little = {"allowDiskUseByDefault": False, "internalQueryMaxBlockingSortMemoryUsageBytes": 100_000}
    with server.client() as client:
        before = {name: client.admin.command({"getParameter": 1, name: 1})[name] for name in little}
        client.admin.command({"setParameter": 1, **little})
        try:
            yield
        finally:
            client.admin.command({"setParameter": 1, **before})


@pytest.mark.usefixtures("little_memory")
def test_a_history_larger_than_the_memory_for_sorts_is_read(project: Folder) -> None:
    keys = [project.migration(f"m{number}", "raise ValueError") for number in range(3)]
    attempt = {"action": "run", "outcome": "Failed", "error": "x" * 500, "checksum": "0" * 64}
    now = datetime.now(UTC)
    project.database.mongo_migration_journal.insert_many(
        {**attempt, "key": keys[number % 3], "started_at": now + timedelta(seconds=number)}
        for number in range(1_000)
    )
    project.database.mongo_migration_history.insert_many(
        {"key": key, "state": "Failed", "processed_at": now} for key in keys
    )
    for command in (["list_migrations", "dev"], ["check", "dev"], ["history", "dev"]):
        result = project.invoke(*command)
        assert "memory limit" not in result.output
        assert result.code in (0, 6), result.output
