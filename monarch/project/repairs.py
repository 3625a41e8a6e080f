"""What helps when something is stuck."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from monarch.databases.base import Contents
from monarch.databases.history import IncompleteDatabase, MigrationState
from monarch.databases.lease import Holder
from monarch.migrations.files.kinds import naming_wrong_kinds
from monarch.migrations.plan import refuse_if_any_is_running
from monarch.progress import SILENT, Progress, Question, ask_nothing, asked_once
from monarch.project.files import ProjectFiles
from monarch.system.ci import find_origin

if TYPE_CHECKING:
    from monarch.migrations.mark import Marker, MarkResult


class ProjectRepairs(ProjectFiles):
    """What helps when something is stuck, and what only a person can know."""

    def mark(
        self,
        environment: str,
        *migrations: str,
        state: MigrationState,
        progress: Progress = SILENT,
        confirm: Question = ask_nothing,
    ) -> tuple[MarkResult, ...]:
        """Record that migrations are Completed or New, without running anything."""
        with self._marker(environment, progress, confirm) as marker:
            return marker.mark(migrations, state)

    def mark_all(
        self,
        environment: str,
        *,
        state: MigrationState,
        progress: Progress = SILENT,
        confirm: Question = ask_nothing,
    ) -> tuple[MarkResult, ...]:
        """`mark` every migration of this checkout."""
        with self._marker(environment, progress, confirm) as marker:
            return marker.mark_all(state)

    def accept_edits(
        self,
        environment: str,
        *migrations: str,
        progress: Progress = SILENT,
        confirm: Question = ask_nothing,
    ) -> tuple[MarkResult, ...]:
        """Record that the files of migrations that have run were edited, or deleted, on purpose."""
        with self._marker(environment, progress, confirm) as marker:
            return marker.accept(migrations)

    def accept_all_edits(
        self, environment: str, progress: Progress = SILENT, *, confirm: Question = ask_nothing
    ) -> tuple[MarkResult, ...]:
        """`accept_edits` of every migration whose file was edited, or deleted, since it ran."""
        with self._marker(environment, progress, confirm) as marker:
            return marker.accept_all()

    def holder(self, environment: str) -> Holder | None:
        """The run that holds the lease of ``environment``. Writes nothing."""
        with self.open(environment) as database:
            return database.holder()

    def unlock(self, environment: str, holder: Holder, progress: Progress = SILENT) -> bool:
        """Take the lease away from ``holder``, whose run stops before it records anything more.

        :return: whether it still had the lease.
        """
        from monarch.backups.operations.record import unlock

        with self.open(environment) as database:
            return unlock(self.root, self.settings, database, environment, holder, progress)

    def drop(
        self, environment: str, progress: Progress = SILENT, *, confirm: Question = ask_nothing
    ) -> Contents:
        """Drop the database of ``environment``; return how much it held.

        :raises LockedError: if another run holds it, or a migration is running on it.
        """
        from monarch.backups.operations.record import recording_drop

        with self.open(environment, progress) as database:
            with suppress(IncompleteDatabase):  # what a copy has left is dropped too
                refuse_if_any_is_running(database.history.read(), environment)
            asked_once(confirm)()
            with database.lease(f"drop_db {environment}") as lease:
                with suppress(IncompleteDatabase):  # again: one may have begun during the question
                    refuse_if_any_is_running(database.history.read(), environment)
                contents = database.contents()
                with recording_drop(self.root, self.settings, environment, contents, progress):
                    database.drop(lease.renew)
                return contents

    @contextmanager
    def _marker(self, environment: str, progress: Progress, confirm: Question) -> Iterator[Marker]:
        from monarch.migrations.mark import Marker

        files = self.migrations_of(environment)
        with self.open(environment, progress) as database:
            ask = asked_once(confirm)
            with naming_wrong_kinds(self.root, self.environment(environment)):
                yield Marker(files, environment, database, find_origin(self.root), progress, ask)
