"""Delete the backups that no rule keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from monarch.backups.catalog import BackupCatalog
from monarch.backups.operations.deletions import RecordedDeletions
from monarch.backups.retention.judge import BEING_REKEYED, Judgement, PruneRules, judge_all
from monarch.backups.retention.policy import KeepPolicy, KeepSettings
from monarch.backups.retention.readers import sweep_marks
from monarch.backups.state import Backup
from monarch.databases import find_kind, open_database
from monarch.databases.environment import Environment
from monarch.databases.history import UNFINISHED, Action
from monarch.databases.several.members import list_databases
from monarch.errors import LockedError, MonarchError, StoreError, UsageError
from monarch.progress import Progress
from monarch.stores.base import DeletionDenied


@dataclass(frozen=True)
class PrunePlan:
    """What becomes of each good backup.

    ``unreachable`` are environments that could not be asked which backups their unfinished migrations need,
    each with why.
    """

    judgements: tuple[Judgement, ...]
    unreachable: tuple[tuple[str, MonarchError], ...] = ()

    @property
    def going(self) -> tuple[Backup, ...]:
        """The backups that go, the oldest first."""
        gone = [judgement.backup for judgement in self.judgements if judgement.goes]
        return tuple(sorted(gone, key=lambda backup: (backup.taken_at, backup.archive)))


@dataclass(frozen=True)
class PruneRequest:
    """Pruning the backups of ``selected`` environments of the project at ``root``.

    ``environments`` are all of the project. ``policy`` is used in place of those of the ``settings``.
    ``taken`` are archives that this run has just written: they stay.
    """

    root: Path
    catalog: BackupCatalog
    environments: tuple[Environment, ...]
    selected: tuple[Environment, ...]
    settings: KeepSettings
    policy: KeepPolicy | None = None
    taken: frozenset[str] = frozenset()

    def require_policy(self) -> None:
        """Check that there is a policy for any of the environments.

        :raises UsageError: if there is none.
        """
        if self.policy is None and not any(self.settings.policy(one.name) for one in self.selected):
            raise UsageError(
                "There is no policy: nothing says which backups are kept.",
                "Set 'keep' in BACKUPS of migrations/settings.py, or use --keep-daily 7, for example.",
            )

    def plan(self, progress: Progress) -> PrunePlan:
        """Return what becomes of each good backup of the environments. Deletes nothing.

        Environments that would lose one are asked which backups their unfinished migrations need.

        :raises UsageError: if there is no policy.
        """
        self.require_policy()
        backups = self._select(self.catalog.list(cached=True))
        rules = PruneRules(
            self.settings,
            frozenset(one.name for one in self.environments),
            self.policy,
            read=self.catalog.being_read(),
            taken=self.taken,
        )
        losing = [one.backup for one in judge_all(backups, rules) if one.goes]
        asked = [
            member for one in self.selected for member in _losing_members(one, losing, self.root, progress)
        ]
        rules, unreachable = _ask(asked, losing, rules, self.root, progress)
        return PrunePlan(judge_all(backups, rules), unreachable)

    def run(self, going: Iterable[Backup], report: Callable[[Backup], None], progress: Progress) -> Pruned:
        """`prune`, and record in the store what it deletes, also if it fails in between."""
        going = tuple(going)
        with RecordedDeletions(
            self.root, self.catalog, going, Action.PRUNE, self._describe, progress
        ) as recorded:
            try:
                return prune(self.catalog, going, report, recorded.deleting)
            finally:
                self.sweep()

    def _describe(self, environment: str | None) -> str:
        """Return the command that prunes the backups of ``environment``, with its rules."""
        minimum = f"minimum {self.settings.minimum}" if self.settings.minimum > 1 else ""
        if self.policy:
            rules = f"{self.policy.as_options()}{minimum and f' ({minimum})'}"
        else:
            parts = [str(self.settings.policy(environment)), minimum]
            rules = f"(settings: {', '.join(filter(None, parts))})"
        return f"prune_backups {environment} {rules}"

    def sweep(self) -> None:
        """Remove what dead readers have left beside the archives. Deletes no backup, and never fails."""
        sweep_marks(self.catalog.store)

    def _select(self, backups: tuple[Backup, ...]) -> tuple[Backup, ...]:
        """Return those that are judged. With all environments, so are those of none, which stay.

        An archive that is not complete says nothing of its environment: it comes with those of its name.
        """
        if self.selected == self.environments:
            return backups
        labels = [one.label for one in self.selected]
        beside = {one.name for one in backups if any(map(one.is_of, labels))}
        return tuple(
            one
            for one in backups
            if any(map(one.is_of, labels)) or (one.environment is None and one.name in beside)
        )


@dataclass(frozen=True)
class Pruned:
    """What was deleted, and what the store or another run refused to delete, with why."""

    deleted: tuple[Backup, ...]
    refused: tuple[tuple[Backup, MonarchError], ...]


def prune(
    catalog: BackupCatalog,
    going: Iterable[Backup],
    report: Callable[[Backup], None],
    deleting: Callable[[Backup], AbstractContextManager[object]] = nullcontext,
) -> Pruned:
    """Delete ``going`` one after another; ``report`` is called after each.

    Each is deleted in the context that ``deleting`` returns for it.

    One that is locked or that another run reads, changed or deleted since the plan is passed over.

    :raises StoreError: if the store cannot be reached.
    """
    deleted, refused = [], list[tuple[Backup, MonarchError]]()
    for backup in going:
        try:
            with deleting(backup):
                if backup.archive in catalog.being_read(backup.archive):
                    raise LockedError(f"{backup.name!r} is being read.")
                if len(catalog.archives(backup, backup.name)) > 1:
                    raise LockedError(f"{BEING_REKEYED}: {backup.name!r} has another archive.")
                catalog.delete(backup)
        except MonarchError as error:
            if isinstance(error, StoreError) and not isinstance(error, DeletionDenied):
                raise
            refused.append((backup, error))
            continue
        deleted.append(backup)
        report(backup)
    return Pruned(tuple(deleted), tuple(refused))


def _losing_members(
    environment: Environment, losing: Iterable[Backup], root: Path, progress: Progress
) -> tuple[Environment, ...]:
    """Return the single environments of ``environment`` that would lose a backup and can be asked.

    Of several databases those are left out that its server does not have any more: nothing goes back there.
    """
    databases = sorted({one.database or "" for one in losing if one.is_of(environment.label)})
    if environment.databases is None or not databases:
        return (environment,) if databases else ()
    if find_kind(environment.kind).lists_all_databases:
        with suppress(MonarchError):  # asking each of them fails, too, and says why
            there = list_databases(environment, root, progress)
            databases = [one for one in databases if one in there]
    return tuple(environment.member(one) for one in databases)


def _ask(
    environments: Iterable[Environment],
    losing: Iterable[Backup],
    rules: PruneRules,
    root: Path,
    progress: Progress,
) -> tuple[PruneRules, tuple[tuple[str, MonarchError], ...]]:
    """Return ``rules`` with the ways back of unfinished migrations, and who could not be asked."""
    held = dict[tuple[str, str], str]()
    ways = dict[tuple[str, str], str]()
    unreachable = []
    for environment in environments:
        name = environment.name
        try:
            with open_database(environment, root, progress) as database:
                records = database.history.read()
        except MonarchError as error:
            for one in losing:
                if one.is_of(environment.label):
                    held[name, one.database or ""] = (
                        "its environment could not be asked for unfinished migrations"
                    )
            unreachable.append((environment.label, error))
            continue
        for record in records.values():
            if record.state in UNFINISHED and record.attempt is not None and record.attempt.backup:
                ways[name, record.attempt.backup] = f"the way back of {record.key}, which has not finished"
    return replace(rules, held=held, ways_back=ways), tuple(unreachable)
