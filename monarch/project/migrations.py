"""What has run on the environments of a project, and running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from monarch.databases import KINDS
from monarch.migrations.files.find import find_migration
from monarch.migrations.files.kinds import find_kinds, keep_kind, naming_wrong_kinds
from monarch.migrations.migrate import MigrationRun, RunResult
from monarch.migrations.plan import MigrationPlan, PlannedMigration, RunSelection
from monarch.progress import SILENT, Progress, Question, ask_nothing, asked_once
from monarch.project.rollbacks import ProjectRollbacks
from monarch.project.runs import Preview, ShownPlan

if TYPE_CHECKING:
    from monarch.databases.history import JournalEntry
    from monarch.databases.several.targets import ChosenDatabase
    from monarch.migrations.execution import MigrationResult
    from monarch.migrations.status import EnvironmentStatus, MigrationStatus, Verdict
    from monarch.migrations.trial import TrialDatabase, TrialResult


class ProjectMigrations(ProjectRollbacks):
    """What has run on an environment, and running what has not."""

    def list_migrations(self, environment: str, progress: Progress = SILENT) -> tuple[MigrationStatus, ...]:
        """List every migration with its state on ``environment``. Writes nothing."""
        from monarch.migrations.status import read_status

        files = self.migrations_of(environment)
        with self.open(environment, progress) as database:
            return read_status(files, database, environment, progress)

    def list_everywhere(self) -> tuple[EnvironmentStatus, ...]:
        """`list_migrations` of every environment, all at once. Writes nothing."""
        from monarch.databases.several.targets import Selected, find_targets

        everything = [Selected(one) for one in self.environments()]
        return self.list_each(find_targets(everything, self.root))

    def list_each(self, targets: Sequence[ChosenDatabase]) -> tuple[EnvironmentStatus, ...]:
        """`list_migrations` of each of ``targets``, several at once, and whether it is up to date.

        What cannot be read has an error instead. Writes nothing.
        """
        from monarch.migrations.status import read_all_status

        files, kinds = self.migrations(), find_kinds(self.environments(), self.root)
        by_kind = {kind: keep_kind(files, kind, self.root) if len(kinds) > 1 else files for kind in KINDS}
        return read_all_status(by_kind, targets, self.root)

    def check(self, environment: str) -> Verdict:
        """Check whether ``environment`` is up to date. Writes nothing; asks its server at most twice."""
        from monarch.migrations.status import check_status

        files = self.migrations_of(environment)
        with self.open(environment) as database:
            return check_status(files, database.history, environment)

    def history(
        self,
        environment: str,
        migration: str | None = None,
        *,
        last: int | None = None,
        everything: bool = False,
        progress: Progress = SILENT,
    ) -> tuple[JournalEntry, ...]:
        """Read the journal of ``environment``, the oldest entry first. Writes nothing.

        With ``migration`` only the entries of that one; with ``last`` at most that many, the newest. With
        ``everything``, what other commands have done, too, also what only the store of the backups has.

        :raises ProjectError: if there is no such migration.
        """
        from monarch.migrations.status import read_journal

        with (
            self.open(environment) as database,
            naming_wrong_kinds(self.root, self.environment(environment)),
        ):
            files, history = self.migrations_of(environment), database.history
            entries = read_journal(files, history, migration, last, everything=everything)
        if not everything or migration is not None:
            return entries
        from monarch.backups.operations.history import add_lines

        return add_lines(self.root, self.settings, environment, entries, last, progress)

    def plan(
        self,
        environment: str,
        *,
        retry: bool = False,
        to: str | None = None,
        only: tuple[str, ...] = (),
        strict_order: bool = False,
    ) -> tuple[PlannedMigration, ...]:
        """List what `migrate` would run, in order, and why. Writes nothing."""
        with self._run(MigrationRun, environment) as run:
            return run.plan(RunSelection(retry, to, only, strict_order)).steps

    def plan_migrate(
        self,
        environment: str,
        *,
        retry: bool = False,
        to: str | None = None,
        only: tuple[str, ...] = (),
        strict_order: bool = False,
        progress: Progress = SILENT,
    ) -> ShownPlan[MigrationPlan]:
        """Return what `migrate` would run, and what the database holds. Writes nothing."""
        selection = RunSelection(retry, to, only, strict_order)
        return self._planned(MigrationRun, environment, lambda run: run.plan(selection), progress)

    def plan_migrate_one(
        self, migration: str, environment: str, progress: Progress = SILENT
    ) -> ShownPlan[MigrationPlan]:
        """Return what `migrate_one` would run, and what the database holds. Writes nothing."""
        file = find_migration(self.migrations(), migration)
        return self._planned(MigrationRun, environment, lambda run: run.plan_one(file), progress)

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
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> RunResult:
        """Run what is pending on ``environment``; with ``retry``, also what did not finish.

        ``to`` is the last migration to run, ``only`` are the ones to run. With ``strict_order`` nothing runs
        if a pending migration is older than what has run. ``wait`` is how many seconds to wait for another
        run, by default without limit. No migration begins later than ``deadline`` seconds from now, without
        those that ``confirm`` takes. With ``backup``, a backup is taken and verified before the first one.

        ``preview`` is called before ``confirm`` with what `plan_migrate` returns. Nothing runs then that was
        not in it.

        :raises MigrationError: if one fails, or an earlier one that did not finish blocks the rest.
        :raises LockedError: if another run holds the database for longer than ``wait``.
        :raises DeadlineReached: if not all are done by then.
        """
        back_up = self._verified_backup(environment, progress) if backup else None
        with self._run(MigrationRun, environment, progress, confirm, preview) as run:
            selection = RunSelection(retry, to, only, strict_order)
            return run.migrate(selection, wait=wait, deadline=deadline, back_up=back_up)

    def migrate_one(
        self,
        migration: str,
        environment: str,
        progress: Progress = SILENT,
        *,
        wait: float | None = 0,
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> MigrationResult:
        """Run one migration, regardless of its recorded state.

        :param preview: called before ``confirm`` with what `plan_migrate_one` returns.
        :raises LockedError: if it is running, or another run holds the database longer than ``wait`` seconds.
        """
        file = find_migration(self.migrations(), migration)
        with self._run(MigrationRun, environment, progress, confirm, preview) as run:
            return run.migrate_one(file, wait=wait)

    def scratch(self, environment: str) -> AbstractContextManager[TrialDatabase]:
        """An empty database on the server of ``environment``, dropped when the context ends.

        Its name is that of the environment's database with ``_scratch_`` and a random number.
        """
        from monarch.migrations.trial import open_scratch

        return open_scratch(self.root, self.migrations_of(environment), self.environment(environment))

    def verify_migration(
        self,
        migration: str,
        environment: str,
        *,
        engine: str = "auto",
        progress: Progress = SILENT,
        confirm: Question = ask_nothing,
    ) -> TrialResult:
        """Run a migration twice on a scratch copy of ``environment``, with all that are pending before it.

        The copy is dropped afterwards; ``environment`` is only read.

        :raises MigrationError: if the first run fails, or one of those before it.
        """
        from monarch.migrations.trial import verify_migration

        files, source = self.migrations_of(environment), self.environment(environment)
        return verify_migration(
            self.root, files, source, migration, engine=engine, progress=progress, confirm=asked_once(confirm)
        )

    def _verified_backup(self, environment: str, progress: Progress) -> Callable[[], str]:
        from monarch.backups.create import BackupRequest
        from monarch.backups.reader import verify

        catalog = self.backups  # missing settings of a store are reported before anything begins
        # An empty database too: the first deployment begins with one.
        request = BackupRequest(self.root, self.environment(environment), allow_empty=True)

        def back_up() -> str:
            # Without the hooks of `backup`: those of `migrate` are called.
            taken = request.run(catalog, progress)
            for text in taken.transfer.notes:
                progress.message(text)
            verify(catalog, catalog.get(taken.name), progress)
            return taken.name

        return back_up
