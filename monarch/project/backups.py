"""The backups of a project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from monarch.progress import SILENT, Progress
from monarch.project.environments import ProjectEnvironments
from monarch.settings.hooks import HookContext

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.backups.catalog import BackupCatalog
    from monarch.backups.create import BackupResult
    from monarch.backups.manifest import Manifest
    from monarch.backups.plans.deletion import DeletionPlan
    from monarch.backups.plans.newest import NewestSearch
    from monarch.backups.retention.policy import KeepPolicy
    from monarch.backups.retention.prune import PruneRequest
    from monarch.backups.state import Backup
    from monarch.backups.verification import VerifiedBackup


_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


def _ignore(_: object) -> None:
    pass


class ProjectBackups(ProjectEnvironments):
    """The backups of a project, in the store of its settings."""

    @cached_property
    def backups(self) -> BackupCatalog:
        """The catalog of the backups, in the store of the settings.

        :raises SettingsError: if the settings name no store.
        """
        from monarch.backups.catalog import BackupCatalog
        from monarch.backups.secrecy.encryption import parse_encryption
        from monarch.stores import open_store

        encryption = parse_encryption(self.settings.backups, self.root)
        return BackupCatalog(open_store(self.settings.store, self.root), encryption)

    def backup(
        self,
        environment: str,
        *,
        name: str | None = None,
        codec: str = "zst",
        level: int | None = None,
        engine: str = "auto",
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = _NO_OPTIONS,
        masked: bool = False,
        check_all: bool = False,
        verify: bool = False,
        progress: Progress = SILENT,
    ) -> BackupResult:
        """Take a backup of the database of ``environment``; its name begins with ``name`` or the database's.

        ``codec`` is "zst" or "gz", ``level`` its compression level: zst 1-19, gz 1-3. ``engine``,
        ``query_set`` and ``options`` are as for `copy`. With ``masked`` the documents are masked by
        ``migrations/privacy.py``, so that the backup may be handed out; it cannot restore the database. With
        ``verify`` it is read back from the store before the hook ``after_backup`` is called.

        :raises ServerError: if the database cannot be read to its end.
        :raises StoreError: if the backup cannot be kept. After either of them, nothing is kept.
        """
        from monarch.backups.create import BackupRequest
        from monarch.copies.subset import SubsetRequest

        source, subset = self.environment(environment), SubsetRequest(query_set, options)
        request = BackupRequest(
            self.root, source, engine, subset, name, codec, level, allow_empty, masked, check_all
        )
        hooked = self._hooked(HookContext(source, command="backup"), progress)
        run = request.run_verified if verify else request.run
        return hooked.command(lambda: run(self.backups, progress), "after_backup", "The backup is complete.")

    def adopt_backup(
        self,
        path: str,
        environment: str | None = None,
        *,
        database: str | None = None,
        name: str | None = None,
        taken_at: datetime | None = None,
        without_oplog: bool = False,
        progress: Progress = SILENT,
    ) -> BackupResult:
        """Take over what mongodump wrote to ``path``, as a backup of ``environment``; "-" is standard input.

        ``environment`` is by default the one whose database has the same name, ``database`` the only one in
        the dump. ``name`` is as for `backup`. ``taken_at`` is by default when the file was written. With
        ``without_oplog`` an oplog in the dump is left out. A path of nothing may be the name of a foreign
        archive in the store.

        :raises UsageError: if it is not what mongodump wrote, or nothing tells what of it is meant.
        :raises DamagedError: if it is damaged.
        :raises StoreError: if the backup cannot be kept. After any of them, nothing is kept.
        """
        from monarch.backups.foreign.adoption import AdoptionRequest

        environments = self.environments()
        request = AdoptionRequest(
            self.root, environments, path, environment, database, name, taken_at, without_oplog
        )
        return request.run(self.backups, progress)

    def list_backups(self, environment: str | None = None) -> tuple[Backup, ...]:
        """List all backups, or those of ``environment``, the oldest first.

        Of a bucket, only the manifests that this machine has not read before are read.

        :raises UnknownEnvironment: if neither the settings nor a backup have that environment.
        """
        backups = self.backups.list(cached=True)
        if environment is None:
            return backups
        found = tuple(backup for backup in backups if backup.is_of(environment))
        if not found:
            self.settings.environment(environment)
        return found

    def show_backup(self, name: str) -> tuple[Backup, Manifest | None]:
        """The backup called ``name``, and its manifest if it has one.

        :raises UsageError: if there is none.
        """
        backup = self.backups.get(name)
        return backup, self.backups.manifest(backup) if backup.has_manifest else None

    def find_backup(self, name: str) -> Backup:
        """The backup to restore: the one called ``name``, or the newest good one of the environment ``name``.

        :raises BrokenBackup: if the listing already shows that it is not whole.
        :raises UsageError: if there is none.
        """
        from monarch.backups.verification import find_restorable

        return find_restorable(self.backups, name, self.environments())

    def look_for_newest(
        self, environment: str, seconds: float | None = None, progress: Progress = SILENT
    ) -> NewestSearch:
        """Begin to look for the newest good backup of ``environment``, to show it before a change.

        :param seconds: after which it is given up.
        :raises SettingsError: as for `environment`.
        """
        from monarch.backups.plans.newest import NewestSearch
        from monarch.backups.plans.patience import PATIENCE

        found = self.environment(environment)
        return NewestSearch(lambda: self.backups, found, seconds or PATIENCE, progress)

    def verify_backups(
        self,
        *names: str,
        deep: bool = False,
        progress: Progress = SILENT,
        report: Callable[[VerifiedBackup], None] = _ignore,
    ) -> tuple[VerifiedBackup, ...]:
        """Read the backups called ``names`` to their end, and check every byte.

        The name of an environment means all its backups. Of an encrypted one the SHA-256 is checked; with
        ``deep`` it is decrypted, and its contents are checked too. Without names, all backups, except those
        that are being written. ``report`` is called with each result as soon as it is known.

        :raises UsageError: if there is no such backup.
        :raises LockedError: if a named backup is being written.
        """
        from monarch.backups.verification import find_named, verify_all

        named = find_named(self.backups, names, self.environments()) if names else ()
        chosen = named or tuple(backup for backup in self.backups.list() if not backup.busy)
        return verify_all(self.backups, chosen, progress, report, deep=deep)

    def find_deletable(self, *names: str, whole_name: bool = True) -> tuple[Backup, ...]:
        """The backups called ``names`` that `delete_backups` would delete, each with all of its archives.

        :param whole_name: whether a foreign archive has to be named by the whole name of its file.
        :raises LockedError: if one of them is protected, or being encrypted anew.
        :raises UsageError: if there is no such backup.
        """
        from monarch.backups.operations.deletions import find_deletable

        return find_deletable(self.backups, names, whole_name=whole_name)

    def plan_deletion(
        self, *backups: Backup, seconds: float | None = None, progress: Progress = SILENT
    ) -> DeletionPlan:
        """Return what would stay of the environments of ``backups``. Writes nothing, and never fails.

        :param seconds: after which this is given up.
        """
        from monarch.backups.plans.deletion import DeletionSearch
        from monarch.backups.plans.patience import UNHURRIED

        return DeletionSearch(self.backups, backups, seconds or UNHURRIED, progress).result()

    def delete_backups(
        self,
        *backups: str | Backup,
        report: Callable[[Backup], None] = _ignore,
        progress: Progress = SILENT,
    ) -> tuple[Backup, ...]:
        """Delete ``backups``. ``report`` is called with each one as soon as it is deleted.

        The journal in the store records it.

        :raises UsageError: if there is no such backup.
        :raises MonarchError: if one of them has changed since it was listed.
        """
        from monarch.backups.operations.deletions import delete_all

        return delete_all(self.root, self.backups, backups, report, progress)

    def pruning(
        self, environment: str | None = None, policy: KeepPolicy | None = None, taken: Iterable[str] = ()
    ) -> PruneRequest:
        """Return the pruning of the backups of ``environment`` or of all, by ``policy`` or by the settings.

        :param taken: archives that were just written, and stay.
        :raises SettingsError: if there is no such environment, or the settings are wrong.
        """
        from monarch.backups.retention.policy import parse_keep
        from monarch.backups.retention.prune import PruneRequest

        everything = self.environments()
        keep = parse_keep(self.settings.backups, [one.name for one in everything])
        selected = everything if environment is None else (self._one_or_several(environment),)
        return PruneRequest(self.root, self.backups, everything, selected, keep, policy, frozenset(taken))
