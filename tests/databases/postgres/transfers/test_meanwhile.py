"""A migration and a transfer of the same database at the same time: refused by the lease, or whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from monarch import Project
from monarch.errors import LockedError
from monarch.progress import Progress
from tests.support.runs.postgres_pair import End, PostgresPair

pytestmark = pytest.mark.server

MIGRATION = """
from monarch import PostgresBackedMigration
from tests.databases.postgres.transfers.test_meanwhile import IN_THE_MIDDLE


class BothMigration(PostgresBackedMigration):
    def run(self):
        self.connection.execute("UPDATE first SET n = 1")
        for act in IN_THE_MIDDLE:
            act()
        self.connection.execute("UPDATE second SET n = 1")
"""
# What the migration calls between its two statements.
IN_THE_MIDDLE: list[Callable[[], object]] = []


class Acting(Progress):
    """Calls ``act`` when ``phase`` begins."""

    def __init__(self, act: Callable[[], object], phase: str) -> None:
        self._act, self._phase = act, phase
        self.acted = False

    def phase(self, name: str) -> None:
        if name == self._phase:
            self.acted = True
            self._act()


@pytest.fixture
def project(pair: PostgresPair) -> Project:
    """The project of ``pair``, with a migration that changes two tables of either database."""
    pair.folder.write("migrations/_202401010000_both_migration.py", MIGRATION)
    for end in (pair.source, pair.target):
        end.run("CREATE TABLE first AS SELECT 0 AS n", "CREATE TABLE second AS SELECT 0 AS n")
    return pair.project()


def state(end: End) -> list[tuple[int, int, int]]:
    """Return both values of ``end``, and how many migrations have been completed."""
    (history,) = end.rows("SELECT to_regclass('monarch_history.history') IS NOT NULL")
    count = (
        end.value("SELECT count(*) FROM monarch_history.history WHERE state = 'Completed'")
        if history[0]
        else 0
    )
    return [(one, two, count) for one, two in end.rows("SELECT f.n, s.n FROM first f, second s")]


def test_a_migration_of_the_target_of_a_copy_is_refused(pair: PostgresPair, project: Project) -> None:
    def migrate() -> None:
        with pytest.raises(LockedError):
            project.migrate("dev", wait=0)

    acting = Acting(migrate, "comparing")
    project.copy("production", "dev", progress=acting)
    assert acting.acted
    assert state(pair.target) == [(0, 0, 0)]


def test_a_copy_of_a_source_that_is_migrated_is_whole(pair: PostgresPair, project: Project) -> None:
    acting = Acting(lambda: project.migrate("production"), "indexing")
    project.copy("production", "dev", progress=acting)
    assert acting.acted
    assert state(pair.source) == [(1, 1, 1)]
    assert state(pair.target) == [(0, 0, 0)]


def test_transfers_during_a_migration(pair: PostgresPair, project: Project) -> None:
    def transfer() -> None:
        with pytest.raises(LockedError):
            project.copy("production", "dev")
        project.backup("dev", name="taken")

    IN_THE_MIDDLE.append(transfer)
    try:
        project.migrate("dev")
    finally:
        IN_THE_MIDDLE.clear()
    assert state(pair.target) == [(1, 1, 1)]
    (archive,) = (pair.folder.path / "backups").rglob("taken*.zst")
    project.restore(archive.name, "dev")
    assert state(pair.target) == [(0, 0, 0)]
