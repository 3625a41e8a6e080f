"""Migrating the environments of a project, and looking at how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from monarch.databases.base import Contents
from monarch.databases.history import IncompleteDatabase, JournalEntry, MigrationState
from monarch.databases.lease import Holder
from monarch.errors import MonarchError
from monarch.migrations.executor import MigrationResult
from monarch.migrations.files import find_migration
from monarch.migrations.mark import Marker, MarkResult
from monarch.migrations.migrate import MigrationRun, RunResult
from monarch.migrations.plan import PlannedMigration, RunSelection, refuse_if_running
from monarch.migrations.status import MigrationStatus, Verdict, judge, list_status
from monarch.migrations.waiting import whole_history
from monarch.progress import SILENT, Progress
from monarch.settings.environments import Environment
from monarch.system.ci import find_origin
from monarch.workspace.backups import Backups


@dataclass(frozen=True)
class EnvironmentStatus:
    """The migrations of one environment among all: ``rows``, or why they could not be read.

    ``incomplete`` if it has a key without a value on this machine.
    """

    environment: str
    rows: tuple[MigrationStatus, ...]
    error: str | None = None
    incomplete: bool = False


# Most of the time they wait for a server.
_AT_ONCE = 8


class Migrations(Backups):
    """What has run on an environment, and what is to run."""

    def list_migrations(self, environment: str, progress: Progress = SILENT) -> tuple[MigrationStatus, ...]:
        """Every migration with its state on ``environment``. Writes nothing."""
        files = self.migrations()
        with self.open(environment, progress) as database:
            records = whole_history(database, environment, progress)
            return list_status(files, records, database.history.checksums())

    def list_everywhere(self) -> tuple[EnvironmentStatus, ...]:
        """`list_migrations` of every environment of the settings, all at once. Writes nothing."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(pool.map(self._look_at, self.settings.environments))

    def _look_at(self, environment: Environment) -> EnvironmentStatus:
        files = self.migrations()
        name = environment.name
        try:
            with self.open(name) as database:
                history = database.history
                return EnvironmentStatus(name, list_status(files, history.read(), history.checksums()))
        except MonarchError as error:
            return EnvironmentStatus(name, (), error.message, incomplete=environment.missing is not None)

    def check(self, environment: str) -> Verdict:
        """Whether ``environment`` is up to date. Writes nothing, and asks its server at most twice."""
        files = self.migrations()
        with self.open(environment) as database:
            records = database.history.read()
            # What was cut off has been looked at twice, so there is no third question.
            cut_off = any(record.state is MigrationState.INTERRUPTED for record in records.values())
            known = None if cut_off else database.history.checksums()
            return judge(environment, list_status(files, records, known))

    def history(
        self, environment: str, migration: str | None = None, *, last: int | None = None
    ) -> tuple[JournalEntry, ...]:
        """The journal of ``environment``, the oldest entry first: all of it, or that of one ``migration``,
        or only its ``last`` so many entries. Writes nothing.

        :raises ProjectError: if there is no such migration.
        """
        with self.open(environment) as database:
            entries = database.history.entries(migration, last=last)
            if (
                migration is not None and not entries
            ):  # by its whole name it is found also if its file is gone
                key = find_migration(self.migrations(), migration).key
                entries = database.history.entries(key, last=last)
            if all(entry.outcome is not None for entry in entries):
                return entries
            records = database.history.read()
        # What has not ended goes on, or was cut off: that the history knows.
        return tuple(
            entry
            if entry.outcome or entry.key not in records
            else replace(entry, outcome=records[entry.key].state)
            for entry in entries
        )

    def plan(
        self,
        environment: str,
        *,
        retry: bool = False,
        to: str | None = None,
        only: tuple[str, ...] = (),
        strict_order: bool = False,
    ) -> tuple[PlannedMigration, ...]:
        """What `migrate` would run, in order, and why. Writes nothing."""
        with self._migrating(environment, SILENT) as migrating:
            return migrating.plan(RunSelection(retry, to, only, strict_order))

    def migrate(
        self,
        environment: str,
        *,
        retry: bool = False,
        to: str | None = None,
        only: tuple[str, ...] = (),
        strict_order: bool = False,
        wait: float | None = None,
        deadline: float | None = None,
        backup: bool = False,
        progress: Progress = SILENT,
    ) -> RunResult:
        """Run what is pending on ``environment``; with ``retry``, what did not finish as well.

        Of that only what is not behind the migration ``to``, or those in ``only``; with ``strict_order``
        nothing, if any is older than what has run. Another run is waited for, as long as it takes or ``wait``
        seconds. ``deadline`` seconds from now no other migration begins. With ``backup`` one is taken, and
        verified, before the first one runs.

        :raises MigrationError: if one fails, or an earlier one that did not finish stands in the way.
        :raises LockedError: if another run holds the database for longer than ``wait``.
        :raises DeadlineReached: if not all are done by then.
        """
        back_up: Callable[[], str] | None = None
        if backup:
            self.shelf  # noqa: B018 - whether there is a store is told before anything begins

            def back_up() -> str:
                from monarch.backups.reader import verify

                # Of one that holds nothing yet too: it is the first deployment that begins like that.
                taken = self.backup(environment, allow_empty=True, progress=progress)
                verify(self.shelf, self.shelf.get(taken.name), progress)
                return taken.name

        with self._migrating(environment, progress) as migrating:
            wanted = RunSelection(retry, to, only, strict_order)
            return migrating.migrate(wanted, wait=wait, deadline=deadline, back_up=back_up)

    def migrate_one(
        self, migration: str, environment: str, progress: Progress = SILENT, *, wait: float | None = 0
    ) -> MigrationResult:
        """Run one migration, whatever its recorded state is.

        :raises LockedError: if another run is at it, or holds the database for longer than ``wait`` seconds.
        """
        file = find_migration(self.migrations(), migration)
        with self._migrating(environment, progress) as migrating:
            return migrating.migrate_one(file, wait=wait)

    def rollback(
        self,
        environment: str,
        migration: str | None = None,
        progress: Progress = SILENT,
        *,
        wait: float | None = 0,
    ) -> MigrationResult:
        """Undo the newest migration that has run, or the one that is named, by its own ``rollback``.

        :raises MigrationError: if there is none, or it has no ``rollback``.
        """
        with self._migrating(environment, progress) as migrating:
            return migrating.rollback(migration, wait=wait)

    def mark(
        self, environment: str, *migrations: str, state: MigrationState, progress: Progress = SILENT
    ) -> tuple[MarkResult, ...]:
        """Record that migrations are Completed or New, without running anything."""
        with self._marking(environment, progress) as marking:
            return marking.mark(migrations, state)

    def accept_edits(
        self, environment: str, *migrations: str, progress: Progress = SILENT
    ) -> tuple[MarkResult, ...]:
        """Record that the files of migrations that have run are meant to be as they are, or to be gone."""
        with self._marking(environment, progress) as marking:
            return marking.accept(migrations)

    def holder(self, environment: str) -> Holder | None:
        """The run that holds the lease of ``environment``. Writes nothing."""
        with self.open(environment) as database:
            return database.holder()

    def unlock(self, environment: str, holder: Holder) -> bool:
        """Take the lease away from ``holder``, whose run stops before it records anything more.

        :return: whether it still had it.
        """
        with self.open(environment) as database:
            return database.unlock(holder)

    def drop(self, environment: str, progress: Progress = SILENT) -> Contents:
        """Remove the database of ``environment`` and all that is in it; return what that was.

        :raises LockedError: if another run holds it, or a migration is running on it.
        """
        with self.open(environment, progress) as database:
            with suppress(IncompleteDatabase):  # what is left of it goes too
                for record in database.history.read().values():
                    refuse_if_running(record, environment)
            with database.lease(f"drop_db {environment}"):
                contents = database.contents()
                database.drop()
                return contents

    @contextmanager
    def _marking(self, environment: str, progress: Progress) -> Iterator[Marker]:
        files = self.migrations()
        with self.open(environment, progress) as database:
            yield Marker(files, environment, database, find_origin(self.root), progress)

    @contextmanager
    def _migrating(self, environment: str, progress: Progress) -> Iterator[MigrationRun]:
        files = self.migrations()
        with self.open(environment, progress) as database:
            yield MigrationRun(
                self.root,
                files,
                self.environment(environment),
                database,
                self.settings.hooks,
                find_origin(self.root),
                progress,
            )
