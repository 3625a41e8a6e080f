"""A project: a folder with ``migrations/`` in it, and everything that can be done with its environments.

This is monarch's interface for Python; the commands add questions and output. Nothing here prints. Each
method passes its arguments to the domain, which is imported when it is used: most programs need little of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Unpack

from monarch.databases import DEFAULT_KIND, KINDS, open_database
from monarch.databases.base import Contents, Database
from monarch.databases.environment import Environment
from monarch.databases.history import IncompleteDatabase, MigrationState
from monarch.databases.lease import Holder
from monarch.errors import MonarchError, ProjectError, UnknownEnvironment
from monarch.migrations.files.find import MigrationFile, find_migration, find_migrations
from monarch.migrations.files.kinds import find_kinds, keep_kind, naming_wrong_kinds
from monarch.migrations.migrate import MigrationRun, RunResult
from monarch.migrations.plan import PlannedMigration, RunSelection, refuse_if_any_is_running
from monarch.progress import SILENT, Progress, Question, ask_nothing, asked_once
from monarch.settings.hooks import HookContext, HookedRun
from monarch.settings.load import Settings, load_settings
from monarch.settings.paths import SETTINGS, where_else
from monarch.system.ci import find_origin

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.backups.catalog import BackupCatalog
    from monarch.backups.create import BackupResult
    from monarch.backups.manifest import Manifest
    from monarch.backups.retention.policy import KeepPolicy
    from monarch.backups.retention.prune import PruneRequest
    from monarch.backups.state import Backup
    from monarch.backups.verification import VerifiedBackup
    from monarch.copies.copy import CopyPlan, CopyRequest
    from monarch.copies.transfer import TransferResult
    from monarch.databases.history import JournalEntry
    from monarch.databases.selection import Names
    from monarch.handouts.policy import Passage
    from monarch.handouts.suggestions import MaskSuggestions
    from monarch.migrations.execution import MigrationResult
    from monarch.migrations.mark import Marker, MarkResult
    from monarch.migrations.status import EnvironmentStatus, MigrationStatus, Verdict
    from monarch.migrations.trial import TrialDatabase, TrialResult
    from monarch.privacy.leaks.check import Leak
    from monarch.querysets.files import QuerySetFile

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


def _ignore(_: object) -> None:
    pass


class Project:
    """The project at ``root``. Its settings are read when they are first needed.

    Methods that change a database take ``confirm``: a function that is called once the change is known to be
    possible, before anything is written. If it raises, the call ends with that; if it returns False, with
    ``Declined``.
    """

    def __init__(self, root: str | Path = ".") -> None:
        self.root = Path(root).resolve()

    # Settings and environments

    @cached_property
    def settings(self) -> Settings:
        """The contents of ``migrations/settings.py``.

        :raises SettingsError: if it cannot be used.
        """
        return load_settings(self.root)

    def environments(self) -> tuple[Environment, ...]:
        """The environments of the settings, also those that are incomplete on this machine."""
        return self.settings.environments

    def kinds(self) -> frozenset[str]:
        """The kinds of its databases, as far as they are known on this machine."""
        return find_kinds(self.environments(), self.root)

    def environment(self, name: str) -> Environment:
        """The environment called ``name``, complete on this machine, with one database.

        ``ENVIRONMENT/DATABASE`` means one of several databases.

        :raises SettingsError: naming the nearest one, or the key that has no value here.
        :raises UsageError: if it has several databases.
        """
        return self._one_or_several(name).require()

    def _one_or_several(self, name: str) -> Environment:
        try:
            return self.settings.environment(name).require_complete()
        except UnknownEnvironment as error:
            if self._is_migration(name):
                error.hint = f"{name!r} is a migration: check the order of the arguments."
            raise

    def members(self, name: str, progress: Progress = SILENT) -> tuple[Environment, ...]:
        """The environments of the single databases of the environment ``name``: itself, if it has only one.

        If its ``db_name`` is a pattern, its server is asked which databases it has.

        :raises SettingsError: as for `environment`.
        :raises ServerError: if the server does not answer.
        :raises MonarchError: if no database matches.
        """
        from monarch.databases.several.members import find_members

        return find_members(self._one_or_several(name), self.root, progress)

    def has_several(self, name: str) -> bool:
        """Whether the environment ``name`` has several databases.

        :raises SettingsError: as for `environment`.
        """
        return self._one_or_several(name).databases is not None

    def open(self, name: str, progress: Progress = SILENT) -> AbstractContextManager[Database]:
        """Connect to the database of an environment while the context lasts."""
        return open_database(self.environment(name), self.root, progress)

    # Files

    def has_settings(self) -> bool:
        """Whether the project has settings, which `init` writes."""
        return (self.root / SETTINGS).exists()

    def init(self, kind: str = DEFAULT_KIND) -> tuple[Path, ...]:
        """Write ``migrations/`` with its settings. Old settings are kept beside the new ones.

        :param kind: the kind of database that the settings are for.
        :return: the files written, and the old settings under their new name, if there were any.
        """
        from monarch.scaffold import write

        return write.init(self.root, kind)

    def generate(self, name: str, kind: str | None = None) -> Path:
        """Write a new migration, to run after the existing ones, and return its file.

        :param kind: the kind of database that it is for. By default that of the settings, if they have one.
        :raises ProjectError: if the name is invalid or taken, or the template is broken.
        :raises UsageError: if the settings have several kinds and ``kind`` is None.
        """
        from monarch.scaffold import write

        return write.generate(self.root, name, kind)

    def generate_query_set(self, name: str, kind: str | None = None) -> Path:
        """Write a new query set, and return its file.

        :param kind: the kind of database that it is for. By default that of the settings, if they have one.
        :raises ProjectError: if the name is invalid or taken.
        :raises UsageError: if the settings have several kinds and ``kind`` is None.
        """
        from monarch.scaffold import write

        return write.generate_query_set(self.root, name, kind)

    def migrations(self) -> tuple[MigrationFile, ...]:
        """The migrations of this checkout, in order. Imports none of them."""
        return find_migrations(self.root)

    def migrations_of(self, environment: str) -> tuple[MigrationFile, ...]:
        """The migrations of this checkout that run on databases of the kind of ``environment``, in order.

        Imports them if the project has databases of several kinds.
        """
        kind = self.environment(environment).kind
        if self.kinds() <= {kind}:
            return self.migrations()
        return keep_kind(self.migrations(), kind, self.root)

    def query_sets(self) -> tuple[QuerySetFile, ...]:
        """The query sets of this checkout, by name. Imports none of them.

        :raises ProjectError: if there are none, and no settings either: this is no project.
        """
        from monarch.querysets.files import find_query_sets

        found = find_query_sets(self.root)
        if not found and not self.has_settings():
            raise ProjectError(f"There is no {SETTINGS} here ({self.root}).", where_else(self.root))
        return found

    # Masks

    def suggest_masks(self, environment: str, *, sample: int = 1000) -> MaskSuggestions:
        """Read ``sample`` documents of each collection, and suggest a mask or `keep` for every field.

        Writes nothing.

        :raises ProjectError: if there are rules already that cannot be read.
        :raises UsageError: if this kind of database has no masks.
        """
        from monarch.databases.transfer import as_transfer_database
        from monarch.handouts.suggestions import suggest_for
        from monarch.privacy.load import PRIVACY, load_masks

        masks = load_masks(self.root) if (self.root / PRIVACY).exists() else None
        with self.open(environment) as database:
            return suggest_for(environment, as_transfer_database(database).sample(sample), masks)

    def render_masks(self, suggestions: MaskSuggestions) -> str:
        """Return what `write_masks` would write: a file, or what is new at its end; nothing if nothing is.

        :raises ProjectError: if there are rules already that cannot be read.
        """
        from monarch.handouts.privacy_file import render_addition, render_new
        from monarch.privacy.load import PRIVACY

        if not suggestions.new:
            return ""
        return (
            render_addition(suggestions, self.root)
            if (self.root / PRIVACY).exists()
            else render_new(suggestions)
        )

    def write_masks(self, suggestions: MaskSuggestions) -> Path:
        """Write ``migrations/privacy.py``, or what is new at its end.

        :raises ProjectError: if it cannot be read or written.
        """
        from monarch.handouts.privacy_file import write_file

        return write_file(suggestions, self.root)

    # What has run

    def list_migrations(self, environment: str, progress: Progress = SILENT) -> tuple[MigrationStatus, ...]:
        """List every migration with its state on ``environment``. Writes nothing."""
        from monarch.migrations.status import read_status

        files = self.migrations_of(environment)
        with self.open(environment, progress) as database:
            return read_status(files, database, environment, progress)

    def list_everywhere(self) -> tuple[EnvironmentStatus, ...]:
        """`list_migrations` of every environment, all at once. Writes nothing."""
        from monarch.migrations.status import read_all_status

        files, environments = self.migrations(), self.environments()
        kinds = find_kinds(environments, self.root)
        by_kind = {kind: keep_kind(files, kind, self.root) if len(kinds) > 1 else files for kind in KINDS}
        return read_all_status(by_kind, environments, self.root)

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

    # Migrating

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
        with self._run(environment, SILENT) as run:
            return run.plan(RunSelection(retry, to, only, strict_order))

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
    ) -> RunResult:
        """Run what is pending on ``environment``; with ``retry``, also what did not finish.

        ``to`` is the last migration to run, ``only`` are the ones to run. With ``strict_order`` nothing runs
        if a pending migration is older than what has run. ``wait`` is how many seconds to wait for another
        run, by default without limit. No migration begins later than ``deadline`` seconds from now, without
        those that ``confirm`` takes. With ``backup``, a backup is taken and verified before the first one.

        :raises MigrationError: if one fails, or an earlier one that did not finish blocks the rest.
        :raises LockedError: if another run holds the database for longer than ``wait``.
        :raises DeadlineReached: if not all are done by then.
        """
        back_up = self._verified_backup(environment, progress) if backup else None
        with self._run(environment, progress, confirm) as run:
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
    ) -> MigrationResult:
        """Run one migration, regardless of its recorded state.

        :raises LockedError: if it is running, or another run holds the database longer than ``wait`` seconds.
        """
        file = find_migration(self.migrations(), migration)
        with self._run(environment, progress, confirm) as run:
            return run.migrate_one(file, wait=wait)

    def rollback(
        self,
        environment: str,
        migration: str | None = None,
        progress: Progress = SILENT,
        *,
        wait: float | None = 0,
        confirm: Question = ask_nothing,
    ) -> MigrationResult:
        """Undo the newest migration that has run, or the named one, by its own ``rollback``.

        :raises MigrationError: if there is none, or it has no ``rollback``.
        """
        with self._run(environment, progress, confirm) as run:
            return run.rollback(migration, wait=wait)

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

    # When something is stuck

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

    # Copies

    def require_two(self, source: str, target: str) -> tuple[Environment, Environment]:
        """The environments ``source`` and ``target``, which are two.

        :raises UsageError: if one of them does not exist, or both are the same.
        """
        from monarch.copies.copy import require_two

        environments = self.environment(source), self.environment(target)
        require_two(source, target)
        return environments

    def plan_copy(
        self,
        source: str,
        target: str,
        *,
        engine: str = "auto",
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = _NO_OPTIONS,
        raw: bool = False,
        show: int = 0,
        progress: Progress = SILENT,
        **names: Unpack[Names],
    ) -> CopyPlan:
        """List what `copy` would bring into ``target`` and drop from it. Writes nothing.

        ``show`` is how many documents of each collection it returns as they would arrive.
        """
        request = self._copy_request(source, target, engine, allow_empty, query_set, options, names)
        with replace(request, raw=raw).open(progress) as copy:
            return copy.plan(show)

    def copy(
        self,
        source: str,
        target: str,
        *,
        engine: str = "auto",
        in_place: bool = False,
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = _NO_OPTIONS,
        compare_contents: bool = False,
        raw: bool = False,
        check_all: bool = False,
        progress: Progress = SILENT,
        confirm: Question | None = None,
        **names: Unpack[Names],
    ) -> TransferResult:
        """Replace the contents of the database of ``target`` with those of ``source``.

        The copy is built in staging collections and swapped in at the end; with ``in_place`` the old contents
        are dropped first. ``engine`` is "tools", "native", or "auto" for the best that works here. With the
        name of a ``query_set`` only the subset that it selects is copied; ``options`` are the answers to its
        options and prompts, and "auto" is native. ``names`` are the arguments of a `Choice`: what
        of it is copied. With ``compare_contents`` a hash of the contents of each table is compared
        before the swap (PostgreSQL). Out of a private environment into one that is not, documents are masked
        by ``migrations/privacy.py``; with ``raw`` they are not, which the journal of ``target`` records.
        Before the swap it is checked that nothing leaks: on a sample of each collection, or with
        ``check_all`` on all documents.

        :raises ServerError: if the copy does not finish; the target is then as it was.
        :raises LockedError: if another run holds the target.
        """
        request = self._copy_request(source, target, engine, allow_empty, query_set, options, names)
        request.choice.require_staging(in_place=in_place)
        request = replace(request, compare_contents=compare_contents, raw=raw, check_all=check_all)

        def run() -> TransferResult:
            with request.open(progress) as copy:
                if confirm is not None:
                    copy.check()
                    asked_once(confirm)()
                return copy.transfer(in_place=in_place).run(progress)

        context = HookContext(request.target, command="copy_db", source=source)
        return self._hooked(context, progress).command(run, "after_copy", f"{target!r} was replaced.")

    def leaks(
        self, source: str, copy: str, *, check_all: bool = False, progress: Progress = SILENT
    ) -> tuple[Leak, ...]:
        """Return where the database of ``copy`` holds values that the rules mask in that of ``source``.

        It looks at a sample of each collection, or with ``check_all`` at all documents. Writes nothing.

        :raises MaskingError: if documents of ``source`` cannot be masked by ``migrations/privacy.py``.
        """
        from monarch.handouts.leaks import find_leaks

        ends = self.require_two(source, copy)
        return find_leaks(self.root, *ends, check_all=check_all, progress=progress)

    # Backups

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
        **names: Unpack[Names],
    ) -> TransferResult:
        """Replace the contents of the database of ``environment`` with those of ``backup``; see `copy`.

        If it has several databases, the one that `restore_target` returns is meant.

        :raises BrokenBackup: if it is not as it was written; the target is then as it was.
        """
        from monarch.backups.restore import restore_environment
        from monarch.databases.selection import Choice

        found = self.find_backup(backup) if isinstance(backup, str) else backup
        target = self.restore_target(found, environment)
        environment = target.label
        passage = self.passage_of(found, environment, raw=raw)

        def run() -> TransferResult:
            return restore_environment(
                self.root,
                self.backups,
                found,
                target,
                engine=engine,
                in_place=in_place,
                choice=Choice(**names),
                passage=passage,
                check_all=check_all,
                progress=progress,
                confirm=None if confirm is None else asked_once(confirm),
            )

        context = HookContext(target, command="restore", source=found.name)
        return self._hooked(context, progress).command(run, "after_restore", f"{environment!r} was restored.")

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

    def _hooked(self, context: HookContext, progress: Progress) -> HookedRun:
        return HookedRun(self.root, self.settings.hooks, context, progress)

    def _is_migration(self, name: str) -> bool:
        with suppress(MonarchError):
            return any(name in (file.key, file.name) for file in self.migrations())
        return False

    @contextmanager
    def _run(
        self, environment: str, progress: Progress, confirm: Question = ask_nothing
    ) -> Iterator[MigrationRun]:
        files, origin = self.migrations_of(environment), find_origin(self.root)
        with self.open(environment, progress) as database:
            target, hooks = self.environment(environment), self.settings.hooks
            ask = asked_once(confirm)
            with naming_wrong_kinds(self.root, target):
                yield MigrationRun(self.root, files, target, database, hooks, origin, progress, ask)

    @contextmanager
    def _marker(self, environment: str, progress: Progress, confirm: Question) -> Iterator[Marker]:
        from monarch.migrations.mark import Marker

        files = self.migrations_of(environment)
        with self.open(environment, progress) as database:
            ask = asked_once(confirm)
            with naming_wrong_kinds(self.root, self.environment(environment)):
                yield Marker(files, environment, database, find_origin(self.root), progress, ask)

    def _copy_request(
        self,
        source: str,
        target: str,
        engine: str,
        allow_empty: bool,
        query_set: str | None,
        options: Mapping[str, str],
        names: Names,
    ) -> CopyRequest:
        from monarch.copies.copy import CopyRequest
        from monarch.copies.subset import SubsetRequest
        from monarch.databases.selection import Choice

        subset = SubsetRequest(query_set, options)
        ends = self.require_two(source, target)
        return CopyRequest(self.root, *ends, engine, allow_empty, subset, Choice(**names))
