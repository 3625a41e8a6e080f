"""Trying migrations beside the environments of a project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monarch.migrations.files import find_migration
from monarch.progress import SILENT, Progress
from monarch.workspace.copies import Copies
from monarch.workspace.migrations import Migrations

if TYPE_CHECKING:
    from monarch.migrations.trial import TrialDatabase, TrialResult


class Scratches(Migrations, Copies):
    """Databases beside that of an environment, on the same server."""

    @contextmanager
    def scratch(self, environment: str) -> Iterator[TrialDatabase]:
        """An empty database on the server of ``environment``, dropped when the context ends.

        Its name is that of the environment's database with ``_scratch_`` and a random number.
        """
        from monarch.migrations.trial import open_scratch

        with open_scratch(self.root, self.migrations(), self.environment(environment)) as scratch:
            yield scratch

    def verify_migration(
        self, migration: str, environment: str, *, engine: str = "auto", progress: Progress = SILENT
    ) -> TrialResult:
        """Run a migration twice on a scratch copy of ``environment``, with all that are pending before it.

        The copy is dropped afterwards, and ``environment`` only read.

        :raises MigrationError: if the first run fails, or one of those before it.
        """
        from monarch.migrations.trial import verify_migration

        file = find_migration(self.migrations(), migration)
        with self.open(environment, progress) as source, self.scratch(environment) as scratch:
            chosen = scratch.opened.choose_engine(engine)
            return verify_migration(file, source, scratch, chosen, progress)
