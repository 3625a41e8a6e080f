"""What the history costs the server, counted by pymongo's own monitoring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import monitoring

from tests.support.runs.shell import Folder


class Commands(monitoring.CommandListener):
    """The names of the commands sent while it is `on`."""

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
