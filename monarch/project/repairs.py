"""What helps when something is stuck."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from monarch.databases.base import Contents, Database
from monarch.databases.history import IncompleteDatabase, MigrationState
from monarch.databases.lease import Holder
from monarch.errors import MonarchError
from monarch.migrations.files.kinds import naming_wrong_kinds
from monarch.migrations.plan import refuse_if_any_is_running
from monarch.progress import SILENT, Progress, Question, ask_nothing, asked_once
from monarch.project.backups import ProjectBackups
from monarch.project.files import ProjectFiles
from monarch.project.runs import Preview, ShownPlan, showing
from monarch.system.ci import find_origin

if TYPE_CHECKING:
    from monarch.backups.plans.target import TargetState
    from monarch.migrations.mark import Marker, MarkPlan, MarkResult


class ProjectRepairs(ProjectFiles, ProjectBackups):
    """What helps when something is stuck, and what only a person can know."""

    def mark(
        self,
        environment: str,
        *migrations: str,
        state: MigrationState,
        progress: Progress = SILENT,
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> tuple[MarkResult, ...]:
        """Record that migrations are Completed or New, without running anything.

        :param preview: called before ``confirm`` with what `plan_mark` returns.
        """
        with self._marker(environment, progress, confirm, preview) as marker:
            return marker.mark(migrations, state)

    def mark_all(
        self,
        environment: str,
        *,
        state: MigrationState,
        progress: Progress = SILENT,
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> tuple[MarkResult, ...]:
        """`mark` every migration of this checkout."""
        with self._marker(environment, progress, confirm, preview) as marker:
            return marker.mark_all(state)

    def accept_edits(
        self,
        environment: str,
        *migrations: str,
        progress: Progress = SILENT,
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> tuple[MarkResult, ...]:
        """Record that the files of migrations that have run were edited, or deleted, on purpose."""
        with self._marker(environment, progress, confirm, preview) as marker:
            return marker.accept(migrations)

    def accept_all_edits(
        self,
        environment: str,
        progress: Progress = SILENT,
        *,
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> tuple[MarkResult, ...]:
        """`accept_edits` of every migration whose file was edited, or deleted, since it ran."""
        with self._marker(environment, progress, confirm, preview) as marker:
            return marker.accept_all()

    def plan_mark(
        self,
        environment: str,
        *migrations: str,
        state: MigrationState | None,
        progress: Progress = SILENT,
    ) -> ShownPlan[MarkPlan]:
        """Return what `mark` would record, or without ``state`` what `accept_edits` would. Writes nothing.

        Without ``migrations``, that of `mark_all` or `accept_all_edits`.
        """
        from monarch.backups.plans.patience import UNHURRIED
        from monarch.backups.plans.target import read_target

        search = self.look_for_newest(environment, UNHURRIED)
        with self._marker(environment, progress, ask_nothing) as marker:
            plan = marker.plan(migrations, state) if migrations else marker.plan_all(state)
            with marker.database.reading():
                database, target = marker.database, self.environment(environment)
                return ShownPlan(plan, read_target(target, database, search, UNHURRIED))

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

    def plan_drop(self, environment: str, progress: Progress = SILENT) -> TargetState:
        """Return what `drop` would remove, and the newest good backup of it. Writes nothing.

        :raises LockedError: if a migration is running on it.
        """
        from monarch.backups.plans.patience import UNHURRIED
        from monarch.backups.plans.target import read_target

        search = self.look_for_newest(environment, UNHURRIED, progress)
        with self.open(environment, progress) as database, database.reading():
            _refuse_running(database, environment)
            return read_target(self.environment(environment), database, search, UNHURRIED)

    def drop(
        self,
        environment: str,
        progress: Progress = SILENT,
        *,
        confirm: Question = ask_nothing,
        preview: Callable[[TargetState], object] | None = None,
    ) -> Contents:
        """Drop the database of ``environment``; return how much it held.

        :param preview: called before ``confirm`` with what `plan_drop` returns, which takes seconds at most.
        :raises LockedError: if another run holds it, or a migration is running on it.
        """
        from monarch.backups.operations.record import recording_drop

        search = None if preview is None else self.look_for_newest(environment, None, progress)
        with self.open(environment, progress) as database:
            _refuse_running(database, environment)
            shown = None
            if preview is not None and search is not None:
                from monarch.backups.plans.target import read_target

                shown = database.contents()
                preview(read_target(self.environment(environment), database, search))
            asked_once(confirm)()
            with database.lease(f"drop_db {environment}") as lease:
                _refuse_running(database, environment)  # again: one may have begun during the question
                contents = database.contents()
                if shown is not None and contents.collections > shown.collections:
                    raise MonarchError(
                        f"The database of {environment!r} holds more than it did before the question: "
                        f"{contents.collections}, not {shown.collections}. Nothing was dropped.",
                        f"Look at it again: monarch drop_db {environment} --plan",
                    )
                with recording_drop(self.root, self.settings, environment, contents, progress):
                    database.drop(lease.renew)
                return contents

    @contextmanager
    def _marker(
        self, environment: str, progress: Progress, confirm: Question, preview: Preview | None = None
    ) -> Iterator[Marker]:
        from monarch.migrations.mark import Marker

        search = None if preview is None else self.look_for_newest(environment)
        files, target = self.migrations_of(environment), self.environment(environment)
        with self.open(environment, progress) as database:
            show, ask = showing(target, database, search, confirm, preview)
            with naming_wrong_kinds(self.root, target):
                yield Marker(files, environment, database, find_origin(self.root), progress, ask, show)


def _refuse_running(database: Database, environment: str) -> None:
    with suppress(IncompleteDatabase):  # what a copy has left is dropped too
        refuse_if_any_is_running(database.history.read(), environment)
