"""Restoring the backups of a project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from monarch.databases.environment import Environment
from monarch.progress import SILENT, Progress, Question, asked_once
from monarch.project.backups import ProjectBackups
from monarch.settings.hooks import HookContext

if TYPE_CHECKING:
    from monarch.backups.plans.transfer import TransferPlan
    from monarch.backups.restore import RestoreRequest
    from monarch.backups.state import Backup
    from monarch.copies.transfer import TransferResult
    from monarch.databases.selection import Choice, Names
    from monarch.handouts.policy import Passage


class ProjectRestores(ProjectBackups):
    """Restoring the backups of a project."""

    def plan_restore(
        self,
        backup: str | Backup,
        environment: str,
        *,
        engine: str = "auto",
        in_place: bool = False,
        raw: bool = False,
        progress: Progress = SILENT,
        **names: Unpack[Names],
    ) -> TransferPlan:
        """List what `restore` would bring into ``environment`` and drop from it. Writes nothing there.

        Raises what `restore` does before it changes anything, without reading all of the backup.
        """
        from monarch.backups.plans.patience import UNHURRIED
        from monarch.backups.plans.transfer import plan_restore
        from monarch.databases.selection import Choice

        choice = Choice(**names)
        choice.require_staging(in_place=in_place)
        request = self._restore_request(backup, environment, engine, raw, choice)
        search = self.look_for_newest(request.environment.label, UNHURRIED, progress)
        with request.open(progress) as (restoration, _), restoration.target.reading():
            return plan_restore(request, restoration, search, UNHURRIED, rights=True)

    def restore(
        self,
        backup: str | Backup,
        environment: str,
        *,
        engine: str = "auto",
        in_place: bool = False,
        raw: bool = False,
        check_all: bool = False,
        progress: Progress = SILENT,
        confirm: Question | None = None,
        preview: Callable[[TransferPlan], object] | None = None,
        **names: Unpack[Names],
    ) -> TransferResult:
        """Replace the contents of the database of ``environment`` with those of ``backup``; see `copy`.

        If it has several databases, the one that `restore_target` returns is meant. With ``confirm``,
        ``preview`` is called before it with what `plan_restore` returns, made in seconds.

        :raises BrokenBackup: if it is not as it was written; the target is then as it was.
        """
        from monarch.databases.selection import Choice

        choice = Choice(**names)
        request = replace(
            self._restore_request(backup, environment, engine, raw, choice), check_all=check_all
        )
        target = request.environment

        def run() -> TransferResult:
            choice.require_staging(in_place=in_place)
            search = None
            if confirm is not None and preview is not None:
                search = self.look_for_newest(target.label, None, progress)
            with request.open(progress) as (restoration, interruption):
                if preview is not None and search is not None:
                    from monarch.backups.plans.transfer import plan_restore

                    preview(plan_restore(request, restoration, search))
                elif confirm is not None:
                    restoration.check()
                if confirm is not None:
                    asked_once(confirm)()
                return restoration.run(interruption, in_place=in_place, progress=progress)

        context = HookContext(target, command="restore", source=request.backup.name)
        return self._hooked(context, progress).command(
            run, "after_restore", f"{target.label!r} was restored."
        )

    def _restore_request(
        self, backup: str | Backup, environment: str, engine: str, raw: bool, choice: Choice
    ) -> RestoreRequest:
        from monarch.backups.restore import RestoreRequest

        found = self.find_backup(backup) if isinstance(backup, str) else backup
        target = self.restore_target(found, environment)
        passage = self.passage_of(found, target.label, raw=raw)
        return RestoreRequest(self.root, self.backups, found, target, engine, choice, passage)

    def restore_target(self, backup: Backup, environment: str) -> Environment:
        """The environment that `restore` changes: of several databases, the one that ``backup`` is of.

        :raises UsageError: if it has several databases, and none of the name of the backup's.
        """
        from monarch.databases.several.members import known_members

        found = self._one_or_several(environment)
        members = known_members(found, [backup.database])
        return next((one for one in members if one.db_name == backup.database), found).require()

    def passage_of(self, contents: Backup | Environment, target: str, *, raw: bool = False) -> Passage:
        """How ``contents``, of a backup or of an environment, pass into the environment ``target``.

        :param raw: whether they are demanded unmasked.
        """
        from monarch.handouts.policy import find_passage, is_private_backup

        if isinstance(contents, Environment):
            private = contents.private
        else:
            private = is_private_backup(
                environment=contents.environment,
                private=contents.private,
                masked=contents.masked,
                environments=self.environments(),
            )
        return find_passage(private=private, target=self.environment(target), raw=raw)
