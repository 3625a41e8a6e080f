"""A project: a folder with ``migrations/`` in it, and everything one can do with its environments.

This is monarch's interface for Python; the commands add questions and output. Nothing here prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from monarch import scaffold
from monarch.backups.codecs import find_codec
from monarch.backups.names import check_stem
from monarch.backups.opened import require_restorable
from monarch.backups.restoring import Restored, Restoring
from monarch.backups.restoring import interrupted as not_restored
from monarch.backups.shelf import Backup, Shelf
from monarch.backups.taking import Taken, Taking
from monarch.copying import Copying, CopyPlan, CopyResult, interrupted
from monarch.databases import open_database
from monarch.databases.base import Contents, Database
from monarch.databases.lease import Lease
from monarch.environments import Environment
from monarch.errors import RunInterrupted, UsageError
from monarch.history import NotWhole, Record
from monarch.migrations.files import MigrationFile, find_migration, find_migrations
from monarch.migrations.plan import Status, list_status, pending, refuse_if_running
from monarch.migrations.runner import Done, Runner, load_all
from monarch.places import SETTINGS
from monarch.progress import SILENT, Progress
from monarch.querysets.asking import Asked, ask
from monarch.querysets.files import QuerySetFile, find_query_sets
from monarch.settings import Settings, load_settings
from monarch.stores import open_store

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Migrated:
    """What a run of migrations did. ``known`` is how many migrations the checkout has."""

    done: tuple[Done, ...]
    known: int
    only_in_database: tuple[str, ...] = ()


class Project:
    """The project at ``root``. Its settings are read when they are first needed."""

    def __init__(self, root: str | Path = ".") -> None:
        self.root = Path(root).resolve()

    @cached_property
    def settings(self) -> Settings:
        """What ``migrations/settings.py`` says.

        :raises SettingsError: if it cannot be used.
        """
        return load_settings(self.root)

    def environment(self, name: str) -> Environment:
        """The environment called ``name``, complete on this machine.

        :raises SettingsError: naming the nearest one, or the key that has no value here.
        """
        return self.settings.environment(name).require()

    @contextmanager
    def open(self, name: str, progress: Progress = SILENT) -> Iterator[Database]:
        """The database of an environment, connected while the context lasts."""
        with open_database(self.environment(name), self.root, progress) as database:
            yield database

    def init(self) -> tuple[Path, ...]:
        """Make ``migrations/`` with its settings. Old settings are kept beside the new ones.

        :return: the files written, and the old settings under their new name, if there were any.
        """
        return scaffold.init(self.root)

    def has_settings(self) -> bool:
        """Whether `init` has been here."""
        return (self.root / SETTINGS).exists()

    def generate(self, name: str) -> Path:
        """Write a new migration, to run after those that are there, and return its file.

        :raises ProjectError: if the name cannot be one, is taken, or the template is broken.
        """
        return scaffold.generate(self.root, name)

    def migrations(self) -> tuple[MigrationFile, ...]:
        """The migrations of this checkout, in order. Imports none of them."""
        return find_migrations(self.root)

    def list_migrations(self, environment: str, progress: Progress = SILENT) -> tuple[Status, ...]:
        """Every migration with its state on ``environment``. Writes nothing."""
        files = self.migrations()
        with self.open(environment, progress) as database:
            return list_status(files, _whole_history(database, environment, progress))

    def migrate(self, environment: str, *, retry: bool = False, progress: Progress = SILENT) -> Migrated:
        """Run what is pending on ``environment``; with ``retry``, what did not finish as well.

        :raises MigrationError: if one fails, or an earlier one that did not finish stands in the way.
        """
        files = self.migrations()
        with self.open(environment, progress) as database:
            records = _whole_history(database, environment, progress)
            done: tuple[Done, ...] = ()
            due = pending(files, records, environment, retry=retry)
            if due:
                kinds = load_all(due, self.root)
                with _held(database, f"migrate {environment}", progress) as lease:
                    # Again: until now somebody else may have run some of them.
                    records = database.history.read()
                    due = pending(files, records, environment, retry=retry)
                    runner = self._runner(environment, database, lease, progress)
                    done = runner.run(tuple(file for file in due if file.key in kinds), kinds, records)
        here = {file.key for file in files}
        return Migrated(done, len(files), tuple(sorted(set(records) - here)))

    def migrate_one(self, migration: str, environment: str, progress: Progress = SILENT) -> Done:
        """Run one migration, whatever its recorded state is.

        :raises LockedError: if another run is at it.
        """
        file = find_migration(self.migrations(), migration)
        with self.open(environment, progress) as database:
            records = _whole_history(database, environment, progress)
            if file.key in records:
                refuse_if_running(records[file.key], environment)
            kinds = load_all((file,), self.root)
            with _held(database, f"migrate_one {file.key} {environment}", progress) as lease:
                runner = self._runner(environment, database, lease, progress)
                (done,) = runner.run((file,), kinds, records)
            return done

    def drop(self, environment: str, progress: Progress = SILENT) -> Contents:
        """Remove the database of ``environment`` and all that is in it; return what that was.

        :raises LockedError: if another run holds it, or a migration is running on it.
        """
        with self.open(environment, progress) as database:
            with suppress(NotWhole):  # what is left of it goes too
                for record in database.history.read().values():
                    refuse_if_running(record, environment)
            with database.lease(f"drop_db {environment}"):
                contents = database.contents()
                database.drop()
                return contents

    def query_sets(self) -> tuple[QuerySetFile, ...]:
        """The query sets of this checkout, by name. Imports none of them."""
        return find_query_sets(self.root)

    def generate_query_set(self, name: str) -> Path:
        """Write a new query set, and return its file.

        :raises ProjectError: if the name cannot be one or is taken.
        """
        return scaffold.generate_query_set(self.root, name)

    def plan_copy(
        self,
        source: str,
        target: str,
        *,
        engine: str = "auto",
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = _NO_OPTIONS,
        progress: Progress = SILENT,
    ) -> CopyPlan:
        """What `copy` would bring into ``target`` and what would go from it. Writes nothing."""
        part = query_set, options
        with self._copying(source, target, engine, allow_empty, part, progress) as copying:
            return copying.plan()

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
        progress: Progress = SILENT,
    ) -> CopyResult:
        """Let the database of ``target`` hold what that of ``source`` holds, and nothing else.

        It is built beside what is there and swapped in at the end; with ``in_place`` what is there is
        dropped first. ``engine`` is "tools", "native", or "auto" for the best that works here. With the
        name of a ``query_set`` it is that part of ``source``; ``options`` answer what it asks, and "auto" is
        native.

        :raises ServerError: if it does not come to its end; the target is then as it was.
        :raises LockedError: if another run holds the target.
        """
        result: CopyResult | None = None
        try:
            part = query_set, options
            with self._copying(source, target, engine, allow_empty, part, progress) as copying:
                result = copying.run(in_place=in_place, progress=progress)
        except KeyboardInterrupt as error:  # while servers were reached, or left
            raise interrupted(target, done=result is not None) from error
        return result

    @cached_property
    def shelf(self) -> Shelf:
        """The backups, in the store that the settings name.

        :raises SettingsError: if they name none.
        """
        return Shelf(open_store(self.settings.store, self.root))

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
        progress: Progress = SILENT,
    ) -> Taken:
        """Take a backup of the database of ``environment``, called after it or as ``name`` says.

        ``codec`` is "zst" or "gz", ``level`` how hard it tries; ``engine``, ``query_set`` and ``options`` are
        as for `copy`.

        :raises ServerError: if the database cannot be read to its end.
        :raises StoreError: if the backup cannot be kept. Nothing is, after either of them.
        """
        source = self.environment(environment)
        stem = name if name is not None else source.db_name
        check_stem(stem)
        packing = find_codec(codec, level)
        store = self.shelf.store
        taken: Taken | None = None
        try:
            with self.open(environment, progress) as database:
                chosen = database.choose_engine(_engine_for(engine, query_set))
                asked = self._ask(query_set, options, environment, database, progress)
                taking = Taking(
                    database, environment, source.db_name, chosen, store, stem, *packing, allow_empty, asked
                )
                taken = taking.run(progress)
        except KeyboardInterrupt as error:  # while the server was reached, or left
            if taken is not None:
                message = f"Interrupted, but by then the backup was complete: {taken.name}."
                raise RunInterrupted(message) from error
            raise RunInterrupted("Interrupted. Nothing was kept of the backup.") from error
        return taken

    def find_backup(self, name: str) -> Backup:
        """The backup called ``name``; where none is, the newest good one of the environment of that name.

        :raises BrokenBackup: if it is not whole, as far as can be seen without reading it.
        :raises UsageError: if there is none.
        """
        backup = self.shelf.find(name)
        known = [environment for environment in self.settings.environments if environment.name == name]
        if backup is None and known:
            backup = self.shelf.newest(name, known[0].db_name)
            if backup is None:
                raise UsageError(
                    f"There is no good backup of {name!r} ({known[0].db_name}) in {self.shelf.store.place}.",
                    f"Take one: monarch backup {name} (one of a part goes by its own name only)",
                )
        backup = backup or self.shelf.get(
            name, [environment.name for environment in self.settings.environments]
        )
        require_restorable(self.shelf, backup)
        return backup

    def restore(
        self,
        backup: str | Backup,
        environment: str,
        *,
        engine: str = "auto",
        in_place: bool = False,
        progress: Progress = SILENT,
    ) -> Restored:
        """Let the database of ``environment`` hold what ``backup`` holds, and nothing else; see `copy`.

        :raises BrokenBackup: if it is not as it was written; the target is then as it was.
        """
        found = self.find_backup(backup) if isinstance(backup, str) else backup
        result: Restored | None = None
        try:
            with self.open(environment, progress) as database:
                chosen = database.choose_engine(engine)
                restoring = Restoring(self.shelf, found, database, environment, chosen)
                result = restoring.run(in_place=in_place, progress=progress)
        except KeyboardInterrupt as error:  # while the server was reached, or left
            raise not_restored(environment, done=result is not None) from error
        return result

    def require_two(self, source: str, target: str) -> None:
        """See that both are environments, and not one.

        :raises UsageError: naming what is wrong.
        """
        self.environment(source)
        self.environment(target)
        if source == target:
            raise UsageError(f"{source!r} is both the source and the target.", "Name two environments.")

    @contextmanager
    def _copying(
        self,
        source: str,
        target: str,
        engine: str,
        allow_empty: bool,
        part: tuple[str | None, Mapping[str, str]],
        progress: Progress,
    ) -> Iterator[Copying]:
        self.require_two(source, target)
        with self.open(source, progress) as one, self.open(target, progress) as other:
            chosen = other.choose_engine(_engine_for(engine, part[0]))
            asked = self._ask(*part, source, one, progress)
            selection = asked.selection if asked else None
            yield Copying(one, other, (source, target), chosen, allow_empty, selection)

    def _ask(
        self,
        query_set: str | None,
        options: Mapping[str, str],
        environment: str,
        database: Database,
        progress: Progress,
    ) -> Asked | None:
        """What the query set wants of ``database``, which is that of ``environment``; None without one.

        :raises UsageError: if there are options, and nobody to take them.
        """
        if query_set is None:
            if options:
                raise UsageError("-o is for a query set, and none is named.", "Name one: -q NAME")
            return None
        asked = ask(self.root, query_set, options, self.environment(environment), database.handles())
        if progress.must_stop():  # Ctrl-C, swallowed by an `except` of the query set
            raise RunInterrupted("Interrupted. Nothing was changed.")
        return asked

    def _runner(self, environment: str, database: Database, lease: Lease, progress: Progress) -> Runner:
        return Runner(
            self.root,
            self.environment(environment),
            database.history,
            database.handles(),
            progress,
            lease.check,
        )


def _engine_for(engine: str, query_set: str | None) -> str:
    """``engine``; of a part, if it is left to us, native, which alone reads all of it as of one moment."""
    return "native" if engine == "auto" and query_set is not None else engine


@contextmanager
def _held(database: Database, purpose: str, progress: Progress) -> Iterator[Lease]:
    """The lease of ``database``, and whatever a run that was cut off has left there put in order."""
    with database.lease(purpose) as lease:
        mended = database.mend(lease)
        if mended is not None:
            progress.mended(mended)
        yield lease


def _whole_history(database: Database, environment: str, progress: Progress) -> Mapping[str, Record]:
    """The history, once a copy into the database that was cut off has been finished."""
    try:
        return database.history.read()
    except NotWhole:
        with _held(database, f"finishing what was cut off on {environment}", progress):
            return database.history.read()
